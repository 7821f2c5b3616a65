"""Protobuf to domain and back, with all validation of requests."""

from inference_service.rpc.mapping.chat import chat_from_proto
from inference_service.rpc.mapping.durations import seconds_from_proto, wait_from_proto
from inference_service.rpc.mapping.events import generate_response_to_proto
from inference_service.rpc.mapping.models import (
    memory_to_proto,
    model_name_from_proto,
    model_to_proto,
    replica_to_proto,
    watch_event_to_proto,
    watched_names_from_proto,
)
from inference_service.rpc.mapping.pulls import pull_progress_to_proto, pull_request_from_proto
from inference_service.rpc.mapping.request import (
    MAX_TOKEN_IDS,
    generate_request_from_proto,
    token_ids_from_proto,
)

__all__ = [
    "MAX_TOKEN_IDS",
    "chat_from_proto",
    "generate_request_from_proto",
    "generate_response_to_proto",
    "memory_to_proto",
    "model_name_from_proto",
    "model_to_proto",
    "pull_progress_to_proto",
    "pull_request_from_proto",
    "replica_to_proto",
    "seconds_from_proto",
    "token_ids_from_proto",
    "wait_from_proto",
    "watch_event_to_proto",
    "watched_names_from_proto",
]
