"""What is told of a load that failed, from the words of the engine."""

from __future__ import annotations

import pytest

from inference_service.engine import frames
from inference_service.worker.failures import LoadFailure, load_failed
from inference_service.worker.interface import RequestRefused

CORE = "Exception from src/inference/src/cpp/core.cpp:117:\n"
ENGINE = "/home/jenkins/agent/workspace/b/repos/openvino.genai/src/cpp/src"


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            RuntimeError(f"{CORE}Check 'a(b, c)' failed at src/x.cpp:9:\nIncorrect weights!\n\n"),
            "invalid_files",
            "Incorrect weights!",
        ),
        (
            RuntimeError(
                f'{CORE}Exception from src/core_impl.cpp:7:\nDevice with "TPU" name is not '
                "registered in the OpenVINO Runtime\n"
            ),
            "invalid_settings",
            'Device with "TPU" name is not registered in the OpenVINO Runtime',
        ),
        (
            RuntimeError(f'{CORE}Cannot load library "/opt/a/libgpu.so": no libOpenCL.so.1'),
            "invalid_settings",
            'Cannot load library "libgpu.so": no libOpenCL.so.1',
        ),
        (
            RuntimeError("Exception from src/core/src/runtime/allocator.cpp:79:\nstd::bad_alloc\n"),
            "out_of_memory",
            "there is not enough memory: std::bad_alloc",
        ),
        (
            RuntimeError(
                f"Check 'x <= y' failed at {ENGINE}/cache/cache_orchestrator.hpp:868:\n"
                "Requested cache size is larger than available memory size on the system.\n"
            ),
            "out_of_memory",
            "there is not enough memory: Requested cache size is larger than available memory size "
            "on the system.",
        ),
        (MemoryError(), "out_of_memory", "there is not enough memory"),
        (
            ImportError("libopenvino.so: failed to map segment from shared object"),
            "out_of_memory",
            "there is not enough memory: ImportError: libopenvino.so: failed to map segment from "
            "shared object",
        ),
        (
            RuntimeError(f"{CORE}Opset opset1 doesn't contain the operation with type: Foo\n"),
            "unsupported",
            "Opset opset1 doesn't contain the operation with type: Foo",
        ),
        (FileNotFoundError(2, "No such file", "x"), "invalid_files", "FileNotFoundError: "),
        (RequestRefused(""), "invalid_files", "RequestRefused"),
        (LoadFailure("unsupported", "two\nlines"), "unsupported", "two lines"),
    ],
)
def test_kind_and_line(error: Exception, kind: str, message: str) -> None:
    failed = load_failed(error)
    assert isinstance(failed, frames.LoadFailed)
    assert failed.kind == kind
    assert failed.cause.startswith(message)
    assert "\n" not in failed.cause
