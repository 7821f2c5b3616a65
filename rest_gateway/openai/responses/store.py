"""The responses that this gateway keeps, in memory and within bounds.

A response is kept for the API key that made it. What was said before it, if it goes on from another
one, it shares with that one: the history of a long conversation is held once, and for as long as a
kept response goes on from it, even when those before are deleted, dropped or too old.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

_json = msgspec.json.Encoder().encode
# What Python takes besides the JSON, for a response and for each item.
RESPONSE_OVERHEAD_BYTES = 1024
ITEM_OVERHEAD_BYTES = 384

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """How much is kept.

    Attributes:
        max_entries: Responses.
        max_bytes: Of all responses and the items before them, as JSON.
        ttl_seconds: How long after its end a response is kept.

    """

    max_entries: int
    max_bytes: int
    ttl_seconds: float


@dataclass(slots=True)
class Turn:
    """What one request and its response added to a conversation.

    Attributes:
        owner: The id of the API key that made it.
        parent: The turn before; None if this is the first.
        input: The items that the request sent, as JSON, each with an id.
        output: The items that the response put out, as JSON.
        references: How many kept responses and kept turns need it.

    """

    owner: str
    parent: Turn | None
    input: tuple[bytes, ...]
    output: tuple[bytes, ...] = ()
    references: int = 0

    @property
    def size(self) -> int:
        """Bytes of its items."""
        return sum(len(item) + ITEM_OVERHEAD_BYTES for item in (*self.input, *self.output))

    def line(self) -> Iterator[Turn]:
        """Give this turn and those before it, the newest first."""
        turn: Turn | None = self
        while turn is not None:
            yield turn
            turn = turn.parent

    def history(self) -> list[bytes]:
        """Give the items up to this turn's end, the oldest first."""
        turns = list(self.line())[::-1]
        return [item for turn in turns for item in (*turn.input, *turn.output)]

    def all_input(self) -> list[bytes]:
        """Give the items that the response answered, the oldest first."""
        return [*(self.parent.history() if self.parent else ()), *self.input]


@dataclass(slots=True)
class StoredResponse:
    """A response that has ended.

    Attributes:
        id: Its id.
        status: How it ended, as OpenAI names it.
        body: The Response object, as JSON.
        turn: What it added to its conversation.
        expires: When it is dropped, on the store's clock.

    """

    id: str
    status: str
    body: bytes
    turn: Turn
    expires: float = field(default=0, compare=False)

    @property
    def size(self) -> int:
        """Bytes that it takes, without its turn."""
        return len(self.body) + RESPONSE_OVERHEAD_BYTES


class ResponseStore:
    """Keeps responses; the least recently used go first when there is no room.

    Args:
        limits: How much it keeps.
        clock: Gives the time in seconds.

    Attributes:
        size: Bytes kept now.

    """

    def __init__(self, limits: StoreLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self.size = 0
        self._limits = limits
        self._clock = clock
        self._responses: OrderedDict[str, StoredResponse] = OrderedDict()
        self._by_age: deque[tuple[float, str]] = deque()
        self._items: dict[tuple[str, str], bytes] = {}

    def __len__(self) -> int:
        """Count the responses kept."""
        self._drop_old()
        return len(self._responses)

    def put(self, response: dict[str, Any], turn: Turn) -> bool:
        """Keep a response that has ended.

        Args:
            response: The Response object.
            turn: What was said before it and what its request sent; its output is taken from the
                response.

        Returns:
            Whether there was room: not if it alone, with all that was said before, is over the
            bounds.

        """
        self._drop_old()
        turn.output = tuple(_json(item) for item in response["output"])
        entry = StoredResponse(
            response["id"],
            response["status"],
            _json(response),
            turn,
            self._clock() + self._limits.ttl_seconds,
        )
        alone = entry.size + sum(turn.size for turn in turn.line())
        if alone > self._limits.max_bytes or self._limits.max_entries < 1:
            log.warning("response_too_large_to_keep", response_id=entry.id, bytes=alone)
            return False
        self._responses[entry.id] = entry
        self._by_age.append((entry.expires, entry.id))
        self.size += entry.size
        self._retain(turn)
        while len(self._responses) > self._limits.max_entries or self.size > self._limits.max_bytes:
            self._drop(next(iter(self._responses)))
        return True

    def get(self, response_id: str, owner: str) -> StoredResponse | None:
        """Find a response, which counts as a use; None if the key has no such response."""
        self._drop_old()
        found = self._responses.get(response_id)
        if found is None or found.turn.owner != owner:
            return None
        self._responses.move_to_end(response_id)
        return found

    def delete(self, response_id: str, owner: str) -> bool:
        """Drop a response; say whether the key had it."""
        if self.get(response_id, owner) is None:
            return False
        self._drop(response_id)
        return True

    def item(self, item_id: str, owner: str) -> bytes | None:
        """Find an item of a conversation that is kept, as JSON; None if the key has no such."""
        self._drop_old()
        return self._items.get((owner, item_id))

    def _drop_old(self) -> None:
        now = self._clock()
        while self._by_age and self._by_age[0][0] <= now:
            _, response_id = self._by_age.popleft()
            if response_id in self._responses:
                self._drop(response_id)

    def _drop(self, response_id: str) -> None:
        entry = self._responses.pop(response_id)
        self.size -= entry.size
        self._release(entry.turn)
        # Ids of what was dropped before its time must not pile up.
        if len(self._by_age) > 2 * len(self._responses) + 16:
            self._by_age = deque(age for age in self._by_age if age[1] in self._responses)

    def _retain(self, turn: Turn) -> None:
        for needed in turn.line():
            needed.references += 1
            if needed.references > 1:
                return  # what is before it is kept for it already
            self.size += needed.size
            for key, item in _indexed(needed):
                self._items[key] = item

    def _release(self, turn: Turn) -> None:
        for needed in turn.line():
            needed.references -= 1
            if needed.references:
                return
            self.size -= needed.size
            for key, item in _indexed(needed):
                # A later turn may have sent the same item again.
                if self._items.get(key) is item:
                    del self._items[key]


class _WithId(msgspec.Struct):
    id: str


_id_of = msgspec.json.Decoder(_WithId).decode


def _indexed(turn: Turn) -> list[tuple[tuple[str, str], bytes]]:
    items: Sequence[bytes] = (*turn.input, *turn.output)
    return [((turn.owner, _id_of(item).id), item) for item in items]
