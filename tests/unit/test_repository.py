"""What the repository promises of itself."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import msgspec
import pytest
from openvino_server.v1 import errors_pb2
from openvino_server_cli.up import DEFAULT_MODEL, DEFAULT_SOURCE

from inference_service.engine.settings import ModelSettings
from inference_service.rpc.status import STATUS_CODES
from rest_gateway.openai.errors import REASONS

ROOT = Path(__file__).parents[2]
LONGEST_MODULE = 300
PACKAGE_INDEXES = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs|index-url\s*=|extra-index-url|find-links"
)


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that is, or is to be, in git; without git, every file but what is made."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\0")
        return tuple(ROOT / name for name in listed if name and (ROOT / name).is_file())
    ignored = {".venv", "var", "__pycache__", "dist", "node_modules"}
    return tuple(
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not ignored & set(path.relative_to(ROOT).parts)
    )


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.MULTILINE | re.DOTALL)


def test_stubs_are_what_the_protos_give(tmp_path: Path) -> None:
    subprocess.run([ROOT / "tools" / "stubs", tmp_path], check=True, capture_output=True)
    checked_in = ROOT / "proto" / "gen" / "python"
    by_hand = {"__init__.py", "py.typed"}

    def contents(folder: Path) -> dict[str, str]:
        return {
            path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
            for path in folder.rglob("*.py*")
            if path.is_file() and path.suffix in {".py", ".pyi"} and path.name not in by_hand
        }

    assert contents(tmp_path) == contents(checked_in), "run `make proto`"


def test_modules_are_small() -> None:
    lengths = {
        relative(path): path.read_text(encoding="utf-8").count("\n")
        for path in tracked()
        if path.suffix == ".py" and "gen" not in path.relative_to(ROOT).parts
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE} == {}


@pytest.mark.parametrize("word", ["utils", "helpers", "manager", "common"])
def test_no_module_is_named_for_nothing(word: str) -> None:
    assert [relative(path) for path in tracked() if path.stem == word] == []


def test_no_file_names_a_package_index_or_this_checkout() -> None:
    checkout = str(ROOT) if len(ROOT.parts) > 2 else None
    found = []
    for path in tracked():
        if path == Path(__file__):
            continue
        content = path.read_text(encoding="utf-8", errors="replace")
        if PACKAGE_INDEXES.search(content) or (checkout and checkout in content):
            found.append(relative(path))
    assert found == []


def test_constraints_pin_everything_and_leave_torch_out() -> None:
    lines = [line for line in text_of("constraints.txt").splitlines() if line[:1] != "#"]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
    assert not pinned & {"torch", "torchvision", "triton"}
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.match(r"[\w-]+", line)[0].lower() for line in wanted}  # type: ignore[index]
    assert names - pinned == set(), "run `make constraints`"


def test_map_shows_the_tree() -> None:
    the_map = text_of("CONTRIBUTING.md").partition("## The map")[2].partition("\n## ")[0]
    shown = set(re.findall(r"^- `([^`]+)/` —", the_map, re.MULTILINE))
    files = [path.relative_to(ROOT) for path in tracked()]
    folders = {path.parts[0] for path in files if len(path.parts) > 1}
    packages = {
        path.parent.as_posix()
        for path in files
        if path.name == "__init__.py" and path.parts[0] in {"inference_service", "rest_gateway"}
    }
    assert shown == folders | packages


def test_configuration_page_has_every_setting() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "tools" / "configuration_page.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_errors_page_has_every_reason() -> None:
    """The page, the proto's comments and the tables of both tiers say the same."""
    rows = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \| (\d+) \| `(\w+)` \|", text_of("docs/errors.md"), re.MULTILINE
    )
    named = set(errors_pb2.ErrorReason.DESCRIPTOR.values_by_name)
    assert {reason for reason, *_ in rows} | {"UNSPECIFIED"} == {
        name.removeprefix("ERROR_REASON_") for name in named
    }
    grpc_statuses = {reason: status for reason, status, *_ in rows}
    comment = r"^  // ([A-Z_]+)\. .*\n(?:  //.*\n)*  ERROR_REASON_(\w+) ="
    proto = text_of("proto/openvino_server/v1/errors.proto")
    assert {reason: status for status, reason in re.findall(comment, proto, re.M)} == grpc_statuses
    assert {reason: code.name for reason, code in STATUS_CODES.items()} == grpc_statuses
    assert {reason: (str(row.status), row.code) for reason, row in REASONS.items()} == {
        reason: (http, code) for reason, _, http, code in rows
    }


def test_make_pulls_the_model_that_the_command_serves() -> None:
    variables = dict(re.findall(r"^(MODEL\w*) := (.*)$", text_of("Makefile"), re.MULTILINE))
    assert variables["MODEL"] == DEFAULT_MODEL
    assert variables["MODEL_SOURCE"].replace("\\#", "#") == DEFAULT_SOURCE
    assert DEFAULT_MODEL in text_of("README.md")


def test_readme_names_what_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    commands = "".join(code_blocks("README.md", "sh")).splitlines()
    made = {line.split()[1] for line in commands if line.startswith("make ")}
    assert made == {"run", "test"}
    assert made <= targets
    for page in ["README.md", "CONTRIBUTING.md", *map(relative, (ROOT / "docs").rglob("*.md"))]:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text_of(page)):
            assert ((ROOT / page).parent / link).exists(), f"{page}: {link}"


def test_readme_code_compiles() -> None:
    blocks = code_blocks("README.md", "python")
    assert len(blocks) == 2
    for block in blocks:
        compile(block, "README.md", "exec")


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("inference_service.server", {"openvino", "openvino_genai", "torch"}),
        ("rest_gateway.app", {"openvino", "openvino_genai", "torch", "transformers"}),
        ("inference_service.worker.loop", {"grpc", "transformers", "fastapi"}),
    ],
)
def test_process_loads_only_its_own(module: str, absent: set[str]) -> None:
    assert importlib.util.find_spec(module) is not None
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout.split()
    assert absent & {name.partition(".")[0] for name in loaded} == set()


def test_models_page_has_every_setting() -> None:
    """Each key of `model.toml`, with its default."""
    page = (ROOT / "docs" / "model-settings.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE))
    for field in msgspec.structs.fields(ModelSettings):
        assert field.name in rows, field.name
        if field.default not in (None, msgspec.NODEFAULT):
            assert rows[field.name] == f"`{msgspec.json.encode(field.default).decode()}`"
