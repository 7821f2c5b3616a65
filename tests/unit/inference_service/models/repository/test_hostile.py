"""Files made to harm whoever reads them: each makes its own model invalid, and soon."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from inference_service.domain import LoadFailureCause
from inference_service.models.repository import Repository, read_model
from inference_service.models.repository.entry import ModelEntry
from inference_service.models.repository.files import FileStat, ModelFiles
from tests.model_folders import write_ir

FAKE = 'engine = "fake"\ncontext_length = 8\n'
# Each of 64 levels is twice the one below.
DOUBLED = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n + 1}: &a{n + 1} {{<<: [*a{n}, *a{n}]}}\n" for n in range(64)
)
ENDLESS = ("{{ 9**(9**9) }}", "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A directory with a model that is as it should be, and the folder of another."""
    for name in ("good", "m"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.toml").write_text(FAKE, encoding="utf-8")
    return tmp_path


def scanned(models: Path) -> ModelEntry:
    """Scan, and give the model that may not be as it should be."""
    entries = Repository(models).scan()
    assert entries["good"].problem is None
    return entries["m"]


def problem_of(models: Path) -> str:
    problem = scanned(models).problem
    assert problem
    assert len(problem.message) <= 1000
    return problem.message


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (DOUBLED, "anchors are not supported"),
        ("&a {adapters: *a}", "anchors are not supported"),
        ("[" * 60_000, "nested more than 32 deep"),
        ("a: [" * 33, "nested more than 32 deep"),
        ("engine: fake\ncontext_length: 1" + ":1" * 32_000, "context_length can't be more"),
        ("#" * 65_537, "larger than 65536 bytes"),
        ("a: 'b", "scanning a quoted scalar"),
    ],
)
def test_settings_do_not_grow_as_they_are_read(models: Path, content: str, problem: str) -> None:
    (models / "m/model.toml").unlink()
    (models / "m/model.yaml").write_text(content, encoding="utf-8")
    assert problem in problem_of(models)


@pytest.mark.parametrize("source", ENDLESS)
def test_a_scan_runs_no_template(models: Path, source: str) -> None:
    (models / "m/chat_template.jinja").write_text(source, encoding="utf-8")
    assert scanned(models).problem is None


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deep"),
        ("{{ " + "9" * 5000 + " }}", "digits"),
        ("x" * 300_000, "more than 262144 characters"),
        ("{{ 'x'|unknown }}", "no filter 'unknown' (line 1)"),
    ],
)
def test_a_template_that_can_not_be_read_is_refused(
    models: Path, source: str, problem: str
) -> None:
    (models / "m/chat_template.jinja").write_text(source, encoding="utf-8")
    assert problem in problem_of(models)


@pytest.mark.parametrize(
    ("xml", "problem"),
    [
        ('<?xml version="1.0" encoding="none-such"?><net/>', "unknown encoding: none-such"),
        ('<?xml version="1.0" encoding="zlib"?><net/>', "not a text encoding"),
        (f'<net a="{"a" * (5 << 20)}"/>', "is not so long"),
        (f"<{'a' * 100_000}/>", f"begins with <{'a' * 100}>"),
        (
            '<net><layer type="Const"><data offset="0" element_type="f32" size="'
            + "9" * 4000
            + '"/></layer></net>',
            "its size is no number of bytes",
        ),
    ],
)
def test_ir_that_can_not_be_read_is_refused(models: Path, xml: str, problem: str) -> None:
    (models / "m/model.toml").unlink()
    write_ir(models / "m", openvino_model__xml=xml)
    assert problem in problem_of(models)


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


@pytest.mark.parametrize(
    ("counts", "rest", "problem"),
    [
        ((0, 1 << 60), b"", "values"),
        ((1 << 60, 0), b"", "tensors"),
        (
            (0, 1),
            text(b"general.architecture") + struct.pack("<I", 8) + text(b"x" * 100_000),
            f"architecture '{'x' * 101} are not supported",
        ),
    ],
)
def test_gguf_does_not_say_how_long_it_takes(
    models: Path, counts: tuple[int, int], rest: bytes, problem: str
) -> None:
    (models / "m/model.toml").unlink()
    header = b"GGUF" + struct.pack("<IQQ", 3, *counts) + rest
    (models / "m/m.gguf").write_bytes(header)
    assert problem in problem_of(models)


def test_times_that_no_calendar_has_are_the_nearest() -> None:
    years = [
        FileStat(size=0, mtime_ns=seconds * 10**9, ctime_ns=0, inode=1).modified.year
        for seconds in (-(10**12), 0, 10**12)
    ]
    assert years == [1, 1970, 9999]


def test_sizes_that_63_bits_do_not_hold_are_the_largest() -> None:
    stat = FileStat(size=(1 << 63) - 1, mtime_ns=0, ctime_ns=0, inode=1)
    assert ModelFiles(Path("m"), {"a": stat, "b": stat}).size_bytes == (1 << 63) - 1


def test_what_nobody_thought_of_costs_one_model(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_content: bytes) -> None:
        raise ZeroDivisionError

    (models / "m/config.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr("inference_service.models.repository.files.json.loads", fail)
    problem = scanned(models).problem
    assert problem
    assert problem.cause is LoadFailureCause.INVALID_FILES
    assert problem.message == "the server failed to read it (ZeroDivisionError); its log says more"


def test_sampling_that_no_request_could_ask_for_does_not_count(models: Path) -> None:
    (models / "m/generation_config.json").write_text(
        '{"do_sample": true, "temperature": -1, "top_p": 7, "top_k": 5, "min_p": 2,'
        ' "repetition_penalty": 0}',
        encoding="utf-8",
    )
    sampling = read_model(models / "m").sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (None, None, 5)
    assert (sampling.min_p, sampling.repetition_penalty) == (None, None)


def test_a_scan_needs_no_transformers(models: Path) -> None:
    """They take seconds to import."""
    (models / "m/chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    program = (
        "import sys; from pathlib import Path;"
        "from inference_service.models.repository import Repository;"
        "entries = Repository(Path(sys.argv[1])).scan();"
        "print([e.problem for e in entries.values()], 'transformers' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(models)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == "[None, None] False\n"


def test_versions_in_a_folder_that_is_a_link_are_read_only(tmp_path: Path) -> None:
    models, extra = tmp_path / "models", tmp_path / "extra"
    models.mkdir()
    (extra / "family/1").mkdir(parents=True)
    (extra / "family/1/model.toml").write_text(FAKE, encoding="utf-8")
    (models / "linked").symlink_to(extra / "family")
    entry = Repository(models, [extra]).scan()["linked@1"]
    assert entry.problem is None
    assert entry.read_only
