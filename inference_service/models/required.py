"""The models that the configuration wants loaded, which the server's health speaks of."""

from __future__ import annotations

import structlog

from inference_service.domain import ModelState
from inference_service.models.catalogue import Catalogue
from inference_service.models.slot import Slot

_log = structlog.get_logger(__name__)


class RequiredModels:
    """The models to load at the start, as long as nobody has them unloaded.

    Args:
        catalogue: All models.

    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._names: set[str] | None = None
        self._missing: set[str] = set()  # names that stood for nothing so far

    @property
    def ready(self) -> bool:
        """Whether each of them answers."""
        if self._names is None or self._missing:
            return False
        slots = self._catalogue.slots
        return all(name in slots and slots[name].state is ModelState.READY for name in self._names)

    def begin(self, load_models: tuple[str, ...]) -> None:
        """Begin to load what the configuration names.

        Args:
            load_models: Names, where one without a version stands for the versions that are
                served, and `*` for all models.

        """
        self._names = set()
        for name in load_models:
            self._require(name, self._names)
        for name in self._names:
            self._catalogue.slots[name].begin_load(detach=True)

    def discard(self, slot: Slot) -> None:
        """Let the server be well without a model, for it was unloaded on purpose."""
        if self._names:
            self._names.discard(slot.name)

    def found(self, slot: Slot) -> None:
        """Take note of a model that takes requests: it may be what was missing at the start."""
        for name in list(self._missing):
            if (found := self._catalogue.find(name)) and found[0] is slot:
                self._missing.discard(name)
                if self._names is not None:
                    self._names.add(slot.name)

    def replace(self, old: Slot, new: Slot) -> None:
        """Put a version in the place of another."""
        if self._names and old.name in self._names:
            self._names.discard(old.name)
            self._names.add(new.name)

    def _require(self, name: str, names: set[str]) -> None:
        bases = self._catalogue.bases
        if name == "*":
            for base in bases:
                names.update(self._catalogue.served(base))
        elif name in bases:
            names.update(self._catalogue.served(name))
        elif found := self._catalogue.find(name):
            names.add(found[0].name)
        else:
            _log.error("model.missing", model=name)
            self._missing.add(name)
