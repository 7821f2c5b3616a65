"""What is on disk may be hostile: nothing outside is reached, nothing blocks, nothing breaks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference_service.domain import LoadFailureCause
from inference_service.models.repository import Repository
from tests.model_folders import write, write_fake, write_gguf, write_ir
from tests.unit.inference_service.models.test_names import HOSTILE


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_not_found(tmp_path: Path, name: str) -> None:
    write_fake(tmp_path / "models" / "a")
    write_fake(tmp_path / "secret")
    assert name not in Repository(tmp_path / "models").scan()


PARTS = st.sampled_from(["..", ".", "/", "a", "secret", "%2e", "%2f", "\\", "\0", "@", "1", "~"])


@given(st.lists(PARTS, max_size=8).map("".join) | st.text(max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    models = tmp_path / "models"
    if not models.exists():
        write_fake(models / "a")
        write_fake(tmp_path / "secret")
    found = Repository(models).scan()
    assert (name in found) == (name == "a")


def test_links_out_make_a_model_invalid_and_are_never_read(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write(tmp_path / "outside", secret__json={"architectures": ["secret"]})
    write_ir(models / "file")
    (models / "file/config.json").unlink()
    (models / "file/config.json").symlink_to(tmp_path / "outside/secret.json")
    write_ir(tmp_path / "folder")
    (models / "folder").symlink_to(tmp_path / "folder")
    write_gguf(tmp_path / "weights.gguf")
    (models / "weights.gguf").symlink_to(tmp_path / "weights.gguf")
    write_gguf(models / "settings.gguf")
    (models / "settings.toml").symlink_to(tmp_path / "outside/secret.json")
    found = Repository(models).scan()
    assert set(found) == {"file", "folder", "weights", "settings"}
    for entry in found.values():
        assert entry.problem is not None
        assert entry.problem.cause is LoadFailureCause.INVALID_FILES
        assert "links to a place outside the models' folders" in entry.problem.message
        assert "secret'" not in entry.problem.message


def test_special_files_do_not_block_a_scan(tmp_path: Path) -> None:
    write_ir(tmp_path / "pipe", x="")
    (tmp_path / "pipe/config.json").unlink()
    os.mkfifo(tmp_path / "pipe/config.json")
    os.mkfifo(tmp_path / "weights.gguf")
    os.mkfifo(tmp_path / "other")
    write_gguf(tmp_path / "settings.gguf")
    os.mkfifo(tmp_path / "settings.toml")
    found = Repository(tmp_path).scan()
    assert set(found) == {"pipe", "weights", "settings"}
    assert all(entry.problem for entry in found.values())


def test_a_folder_that_nobody_may_read_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fake(tmp_path / "a")
    write_fake(tmp_path / "locked")
    original = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
    found = Repository(tmp_path).scan()
    assert found["a"].problem is None
    problem = found["locked"].problem
    assert problem is not None
    assert "Permission denied" in problem.message


@given(
    name=st.sampled_from(
        [
            "config.json",
            "generation_config.json",
            "tokenizer_config.json",
            "model.toml",
            "openvino_model.xml",
            "modules.json",
        ]
    ),
    content=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "architectures",
                        "model_type",
                        "max_position_embeddings",
                        "top_k",
                        "chat_template",
                        "id2label",
                        "bos_token",
                        "type",
                        "path",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    ),
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
def test_no_file_breaks_a_scan(tmp_path: Path, name: str, content: Any) -> None:
    folder = tmp_path / "models" / "m"
    write_ir(folder)
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        write(folder, **{name: content if not isinstance(content, str) else repr(content)})
    entry = Repository(tmp_path / "models").scan()["m"]
    (folder / name).unlink()
    for text in (entry.architecture, entry.problem and entry.problem.message):
        assert text is None or text.encode()  # what a proto can carry
    assert entry.context_length is None or 0 < entry.context_length < 1 << 31
