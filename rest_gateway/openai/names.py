"""The names under which clients send what the service knows by other names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

_PREFIXES = ("sampling.", "chat.")


@dataclass(frozen=True, slots=True)
class Names:
    """Finds the client's name of a field of the service's requests.

    `[]` in a name stands for any index, and in the client's name for the same: `chat.tools[].name`
    may be `tools[].function.name`.

    Attributes:
        renamed: The client's names by the service's; what follows the name (`[0].content`) stays.
            A field that isn't here is named as the service's, less `sampling.` or `chat.`.
        merged: As `renamed`, but what follows is left out, as the client's form differs there.

    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    merged: Mapping[str, str] = field(default_factory=dict)

    def sent_as(self, field_name: str) -> str:
        """Return the client's name of a field, such as `sampling.max_tokens`."""
        for known in sorted(self.renamed.keys() | self.merged.keys(), key=len, reverse=True):
            pattern = re.escape(known).replace(r"\[\]", r"\[(\d+)\]")
            found = re.match(rf"{pattern}(?=[.\[]|$)", field_name)
            if not found:
                continue
            sent = self.merged[known] if known in self.merged else self.renamed[known]
            for index in found.groups():
                sent = sent.replace("[]", f"[{index}]", 1)
            return sent if known in self.merged else sent + field_name[found.end() :]
        for prefix in _PREFIXES:
            field_name = field_name.removeprefix(prefix)
        return field_name

    def with_others(self, others: Names) -> Names:
        """Return these names and others; where both know a field, it is as in the others."""
        here, there = (chain(names.renamed, names.merged) for names in (self, others))
        mine = set(here) - set(there)
        return Names(
            renamed={k: v for k, v in self.renamed.items() if k in mine} | dict(others.renamed),
            merged={k: v for k, v in self.merged.items() if k in mine} | dict(others.merged),
        )
