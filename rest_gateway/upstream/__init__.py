"""The service as the gateway sees it: one gRPC channel, and failures with a reason."""

from rest_gateway.upstream.errors import UpstreamError
from rest_gateway.upstream.generation import Generation, MergedGeneration
from rest_gateway.upstream.service import HealthProblem, Upstream
from rest_gateway.upstream.stream import Stream

__all__ = ["Generation", "HealthProblem", "MergedGeneration", "Stream", "Upstream", "UpstreamError"]
