"""How many tokens a conversation has."""

from __future__ import annotations

from dataclasses import dataclass

from openvino_server.v1 import chat_pb2, inference_pb2

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.failures import to_api_error
from rest_gateway.openai.responses.schema import ConversationRequest, ResponseRequest
from rest_gateway.openai.responses.translate import NAMES
from rest_gateway.openai.responses.truncation import truncate
from rest_gateway.upstream import Upstream, UpstreamError


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """Asks the service, whose tokenizer and template are the model's own.

    Attributes:
        upstream: The service.
        request_id: Names the request in the service's log.
        timeout_seconds: Time that each question may take.

    """

    upstream: Upstream
    request_id: str
    timeout_seconds: float

    async def count(self, request: ConversationRequest, chat: chat_pb2.ChatInput) -> int:
        """Count the tokens that a model would be given.

        Raises:
            ApiError: The service couldn't say, or it is far longer than the model's context.

        """
        return len((await self._tokenize(request, chat)).token_ids)

    async def truncate(
        self, request: ResponseRequest, chat: chat_pb2.ChatInput
    ) -> chat_pb2.ChatInput:
        """Leave out the oldest of a conversation, until there is room for it and its answer.

        Raises:
            ApiError: The service couldn't say how long it is.

        """

        async def fits(shorter: chat_pb2.ChatInput) -> bool:
            try:
                answer = await self._tokenize(request, shorter)
            except ApiError as error:
                # It is so long that the service doesn't even count.
                if error.reason == "CONTEXT_LENGTH_EXCEEDED":
                    return False
                raise
            # An answer without a bound of its own needs room for one token at least.
            room = answer.context_length - (request.max_output_tokens or 1)
            return len(answer.token_ids) <= room

        return await truncate(chat, fits)

    async def _tokenize(
        self, request: ConversationRequest, chat: chat_pb2.ChatInput
    ) -> inference_pb2.TokenizeResponse:
        wanted = inference_pb2.TokenizeRequest(model=request.model, chat=chat)
        try:
            return await self.upstream.tokenize(wanted, self.request_id, self.timeout_seconds)
        except UpstreamError as error:
            said: ApiError = to_api_error(error, NAMES)
            raise said from None
