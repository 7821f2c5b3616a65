from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference_service.models.repository import ir
from inference_service.models.repository.files import InvalidModel, ModelFiles
from inference_service.models.repository.ir import Ir, require_ir
from inference_service.models.repository.listing import list_files
from tests.model_folders import age, graph, write


def listed(folder: Path, xml: str | bytes, weights: bytes | None = b"") -> ModelFiles:
    folder.mkdir(exist_ok=True)
    (folder / "g.xml").write_bytes(xml.encode() if isinstance(xml, str) else xml)
    (folder / "g.bin").unlink(missing_ok=True)
    if weights is not None:
        (folder / "g.bin").write_bytes(weights)
    return list_files(folder)


@pytest.mark.parametrize(
    ("constants", "precision"),
    [
        ({"f32": 8, "f16": 4}, "f32"),
        ({"u4": 80, "u8": 40, "f16": 30}, "int4"),
        ({"i4": 30, "u4": 30, "u8": 50}, "int4"),
        ({"i8": 30, "f16": 29}, "int8"),
        ({"bf16": 2}, "bf16"),
        ({"i64": 1000, "i32": 1000, "string": 100, "f16": 2}, "f16"),
        ({"f8e4m3": 10, "f32": 4}, "f8e4m3"),
        ({"i64": 8}, None),
        ({}, None),
    ],
)
def test_precision_is_that_of_most_bytes(
    tmp_path: Path, constants: dict[str, int], precision: str | None
) -> None:
    size = sum(constants.values())
    files = listed(tmp_path / "m", graph(constants), bytes(size))
    assert require_ir(files, "g") == Ir(precision, size)


def test_constants_of_nested_graphs_count(tmp_path: Path) -> None:
    inner = graph({"i8": 8}).partition("?>")[2].replace("net", "body")
    xml = f'<net><layers><layer type="If"><then_body>{inner}</then_body></layer></layers></net>'
    assert require_ir(listed(tmp_path / "m", xml, bytes(8)), "g") == Ir("int8", 8)


def test_data_of_other_layers_is_no_constant(tmp_path: Path) -> None:
    xml = (
        '<net><layer type="Const"><data element_type="f16" offset="0" size="2" /></layer>'
        '<layer type="Convert"><data destination_type="f32" offset="9" size="99" /></layer></net>'
    )
    assert require_ir(listed(tmp_path / "m", xml, bytes(2)), "g") == Ir("f16", 2)


def test_weights_may_be_longer_but_not_shorter(tmp_path: Path) -> None:
    xml = graph({"f16": 64, "i64": 8})
    assert require_ir(listed(tmp_path / "m", xml, bytes(73)), "g").weights_bytes == 72
    files = listed(tmp_path / "m", xml, bytes(71))
    with pytest.raises(InvalidModel, match=r"g\.bin is cut short: it has 71 of the 72 bytes"):
        require_ir(files, "g")


def test_missing_files_are_named(tmp_path: Path) -> None:
    files = listed(tmp_path / "m", "<net/>", None)
    with pytest.raises(InvalidModel, match=r"no g\.bin"):
        require_ir(files, "g")
    with pytest.raises(InvalidModel, match=r"no other\.xml"):
        require_ir(files, "other")


@pytest.mark.parametrize("part", [0, 1, 40, 200, -1, -9])
def test_xml_that_is_cut_short_is_invalid(tmp_path: Path, part: int) -> None:
    files = listed(tmp_path / "m", graph({"f16": 64}).rstrip()[:part], bytes(64))
    with pytest.raises(InvalidModel, match=r"g\.xml is no whole XML"):
        require_ir(files, "g")


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        ("<html></html>", "no OpenVINO IR: it begins with <html>"),
        ("<layer></layer>", "no OpenVINO IR: it begins with <layer>"),
        ("<net></net><net></net>", "no whole XML"),
        (b"\x00\x01\x02", "no whole XML"),
        (b"<net a='\xff'/>", "no whole XML"),
        ('<net><layer type="Const"><data element_type="f16" size="2"/></layer></net>', "'offset'"),
        (
            '<net><layer type="Const"><data element_type="f16" offset="0" size="x"/></layer></net>',
            "constant that can't be read",
        ),
        (
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><net>&x;</net>',
            "declares no document type",
        ),
    ],
)
def test_xml_of_another_kind_is_invalid(tmp_path: Path, xml: str | bytes, why: str) -> None:
    with pytest.raises(InvalidModel, match=why):
        require_ir(listed(tmp_path / "m", xml), "g")


def test_xml_is_read_once_for_each_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def counting(path: Path) -> object:
        opened.append(path)
        return path.open("rb")

    monkeypatch.setattr(ir, "open_file", counting)
    folder = tmp_path / "m"
    listed(folder, graph({"f16": 2}), bytes(8))
    age(folder)
    for _ in range(3):
        assert require_ir(list_files(folder), "g").precision == "f16"
    assert len(opened) == 1
    write(folder, **{"g.xml": graph({"i8": 2})})
    os.utime(folder / "g.xml", (1, 1))
    assert require_ir(list_files(folder), "g").precision == "int8"


def test_what_was_written_just_now_is_read_again(tmp_path: Path) -> None:
    """Two writes within a tick of the file system's clock look the same."""
    before = listed(tmp_path / "m", graph({"f16": 4}), bytes(4))
    assert require_ir(before, "g").precision == "f16"
    after = listed(tmp_path / "m", graph({"f32": 4}), bytes(4))
    assert after.stats["g.xml"].size == before.stats["g.xml"].size
    assert require_ir(before, "g").precision == "f32"
