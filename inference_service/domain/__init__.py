"""The service's own types: what a request asks, what happens to it, what a model is.

No protobuf, no engine, no JSON: `rpc.mapping` and `engine` convert to and from these.
"""

from inference_service.domain.chat import (
    ChatInput,
    Message,
    Role,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    is_function_name,
)
from inference_service.domain.embedding import (
    Embeddings,
    EmbedRequest,
    RankedDocument,
    Ranking,
    RerankRequest,
)
from inference_service.domain.events import (
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    Started,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
)
from inference_service.domain.models import (
    ModelInfo,
    ModelKind,
    ModelState,
    ReplicaStatus,
)
from inference_service.domain.request import (
    Constraint,
    GenerateRequest,
    Grammar,
    Input,
    PromptInput,
    SamplingParams,
    TokenIdsInput,
)

__all__ = [
    "ChatInput",
    "Constraint",
    "EmbedRequest",
    "Embeddings",
    "Event",
    "FinishReason",
    "Finished",
    "GenerateRequest",
    "Grammar",
    "Input",
    "Message",
    "ModelInfo",
    "ModelKind",
    "ModelState",
    "PromptInput",
    "RankedDocument",
    "Ranking",
    "ReasoningDelta",
    "ReplicaStatus",
    "RerankRequest",
    "Role",
    "SamplingParams",
    "Started",
    "TextDelta",
    "TokenIdsInput",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "ToolMode",
    "is_function_name",
]
