"""What docs/models.md says is what the code does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from inference_service.domain import LoadFailureCause, ModelKind
from inference_service.models.aliases import check_aliases
from inference_service.models.repository import Repository
from inference_service.models.repository.gguf_header import ARCHITECTURES
from inference_service.models.versions import parse_policy, version_key
from tests.model_folders import write_fake, write_gguf, write_ir, write_onnx

PAGE = (Path(__file__).parents[5] / "docs/models.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())


def first_column(heading: str) -> list[str]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)


def test_kinds_and_causes_are_named() -> None:
    assert first_column("Kinds") == [f"`{kind.value}`" for kind in ModelKind]
    of_files = {LoadFailureCause(cause.strip("`")) for cause in first_column("What can't be used")}
    assert of_files == {
        LoadFailureCause.INVALID_FILES,
        LoadFailureCause.INVALID_SETTINGS,
        LoadFailureCause.UNSUPPORTED,
    }
    *most, last = ARCHITECTURES
    assert f"{', '.join(most)} and {last}" in WORDS


def test_policies_and_the_order_of_versions_hold() -> None:
    assert first_column("Versions")[1:] == ['`"latest"`, the default', '`"all"`']
    assert parse_policy(["1", "2"]).listed == {"1", "2"}
    pairs = re.findall(r"(\S+) (?:comes )?after `?(\d+(?:\.\d+)*)", WORDS)
    assert len(pairs) == 3
    for later, earlier in pairs:
        assert version_key(f"m@{later.strip('`')}") > version_key(f"m@{earlier}")


def test_aliases_of_the_example_can_be() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    aliases = tomllib.loads(example)["aliases"]
    assert check_aliases(aliases, ["qwen3-8b", "llama-3.1@2"]) == []


def test_layouts_are_found_as_the_page_says(tmp_path: Path) -> None:
    write_ir(tmp_path / "NAME-1")
    write_ir(tmp_path / "NAME-1@VERSION")
    write_ir(tmp_path / "NAME-2" / "1")
    write_ir(tmp_path / "NAME-2" / "2")
    write_gguf(tmp_path / "NAME-3.gguf")
    write_gguf(tmp_path / "NAME-3@VERSION.gguf")
    write_gguf(tmp_path / "NAME-4" / "x.gguf")
    write_onnx(tmp_path / "NAME-5")
    write_fake(tmp_path / "NAME-6")
    found = Repository(tmp_path).scan()
    assert sorted(found) == [
        *("NAME-1", "NAME-1@VERSION", "NAME-2@1", "NAME-2@2", "NAME-3", "NAME-3@VERSION"),
        *("NAME-4", "NAME-5", "NAME-6"),
    ]
    assert not any(entry.problem for entry in found.values())
    rows = PAGE.partition("\n## Layouts\n")[2].partition("\n## ")[0].count("\n| ")
    assert rows - 1 == 5
