from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import openvino as ov
import pytest

from inference_service.domain import WeightCompression
from inference_service.models.sources import converter
from inference_service.models.sources.file import FileSource
from inference_service.models.sources.pull import pull
from inference_service.worker import compress


def ignore(_progress: object) -> None:
    pass


def bytes_by_type(folder: Path) -> dict[str, int]:
    """Add up the constants of a model with more than one dimension, by their number format."""
    found: dict[str, int] = {}
    for operation in ov.Core().read_model(folder / "openvino_model.xml").get_ops():
        if operation.get_type_name() == "Constant" and len(operation.get_output_shape(0)) > 1:
            name = operation.get_element_type().to_string()
            found[name] = found.get(name, 0) + operation.get_byte_size()
    return found


@pytest.mark.parametrize(
    ("how", "stored_as", "most"),
    [
        (WeightCompression("int8"), "u8", 0.65),
        (WeightCompression("int4_asym"), "u4", 0.55),
    ],
)
def test_a_model_is_compressed_as_it_is_pulled(
    tiny_model: Path, tmp_path: Path, how: WeightCompression, stored_as: str, most: float
) -> None:
    folder = pull(FileSource(tiny_model), "tiny", tmp_path, ignore, compression=how)
    assert stored_as in bytes_by_type(folder)
    before = (tiny_model / "openvino_model.bin").stat().st_size
    assert (folder / "openvino_model.bin").stat().st_size < most * before
    assert {path.name for path in folder.iterdir()} == {path.name for path in tiny_model.iterdir()}


def test_what_is_compressed_is_not_compressed_again(tiny_model: Path, tmp_path: Path) -> None:
    once = tmp_path / "once"
    shutil.copytree(tiny_model, once)
    compress.compress(once, "int4_sym", 32)
    assert "i4" in bytes_by_type(once)
    with pytest.raises(compress.Refused, match="no weights to compress, or they are compressed"):
        compress.compress(once, "int8", None)


WITHOUT = """
import sys
sys.modules["nncf"] = None
from inference_service.worker import compress
sys.exit(compress.main(sys.argv[1:]))
"""


def test_without_nncf_it_is_refused(tiny_model: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, str(tiny_model), "int8"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == converter.REFUSED_EXIT_CODE == compress.REFUSED_EXIT_CODE
    assert "pip install 'openvino-server[compression]'" in ended.stderr.splitlines()[-1]


SILENT = """
from inference_service.worker.compress import _nncf
_nncf()
from nncf.telemetry.wrapper import telemetry
print(type(telemetry).__name__)
"""


def test_nncf_tells_nobody(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SILENT], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip().endswith("MagicMock")


def test_a_folder_without_a_model(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_model / "openvino_model.xml", tmp_path)
    with pytest.raises(RuntimeError):
        compress.compress(tmp_path, "int8", None)
