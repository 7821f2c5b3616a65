"""Requests that change models as the service's messages."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from openvino_server.v1 import models_pb2

from rest_gateway.admin.schema import (
    Compression,
    DeleteQuery,
    LoadRequest,
    PullRequest,
    UnloadRequest,
    WatchQuery,
)
from rest_gateway.openai.names import Names

_NANOSECONDS = 1_000_000_000

NAMES = Names(renamed={"name": "model", "drain_timeout": "drain_timeout_seconds"})
PULL_NAMES = Names()
WATCH_NAMES = Names(merged={"names": "model"})


def load_to_proto(request: LoadRequest) -> models_pb2.LoadModelRequest:
    """Say a load in the service's terms. What the client left out stays unset."""
    return models_pb2.LoadModelRequest(
        name=request.model, reload=request.reload, detach=request.detach, pinned=request.pinned
    )


def unload_to_proto(request: UnloadRequest) -> models_pb2.UnloadModelRequest:
    """Say an unload in the service's terms."""
    drain_timeout = None
    if request.drain_timeout_seconds is not None:
        drain_timeout = Duration()
        drain_timeout.FromNanoseconds(round(request.drain_timeout_seconds * _NANOSECONDS))
    return models_pb2.UnloadModelRequest(name=request.model, drain_timeout=drain_timeout)


def delete_to_proto(name: str, query: DeleteQuery) -> models_pb2.DeleteModelRequest:
    """Say a deletion in the service's terms."""
    return models_pb2.DeleteModelRequest(name=name, unload=query.unload)


def watch_to_proto(query: WatchQuery) -> models_pb2.WatchModelsRequest:
    """Say in the service's terms which models are to be watched."""
    return models_pb2.WatchModelsRequest(names=query.model or ())


def pull_to_proto(request: PullRequest) -> models_pb2.PullModelRequest:
    """Say a pull in the service's terms."""
    return models_pb2.PullModelRequest(
        source=request.source,
        name=request.name or "",
        revision=request.revision,
        allow_patterns=request.allow_patterns or (),
        token=request.token.get_secret_value() if request.token else None,
        companions=request.companions,
        sha256=request.sha256 or {},
        compression=_compression_to_proto(request.compression) if request.compression else None,
    )


def _compression_to_proto(wanted: Compression) -> models_pb2.WeightCompression:
    return models_pb2.WeightCompression(
        format=models_pb2.WeightFormat.Value(f"WEIGHT_FORMAT_{wanted.format.upper()}"),
        group_size=wanted.group_size,
    )
