"""What requests go to: a model that takes them, loaded first where that is enabled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inference_service.domain import ModelKind, ModelState
from inference_service.errors import ModelNotReady, Unsupported
from inference_service.models.catalogue import Catalogue
from inference_service.models.loaded import LoadedModel
from inference_service.models.slot import Slot

_ABILITIES = {
    ModelKind.GENERATION: "a generation model: it generates text",
    ModelKind.EMBEDDING: "an embedding model: it embeds texts and reranks documents",
    ModelKind.RERANK: "a rerank model: it reranks documents",
}


@dataclass(frozen=True, slots=True)
class Target:
    """A model that takes requests, and perhaps an adapter of its."""

    model: LoadedModel
    adapter: str | None = None


class Targets:
    """Finds what requests go to.

    Args:
        catalogue: All models.
        load_on_request: Whether a model that is not loaded is loaded for a request.
        on_released: Called with a model that a request no longer waits for.

    """

    def __init__(
        self, catalogue: Catalogue, load_on_request: bool, on_released: Callable[[Slot], None]
    ) -> None:
        self._catalogue = catalogue
        self._load_on_request = load_on_request
        self._on_released = on_released

    async def acquire(self, name: str, rpc: str, *kinds: ModelKind) -> Target:
        """Return what a request goes to; where that is enabled, load it first.

        The caller must enter `LoadedModel.admitted` before it awaits anything else: until then
        the model may be unloaded.

        Args:
            name: As the request says it.
            rpc: What is asked, for programs.
            kinds: The kinds of models that can; none is any.

        Raises:
            ModelNotFound: There is none of that name.
            ModelNotReady: It takes no requests now.
            Unsupported: It is of another kind.
            ModelLoadFailed, MemoryExhausted, LoadCancelled: It was to be loaded.

        """
        while True:
            slot, adapter = await self._catalogue.get(name)
            _require_kind(slot, rpc, kinds)
            if slot.serving and slot.state is ModelState.READY:
                return Target(slot.serving, adapter)
            if not self._load_on_request or slot.serving:  # that one is being restarted
                raise ModelNotReady(slot.name, slot.state.value)
            slot.claims += 1
            try:
                await slot.settled()
                if slot.state is not ModelState.LOADING:
                    slot.require_retry()
                await slot.load(detach=True)
                if slot.serving and slot.state is ModelState.READY:
                    return Target(slot.serving, adapter)
            finally:
                slot.claims -= 1
                self._on_released(slot)


def _require_kind(slot: Slot, rpc: str, kinds: tuple[ModelKind, ...]) -> None:
    kind = slot.serving.folder.kind if slot.serving else slot.entry.kind
    if kinds and kind is not None and kind not in kinds:
        message = f"model {slot.name!r} is {_ABILITIES[kind]}, and does nothing else"
        raise Unsupported(rpc, message, field="model")
