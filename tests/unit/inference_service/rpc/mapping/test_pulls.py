from __future__ import annotations

from typing import Any

import pytest
from openvino_server.v1 import models_pb2

from inference_service import domain
from inference_service.errors import InvalidArgument
from inference_service.rpc import mapping

HEX = "0123456789abcdefABCDEF" + "0" * 42


def request(**fields: Any) -> models_pb2.PullModelRequest:
    return models_pb2.PullModelRequest(**{"source": "hf:a/b"} | fields)


def test_least() -> None:
    assert mapping.pull_request_from_proto(request()) == domain.PullRequest("hf:a/b")


def test_all() -> None:
    asked = request(
        name="m@2",
        revision="main",
        allow_patterns=["*.xml", "*.bin"],
        token="t",
        companions="pypi:x==1",
        sha256={"b": HEX, "a": HEX},
        compression={"format": models_pb2.WEIGHT_FORMAT_INT4_ASYM, "group_size": 64},
    )
    wanted = mapping.pull_request_from_proto(asked)
    assert wanted == domain.PullRequest(
        "hf:a/b",
        "m@2",
        "main",
        ("*.xml", "*.bin"),
        "t",
        "pypi:x==1",
        (("a", HEX.lower()), ("b", HEX.lower())),
        domain.WeightCompression("int4_asym", 64),
    )
    assert "'t'" not in repr(wanted)


@pytest.mark.parametrize("name", ["INT8", "INT4_SYM", "INT4_ASYM"])
def test_formats(name: str) -> None:
    number = models_pb2.WeightFormat.Value(f"WEIGHT_FORMAT_{name}")
    wanted = mapping.pull_request_from_proto(request(compression={"format": number}))
    assert wanted.compression == domain.WeightCompression(name.lower())  # type: ignore[arg-type]


INT8, INT4 = models_pb2.WEIGHT_FORMAT_INT8, models_pb2.WEIGHT_FORMAT_INT4_SYM


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"source": ""}, "source"),
        ({"source": "hf:" + "x" * 2048}, "source"),
        ({"source": "hf:a/b\n"}, "source"),
        ({"source": "hf:a/\x1b[2J"}, "source"),
        ({"name": "x" * 257}, "name"),
        ({"revision": ""}, "revision"),
        ({"revision": "x" * 257}, "revision"),
        ({"allow_patterns": ["*", ""]}, "allow_patterns[1]"),
        ({"allow_patterns": ["*"] * 65}, "allow_patterns"),
        ({"token": ""}, "token"),
        ({"token": "a b"}, "token"),
        ({"token": "a\r\nx: y"}, "token"),
        ({"token": "ü"}, "token"),
        ({"token": "x" * 4097}, "token"),
        ({"companions": ""}, "companions"),
        ({"sha256": {"a": HEX[1:]}}, "sha256"),
        ({"sha256": {"a": HEX + "0"}}, "sha256"),
        ({"sha256": {"a": "g" + HEX[1:]}}, "sha256"),
        ({"sha256": {"a": HEX[1:] + "\n"}}, "sha256"),
        ({"sha256": {"": HEX}}, "sha256"),
        ({"sha256": {str(number): HEX for number in range(4097)}}, "sha256"),
        ({"compression": {}}, "compression.format"),
        ({"compression": {"format": 99}}, "compression.format"),
        ({"compression": {"format": INT8, "group_size": 128}}, "compression.group_size"),
        ({"compression": {"format": INT4, "group_size": 0}}, "compression.group_size"),
        ({"compression": {"format": INT4, "group_size": 65537}}, "compression.group_size"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        mapping.pull_request_from_proto(request(**fields))
    assert caught.value.metadata == {"field": field}
    if token := fields.get("token"):
        assert token not in str(caught.value)
