"""The models of this server: which there are, which run, which may take one request more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import jinja2
import structlog

from inference_service.chat.format import ChatFormat
from inference_service.config import ServiceConfig
from inference_service.domain import ModelInfo, ModelKind, ModelState, ReplicaStatus
from inference_service.engine.frames import Load
from inference_service.engine.grammar import GrammarChecker
from inference_service.engine.replica import Replica
from inference_service.engine.worker import Worker
from inference_service.errors import (
    ChatTemplateError,
    InvalidArgument,
    ModelNotFound,
    ModelNotReady,
    QueueFull,
    Unsupported,
)
from inference_service.models.repository import (
    InvalidModel,
    ModelFolder,
    model_names,
    read_model,
)

_ABILITIES = {
    ModelKind.GENERATION: "a generation model: it generates text",
    ModelKind.EMBEDDING: "an embedding model: it embeds texts and reranks documents",
    ModelKind.RERANK: "a rerank model: it reranks documents",
}

_log = structlog.get_logger(__name__)


class LoadedModel:
    """A model that has, or is to have, a running worker.

    Attributes:
        folder: What is on disk.
        replica: Its workers.
        grammars: Tells whether its workers can be given a grammar.

    """

    def __init__(
        self, folder: ModelFolder, config: ServiceConfig, on_change: Callable[[], None]
    ) -> None:
        self.folder = folder
        self._max_outstanding = folder.settings.max_num_seqs + config.max_waiting_requests
        self._entering = 0
        self._chat = _chat_format(folder)
        load = Load(str(folder.path), folder.settings, folder.context_length, folder.kind.value)
        self.grammars = GrammarChecker(folder.name, load)
        self.replica = Replica(
            folder.name,
            0,
            load,
            start_timeout_seconds=config.worker_start_timeout_seconds,
            step_timeout_seconds=config.worker_step_timeout_seconds,
            on_change=on_change,
        )

    @property
    def chat(self) -> ChatFormat:
        """How the model is talked to.

        Raises:
            ChatTemplateError: It has no chat template.

        """
        if self._chat is None:
            raise ChatTemplateError(
                f"model {self.folder.name!r} has no chat template; send a prompt instead",
                model=self.folder.name,
            )
        return self._chat

    def require(self, rpc: str, *kinds: ModelKind) -> None:
        """Check that the model can do what is asked.

        Args:
            rpc: What is asked, for programs.
            kinds: The kinds of models that can.

        Raises:
            Unsupported: It is of another kind.

        """
        if self.folder.kind not in kinds:
            does = _ABILITIES[self.folder.kind]
            message = f"model {self.folder.name!r} is {does}, and does nothing else"
            raise Unsupported(rpc, message, field="model")

    @contextmanager
    def admitted(self, completions: int = 1) -> Iterator[Worker]:
        """Hold a request's places until the worker counts them, and yield that worker.

        This comes before any work for the request, so that a refusal costs nothing. It is left
        when the request is with the worker, so that a slow reader keeps no place.

        Args:
            completions: How many the request asks for, each a sequence in the batch or waiting to
                be. What makes none takes one place.

        Raises:
            InvalidArgument: There are never so many places.
            ModelNotReady: No worker takes requests now.
            QueueFull: Too few places are free.

        """
        limit = self._max_outstanding
        if completions > limit:
            problem = (
                f"is more than the {limit} completions that run and wait for the model at most"
            )
            raise InvalidArgument("sampling.n", problem)
        worker = self.replica.worker()
        if self._entering + worker.outstanding_completions + completions > limit:
            raise QueueFull(self.folder.name, limit)
        self._entering += completions
        try:
            yield worker
        finally:
            self._entering -= completions

    async def stop(self) -> None:
        """End the model's processes."""
        await asyncio.gather(self.replica.stop(), self.grammars.stop())

    def info(self) -> ModelInfo:
        """Return what the outside may know of the model."""
        return ModelInfo(
            name=self.folder.name,
            state=self.replica.state,
            created=self.folder.created,
            failure=self.replica.failure,
            context_length=self.folder.context_length,
            architecture=self.folder.architecture,
            reproducible=self.folder.settings.reproducible,
            kind=self.folder.kind,
        )


def _chat_format(folder: ModelFolder) -> ChatFormat | None:
    if not folder.chat_template:
        return None
    return ChatFormat(
        folder.chat_template,
        folder.special_tokens,
        folder.name,
        folder.settings.tool_parser,
        folder.settings.reasoning_parser,
    )


def _check_template(folder: ModelFolder) -> None:
    try:
        if chat := _chat_format(folder):
            chat.check()
    except jinja2.TemplateSyntaxError as error:
        raise InvalidModel(f"the chat template is no Jinja: {error}") from error


class Registry:
    """All models in the models folder.

    Args:
        config: The service's configuration.
        on_change: Called with a model's name after every change of its state.

    """

    def __init__(self, config: ServiceConfig, on_change: Callable[[str], None]) -> None:
        self._config = config
        self._on_change = on_change
        self._loaded: dict[str, LoadedModel] = {}
        self._others: dict[str, ModelInfo] = {}
        self._wanted: set[str] = set()

    def start(self) -> None:
        """Read the models folder and begin to load what the configuration names."""
        names = model_names(self._config.models_dir)
        self._wanted = set(names if "*" in self._config.load_models else self._config.load_models)
        for name in sorted(self._wanted | set(names)):
            try:
                folder = read_model(self._config.models_dir / name)
                _check_template(folder)
            except InvalidModel as error:
                _log.error("model.invalid", model=name, cause=str(error))
                self._others[name] = ModelInfo(
                    name, ModelState.FAILED, datetime.now(UTC), failure=str(error)
                )
                continue
            if name not in self._wanted:
                self._others[name] = ModelInfo(
                    name, ModelState.UNLOADED, folder.created, kind=folder.kind
                )
                continue
            model = LoadedModel(folder, self._config, lambda name=name: self._on_change(name))  # type: ignore[misc]
            self._loaded[name] = model
            model.replica.start()

    async def stop(self) -> None:
        """End every worker, and what checks grammars for them."""
        await asyncio.gather(*(model.stop() for model in self._loaded.values()))

    def get(self, name: str) -> LoadedModel:
        """Return a model that runs or is to run.

        Raises:
            ModelNotFound: There is none of that name.
            ModelNotReady: It is on disk, but isn't loaded or isn't usable.

        """
        if model := self._loaded.get(name):
            return model
        info = self.info(name)
        raise ModelNotReady(name, info.state.value)

    def info(self, name: str) -> ModelInfo:
        """Return what the outside may know of one model.

        Raises:
            ModelNotFound: There is none of that name.

        """
        if model := self._loaded.get(name):
            return model.info()
        if info := self._others.get(name):
            return info
        raise ModelNotFound(name)

    def infos(self) -> list[ModelInfo]:
        """Return all models, sorted by name."""
        return [self.info(name) for name in sorted(self._loaded.keys() | self._others.keys())]

    def replicas(self) -> list[ReplicaStatus]:
        """Return the state of every engine worker, by model name."""
        return [self._loaded[name].replica.status() for name in sorted(self._loaded)]

    @property
    def ready(self) -> bool:
        """Whether every model that is to run answers; false if there is none."""
        loaded = [self._loaded.get(name) for name in self._wanted]
        return bool(loaded) and all(
            model is not None and model.replica.state is ModelState.READY for model in loaded
        )
