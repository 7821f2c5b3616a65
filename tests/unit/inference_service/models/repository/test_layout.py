from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference_service.models.repository.files import InvalidModel
from inference_service.models.repository.layout import Candidate, find_candidates
from inference_service.models.repository.listing import real_paths
from tests.model_folders import write, write_gguf, write_ir


def found(directory: Path) -> dict[str, Path]:
    candidates, _ = find_candidates(directory, real_paths([directory]))
    assert len({candidate.name for candidate in candidates}) == len(candidates)
    return {candidate.name: candidate.path.relative_to(directory) for candidate in candidates}


def test_folders_files_and_numbered_folders_are_found(tmp_path: Path) -> None:
    write_ir(tmp_path / "plain")
    write_ir(tmp_path / "plain@2024.1")
    write_gguf(tmp_path / "file.gguf")
    write_gguf(tmp_path / "file@2.gguf")
    for version in ("1", "2", "10"):
        write_ir(tmp_path / "numbered" / version)
    write(tmp_path / "empty")
    assert found(tmp_path) == {
        "plain": Path("plain"),
        "plain@2024.1": Path("plain@2024.1"),
        "numbered@1": Path("numbered/1"),
        "numbered@2": Path("numbered/2"),
        "numbered@10": Path("numbered/10"),
        "empty": Path("empty"),
        "file": Path("file.gguf"),
        "file@2": Path("file@2.gguf"),
    }


def test_what_is_hidden_or_no_model_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, README__md="", model__toml="", **{".hidden.gguf": "", ".gguf": ""})
    write(tmp_path / ".partial-x")
    write(tmp_path / ".converted")
    assert found(tmp_path) == {}


@pytest.mark.parametrize("names", [["0"], ["01"], ["v1"], ["1.0"], [".1"], ["1_Pooling"]])
def test_only_numbers_are_versions(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        write_ir(tmp_path / "m" / name)
    assert found(tmp_path) == {"m": Path("m")}


@pytest.mark.parametrize("file", ["openvino_model.xml", "model.onnx", "some.gguf"])
def test_a_folder_with_a_model_of_its_own_has_no_versions(tmp_path: Path, file: str) -> None:
    write(tmp_path / "m" / "1")
    write(tmp_path / "m", **{file: ""})
    assert found(tmp_path) == {"m": Path("m")}


def test_a_version_has_no_versions(tmp_path: Path) -> None:
    write_ir(tmp_path / "m@1" / "2")
    assert found(tmp_path) == {"m@1": Path("m@1")}


def test_names_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    unusable = ["my model", "a@b@c", "-x", "é", "a\nb"]
    for name in unusable:
        write(tmp_path / name)
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    candidates, unnamed = find_candidates(tmp_path, real_paths([tmp_path]))
    assert candidates == []
    assert {path.name for path in unnamed} == {*unusable, "\udcff"}


def test_links_out_are_not_looked_into(tmp_path: Path) -> None:
    """A folder with numbers in it, and one that nobody may list."""
    models = tmp_path / "models"
    write_ir(tmp_path / "outside" / "1")
    models.mkdir()
    (models / "evil").symlink_to(tmp_path / "outside")
    (models / "processes").symlink_to("/proc")
    (models / "gone").symlink_to("nothing")
    (models / "secret.gguf").symlink_to("/etc/passwd")
    assert set(found(models)) == {"evil", "processes", "gone", "secret"}
    roots = real_paths([models])
    for candidate in find_candidates(models, roots)[0]:
        with pytest.raises(InvalidModel, match="links to"):
            candidate.look(roots)


def test_a_number_that_is_a_link_out_is_invalid_alone(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_ir(tmp_path / "outside")
    write_ir(models / "m" / "1")
    (models / "m/2").symlink_to(tmp_path / "outside")
    roots = real_paths([models])
    one, two = find_candidates(models, roots)[0]
    assert one.look(roots).files.size_bytes > 0
    with pytest.raises(InvalidModel, match="'2' links to a place outside"):
        two.look(roots)


def test_settings_of_all_versions_lie_under_those_of_each(tmp_path: Path) -> None:
    roots = real_paths([tmp_path])
    write(tmp_path / "m", model__yaml="device: GPU")
    write(tmp_path / "m" / "1", model__toml="replicas = 2")
    (candidate,), _ = find_candidates(tmp_path, roots)
    listed = candidate.look(roots)
    assert [dict(layer.values) for layer in candidate.layers(listed)] == [
        {"device": "GPU"},
        {"replicas": 2},
    ]
    assert {name for name, _ in listed.state} == {"model.toml", "model.yaml"}


def test_a_file_has_its_settings_beside_it(tmp_path: Path) -> None:
    roots = real_paths([tmp_path])
    file = write_gguf(tmp_path / "m@1.gguf")
    write(tmp_path, **{"m@1.toml": "replicas = 2", "m.toml": "replicas = 3", "model.toml": "x"})
    candidate = Candidate("m@1", file, is_file=True)
    listed = candidate.look(roots)
    assert [dict(layer.values) for layer in candidate.layers(listed)] == [{"replicas": 2}]
    file.unlink()
    with pytest.raises(FileNotFoundError):
        candidate.look(roots)
