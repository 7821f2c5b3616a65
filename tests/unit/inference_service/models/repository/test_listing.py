from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from inference_service.models.repository import listing
from inference_service.models.repository.files import InvalidModel, ModelFiles, open_file
from inference_service.models.repository.listing import (
    is_inside,
    list_files,
    list_named,
    real_paths,
)
from tests.model_folders import write


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of models with one in it, and something secret outside."""
    write(tmp_path / "outside", secret="secret")
    write(tmp_path / "models" / "m", config__json={}, a="1234")
    return tmp_path / "models"


def test_all_files_are_listed_but_hidden_ones(models: Path) -> None:
    write(models / "m" / "1_Pooling", config__json={})
    write(models / "m" / ".cache", huge="x")
    write(models / "m", **{".gitattributes": "x"})
    files = list_files(models / "m")
    assert list(files.stats) == ["1_Pooling/config.json", "a", "config.json"]
    assert files.size_bytes == 4 + 2 + 2
    assert "a" in files
    assert "../m/a" not in files


@pytest.mark.parametrize("name", ["a", "sub/a", "sub"])
def test_a_link_out_makes_the_model_invalid(models: Path, name: str) -> None:
    (models / "m/sub").mkdir()
    link = models / "m" / name
    if link.exists():
        link.unlink() if link.is_file() else link.rmdir()
    link.symlink_to(models.parent / "outside" / ("" if name == "sub" else "secret"))
    with pytest.raises(InvalidModel, match=f"'{name}' links to a place outside"):
        list_files(models / "m")


def test_a_folder_that_is_a_link_out_is_invalid(models: Path) -> None:
    (models / "evil").symlink_to(models.parent / "outside")
    (models / "root").symlink_to("/")
    (models / "all").symlink_to(models)
    for name in ("evil", "root", "all"):
        with pytest.raises(InvalidModel, match=f"'{name}' links to a place outside"):
            list_files(models / name)


def test_a_link_that_stays_inside_is_followed(models: Path) -> None:
    write(models / "blobs", weights="123456")
    write(models / "blobs" / "deep", more="1")
    (models / "m/weights").symlink_to("../blobs/weights")
    (models / "m/folder").symlink_to("../blobs/deep")
    (models / "other").symlink_to("m")
    for name in ("m", "other"):
        files = list_files(models / name)
        assert {"weights", "folder/more"} <= set(files.stats)
        assert files.stats["weights"].size == 6


def test_a_link_out_behind_a_link_inside_is_found(models: Path) -> None:
    (models / "shared").mkdir()
    (models / "shared/key").symlink_to("../../outside/secret")
    (models / "m/folder").symlink_to("../shared")
    with pytest.raises(InvalidModel, match="'folder/key' links to a place outside"):
        list_files(models / "m")


def test_links_may_lead_to_another_folder_of_models(models: Path, tmp_path: Path) -> None:
    write(tmp_path / "extra" / "blobs", weights="12")
    (models / "m/weights").symlink_to(tmp_path / "extra/blobs/weights")
    roots = real_paths([models, tmp_path / "extra"])
    assert list_files(models / "m", roots).stats["weights"].size == 2
    with pytest.raises(InvalidModel):
        list_files(models / "m", real_paths([models]))


def test_links_in_circles_end(models: Path) -> None:
    (models / "m/again").symlink_to(".")
    (models / "m/sub").mkdir()
    (models / "m/sub/up").symlink_to("..")
    assert set(list_files(models / "m").stats) == {"a", "config.json"}
    (models / "m/loop").symlink_to("loop")
    with pytest.raises(InvalidModel, match="loop"):
        list_files(models / "m")


def test_a_link_to_nothing_is_invalid(models: Path) -> None:
    (models / "m/gone").symlink_to("nothing")
    with pytest.raises(InvalidModel, match="'gone' links to what is not there"):
        list_files(models / "m")
    (models / "dangling").symlink_to("nothing")
    with pytest.raises(InvalidModel, match="'dangling' links to what is not there"):
        list_files(models / "dangling")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def local_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize("make", [pipe, local_socket])
def test_special_files_are_never_opened(models: Path, make: Callable[[Path], None]) -> None:
    """Nobody writes into the pipe: to read it would take for ever."""
    make(models / "m/special")
    with pytest.raises(InvalidModel, match="'special' is neither a file nor a folder"):
        list_files(models / "m")
    make(models / "special.gguf")
    with pytest.raises(InvalidModel, match=r"'special\.gguf' is no file"):
        list_named(models, ["special.gguf"], real_paths([models]))


def test_a_device_is_outside(models: Path) -> None:
    (models / "m/zero").symlink_to("/dev/zero")
    with pytest.raises(InvalidModel, match="'zero' links to a place outside"):
        list_files(models / "m")


def test_a_file_that_became_a_pipe_does_not_block(models: Path) -> None:
    files = list_files(models / "m")
    (models / "m/a").unlink()
    os.mkfifo(models / "m/a")
    with pytest.raises(InvalidModel, match="a: not a regular file"):
        files.read("a")
    with pytest.raises(OSError, match="not a regular file"):
        open_file(models / "m")


def test_too_many_files_are_refused(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_MOST_FILES", 20)
    write(models / "m", **{f"f{number}": "" for number in range(17)})
    assert len(list_files(models / "m").stats) == 19
    write(models / "m", more="")
    with pytest.raises(InvalidModel, match="more than 20 files"):
        list_files(models / "m")


def test_folder_that_is_not_there(models: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list_files(models / "missing")


def test_named_files_are_those_that_are_there(models: Path) -> None:
    roots = real_paths([models])
    write(models, **{"x.gguf": "123"})
    files = list_named(models, ["x.gguf", "x.toml"], roots)
    assert list(files.stats) == ["x.gguf"]
    (models / "x.toml").symlink_to("../outside/secret")
    with pytest.raises(InvalidModel, match=r"'x\.toml' links to a place outside"):
        list_named(models, ["x.gguf", "x.toml"], roots)
    (models / "y.gguf").symlink_to("nothing")
    with pytest.raises(InvalidModel, match=r"'y\.gguf' links to what is not there"):
        list_named(models, ["y.gguf"], roots)


def test_inside_is_by_whole_names(models: Path, tmp_path: Path) -> None:
    roots = real_paths([models])
    assert is_inside(models / "m", roots)
    assert not is_inside(models, roots)
    assert not is_inside(tmp_path / "models-other", roots)
    assert not is_inside(models / "m/../../outside", roots)
    assert is_inside(Path("/etc"), ["/"])


def test_files_that_a_model_names_are_found_in_the_list_alone(models: Path) -> None:
    write(models / "m" / "lora", **{"a.safetensors": "x"})
    files = list_files(models / "m")
    assert files.find("./lora/a.safetensors") == "lora/a.safetensors"
    assert files.find("lora//a.safetensors") == "lora/a.safetensors"
    for name in ("../m/a", "lora/../a", str(models / "m/a"), "", ".", "..", "a\0", "lora"):
        assert files.find(name) is None


def test_files_are_read_whole_or_refused(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = list_files(models / "m")
    assert (files.read("a"), files.read("b"), files.read_text("b")) == (b"1234", None, None)
    assert (files.read_object("config.json"), files.read_object("b")) == ({}, {})
    monkeypatch.setattr("inference_service.models.repository.files._LONGEST_TEXT_BYTES", 3)
    with pytest.raises(InvalidModel, match="a: larger than 3 bytes"):
        files.read("a")
    (models / "m/a").unlink()
    with pytest.raises(InvalidModel, match="a: No such file"):
        files.read("a")


@pytest.mark.parametrize("content", [b"\xff\xfe\xff", b"[1", b"[" * 100_000, b""])
def test_json_that_is_none_names_its_file(models: Path, content: bytes) -> None:
    (models / "m/config.json").write_bytes(content)
    with pytest.raises(InvalidModel, match=r"config\.json: "):
        list_files(models / "m").read_json("config.json")


def test_messages_can_travel_as_utf8(models: Path) -> None:
    files = ModelFiles(models, {})
    with pytest.raises(InvalidModel) as raised:
        raise InvalidModel(f"\ud800 {files.find('x')}")
    assert str(raised.value) == "? None"
