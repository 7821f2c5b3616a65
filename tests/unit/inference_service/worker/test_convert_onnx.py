from __future__ import annotations

from pathlib import Path

import pytest

from inference_service.worker import convert


def test_a_file_that_is_no_onnx_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    assert convert.main([str(tmp_path / "model.onnx")]) == convert.REFUSED_EXIT_CODE
    message = capsys.readouterr().err
    assert message.startswith("OpenVINO can't read the ONNX file: ")
    assert message.count("\n") == 1
