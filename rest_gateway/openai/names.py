"""The names under which clients send what the service knows by other names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_PREFIXES = ("sampling.", "chat.")


@dataclass(frozen=True, slots=True)
class Names:
    """Finds the client's name of a field of the service's requests.

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
            rest = field_name[len(known) :]
            if field_name.startswith(known) and (not rest or rest[0] in ".["):
                if known in self.merged:
                    return self.merged[known]
                return self.renamed[known] + rest
        for prefix in _PREFIXES:
            field_name = field_name.removeprefix(prefix)
        return field_name
