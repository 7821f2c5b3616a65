from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from openvino_server.v1 import errors_pb2

from inference_service import errors
from inference_service.errors import ServiceError
from inference_service.rpc.status import DOMAIN, STATUS_CODES, status_of

REASONS = [
    name.removeprefix("ERROR_REASON_")
    for name, number in errors_pb2.ErrorReason.items()
    if number != errors_pb2.ERROR_REASON_UNSPECIFIED
]
# One of each exception, as the code raises it, with all the metadata that it can have.
EXAMPLES = [
    ServiceError("failed"),
    errors.InvalidArgument("sampling.top_p", "is wrong"),
    errors.Unsupported("Embed", "the model can't", field="model"),
    errors.ContextLengthExceeded(
        "long", prompt_tokens=9, context_length=8, max_tokens=1, field="texts[0]"
    ),
    errors.ChatTemplateError("refused", model="m"),
    errors.ModelNotFound("m"),
    errors.ModelNotReady("m", "failed"),
    errors.KvCacheExhausted("small", model="m", prompt_tokens=9),
    errors.QueueFull("m", 3),
    errors.ReaderTooSlow(1024),
    errors.Draining(),
    errors.WorkerLost("m"),
    errors.ClientNotAllowed(),
    errors.ModelLoadFailed("m", "timeout"),
    errors.MemoryExhausted("m", 3, 2, 4),
    errors.LoadCancelled("m"),
    errors.ModelExists("m"),
    errors.ModelInUse("m", "it is loaded"),
    errors.SourceNotFound("none", source="hf:a/b"),
    errors.SourceUnreachable("gone", source="hf:a/b"),
    errors.SourceRefused("damaged", source="hf:a/b"),
    errors.SourceNotAllowed("no", source="hf:a/b"),
    errors.DiskFull("full", needed_bytes=2, free_bytes=1),
]


def error_info(status: grpc.Status) -> tuple[status_pb2.Status, error_details_pb2.ErrorInfo]:
    """Decode what travels."""
    ((_, encoded),) = status.trailing_metadata
    details = status_pb2.Status.FromString(encoded)
    (detail,) = details.details
    info = error_details_pb2.ErrorInfo()
    assert detail.Unpack(info)
    return details, info


def documented_metadata(reason: str) -> set[str]:
    """The keys that the proto lists for a reason."""
    proto = Path(__file__).parents[4] / "proto/openvino_server/v1/errors.proto"
    comment = re.search(
        rf"((?:  //.*\n)+)  ERROR_REASON_{reason} =", proto.read_text(encoding="utf-8")
    )
    assert comment
    text = comment[1].partition("Metadata:")[2]
    return set(re.findall(r"`([a-z_]+)`", text))


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_status_and_comes_back(reason: str) -> None:
    kind = type("Example", (ServiceError,), {"reason": reason})
    status = status_of(kind("what happened: é", key="value", number=1, none=None))
    assert status.code is STATUS_CODES[reason]
    assert status.details == "what happened: é"
    details, info = error_info(status)
    assert (details.code, details.message) == (status.code.value[0], status.details)
    assert (info.reason, info.domain) == (reason, DOMAIN)
    assert dict(info.metadata) == {"key": "value", "number": "1"}


def test_table_has_no_other_reasons() -> None:
    assert set(STATUS_CODES) == set(REASONS)


def test_every_exception_has_a_reason_of_the_proto() -> None:
    kinds = {ServiceError, *ServiceError.__subclasses__()}
    kinds = {kind for kind in kinds if kind.__module__ == errors.__name__}
    assert {type(example) for example in EXAMPLES} == kinds
    assert sorted(kind.reason for kind in kinds) == sorted(REASONS)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: error.reason)
def test_exceptions_say_what_the_proto_promises(error: ServiceError) -> None:
    _, info = error_info(status_of(error))
    assert info.reason == error.reason
    assert set(info.metadata) == documented_metadata(error.reason)
