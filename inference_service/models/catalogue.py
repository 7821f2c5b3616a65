"""What models there are, under which names, and what the outside may know of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path

import structlog

from inference_service.config import ServiceConfig
from inference_service.domain import ModelInfo, ModelState
from inference_service.errors import ModelNotFound
from inference_service.models.aliases import check_aliases
from inference_service.models.idle import idle_unload_seconds
from inference_service.models.loading import CONVERTED
from inference_service.models.names import request_name
from inference_service.models.repository import ModelEntry, Repository
from inference_service.models.slot import Slot
from inference_service.models.sources.cache import cached
from inference_service.models.sources.errors import SourceNotFound
from inference_service.models.versions import VersionPolicy, available, chosen, parse_policy

_LOOK_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class Catalogue:
    """The models of the repository by name.

    Args:
        config: The service's configuration.
        make_slot: Makes the slot of a model that is seen for the first time.
        on_change: Called with the full name of a model that appears, changes or goes.

    """

    def __init__(
        self,
        config: ServiceConfig,
        make_slot: Callable[[ModelEntry], Slot],
        on_change: Callable[[str], None],
    ) -> None:
        self._repository = Repository(
            config.models_dir, [Path(folder) for folder in config.extra_models_dirs], config.models
        )
        self._config = config
        self._make_slot = make_slot
        self._on_change = on_change
        self._slots: dict[str, Slot] = {}
        self._versions: dict[str, dict[str, Slot]] = {}  # by base, then by full name
        self._policies: dict[str, VersionPolicy] = {
            name: parse_policy(settings["versions"])
            for name, settings in config.models.items()
            if "versions" in settings
        }
        self._aliases_by_target: dict[str, list[str]] = {}
        for alias, target in config.aliases.items():
            self._aliases_by_target.setdefault(target, []).append(alias)
        self._alias_problems: dict[str, str] = {}
        self._unused_settings: set[str] = set()
        self._looking: asyncio.Task[None] | None = None
        self._looked = 0.0  # when the last look began, by `time.monotonic`

    @property
    def slots(self) -> Mapping[str, Slot]:
        """All models by their full names."""
        return self._slots

    @property
    def bases(self) -> list[str]:
        """The names of all models without their versions."""
        return [base for base, versions in self._versions.items() if versions]

    async def look(self, *, if_older_than: float = 0.0) -> None:
        """Look at the disk.

        Args:
            if_older_than: Seconds that the last look may be old; then it will do.

        """
        asked = time.monotonic()
        while self._looked <= asked - if_older_than:
            # Shared, and not cancelled with who asked: the thread would go on all the same, and a
            # crowd of callers without patience would have all threads wait for each other.
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look(), name="models-look")
            await asyncio.shield(self._looking)

    async def _look(self) -> None:
        began = time.monotonic()
        entries = await asyncio.to_thread(self._repository.scan)
        self._looked = began
        self._warn_of_aliases(entries.keys())
        self._warn_of_settings(entries.keys() | {entry.base for entry in entries.values()})
        for name, entry in entries.items():
            self._see(name, entry)
        for name in self._slots.keys() - entries.keys():
            if self._slots[name].unused:
                slot = self._slots.pop(name)
                slot.gone = True
                del self._versions[slot.entry.base][name]
                self._on_change(name)

    def _see(self, name: str, entry: ModelEntry) -> None:
        slot = self._slots.get(name)
        if slot is None:
            slot = self._slots[name] = self._make_slot(entry)
            self._versions.setdefault(entry.base, {})[name] = slot
        elif slot.entry != entry:
            slot.entry = entry
            slot.failure = None
        else:
            return
        self._on_change(name)

    def _warn_of_aliases(self, names: Collection[str]) -> None:
        problems = {p.alias: p.message for p in check_aliases(self._config.aliases, names)}
        for alias, message in problems.items():
            if self._alias_problems.get(alias) != message:
                _log.warning("alias.without_effect", alias=alias, cause=message)
        self._alias_problems = problems

    def _warn_of_settings(self, names: Collection[str]) -> None:
        unused = self._config.models.keys() - names
        for name in sorted(unused - self._unused_settings):
            cause = f"[models.{name}] of the configuration is for a model that is not there"
            _log.warning("settings.without_effect", model=name, cause=cause)
        self._unused_settings = unused

    def find(self, name: str, *, exact: bool = False) -> tuple[Slot, str | None] | None:
        """Find what a name stands for: a model, and perhaps an adapter of its.

        Args:
            name: A full name, a name without a version, an alias, or one of these with an adapter.
            exact: Whether a name without a version means first the model that has none, and only
                then what the policy of versions chooses: to manage it, not to use it.

        """
        if exact and (slot := self._slots.get(name)):
            return slot, None
        if slot := self._model(name):
            return slot, None
        aliases = self._config.aliases
        name = aliases.get(name, name)
        if slot := self._model(name):
            return slot, None
        model, adapter = request_name(name)
        slot = (self._model(model) or self._model(aliases.get(model, model))) if adapter else None
        if slot and adapter in slot.entry.adapters:
            return slot, adapter
        return None

    async def get(self, name: str, *, exact: bool = False) -> tuple[Slot, str | None]:
        """Find as `find` does; a name that is not known is looked for on the disk.

        Raises:
            ModelNotFound: There is none of that name.

        """
        found = self.find(name, exact=exact)
        if found is None:
            await self.look(if_older_than=_LOOK_SECONDS)
            found = self.find(name, exact=exact)
        if found is None:
            raise ModelNotFound(name)
        return found

    async def delete(self, entry: ModelEntry) -> None:
        """Delete a model that nothing runs of, and what it was converted to.

        Raises:
            ModelNotFound: It is gone already.
            ModelInUse: It can't be deleted.

        """
        await asyncio.to_thread(self._delete, entry)

    def _delete(self, entry: ModelEntry) -> None:
        ir = None
        if entry.weights:
            with suppress(SourceNotFound):
                ir = cached(self._config.models_dir / CONVERTED, entry.weights)
        self._repository.delete(entry, ir)

    def siblings(self, slot: Slot) -> list[Slot]:
        """Return all versions of a model, itself too."""
        return list(self._versions[slot.entry.base].values())

    def user_of(self, slot: Slot) -> str | None:
        """Name a loaded model that guesses ahead with this one, if there is one."""
        for other in self._slots.values():
            for model in other.models:
                speculation = model.folder.settings.speculation
                draft = speculation.draft_model if speculation else None
                if draft and (found := self.find(draft)) and found[0] is slot:
                    return other.name
        return None

    def policy(self, base: str) -> VersionPolicy:
        """Return which versions of a model are served."""
        return self._policies.get(base) or parse_policy("latest")

    def served(self, base: str) -> list[str]:
        """Return the full names of the versions that the policy serves."""
        return available(list(self._versions.get(base, ())), self.policy(base))

    def info(self, name: str) -> ModelInfo | None:
        """Return what the outside may know of the model of a full name."""
        slot = self._slots.get(name)
        if slot is None:
            return None
        entry, model, state = slot.entry, slot.serving, slot.state
        failure = None
        if state is ModelState.FAILED:
            failure = slot.failure or entry.problem or (model and model.replicas.failure)
        folder = model.folder if model else None
        running = slot.models
        settings = folder.settings if folder else entry.settings
        return ModelInfo(
            name=name,
            state=state,
            created=entry.created,
            failure=failure.message if failure else None,
            failure_cause=failure.cause if failure else None,
            context_length=folder.context_length if folder else entry.context_length,
            architecture=entry.architecture,
            reproducible=bool(settings and settings.reproducible),
            kind=folder.kind if folder else entry.kind,
            version=entry.version,
            format=entry.format,
            precision=entry.precision,
            size_bytes=entry.size_bytes,
            memory_bytes=sum(m.memory_bytes for m in running) if running else None,
            aliases=self._aliases(slot),
            pinned=slot.stays,
            replicas=settings.replicas if settings else 1,
            ready_replicas=model.replicas.ready if model else 0,
            last_use=model.last_use_time if model else None,
            idle_unload_seconds=idle_unload_seconds(slot, self._config.idle_unload_seconds),
            adapters=tuple(sorted(entry.adapters)),
            read_only=entry.read_only,
            stage=slot.stage if state is ModelState.LOADING else None,
        )

    def _model(self, name: str) -> Slot | None:
        versions = self._versions.get(name)
        if not versions:
            return self._slots.get(name)
        ready = [full for full, slot in versions.items() if slot.state is ModelState.READY]
        best = chosen(list(versions), ready, self.policy(name))
        return self._slots[best] if best else None

    def _aliases(self, slot: Slot) -> tuple[str, ...]:
        base = slot.entry.base
        targets = {slot.name, base}
        # By the target first: a list of all models asks for the aliases of each.
        maybe = chain.from_iterable(self._aliases_by_target.get(target, ()) for target in targets)
        names = {alias for alias in maybe if self.find(alias) == (slot, None)}
        if base != slot.name and self._model(base) is slot:
            names.add(base)
        return tuple(sorted(names))
