"""What a key looks like: `ovs_`, 256 random bits and a checksum, in letters and digits.

The prefix lets scanners find keys that got into a repository or a log; the checksum tells typing
errors, and made-up keys, without a look at the file.
"""

from __future__ import annotations

import secrets
import string
import zlib

PREFIX = "ovs_"
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_LENGTH = 43  # base-62 digits that hold 256 bits
_CHECKSUM_LENGTH = 6  # base-62 digits that hold 32 bits


def new_key() -> str:
    """Make a key."""
    body = PREFIX + _base62(secrets.randbits(256), _RANDOM_LENGTH)
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Say whether a text has a key's form and checksum; says nothing of its validity."""
    body, checksum = key[:-_CHECKSUM_LENGTH], key[-_CHECKSUM_LENGTH:]
    return (
        len(body) == len(PREFIX) + _RANDOM_LENGTH
        and body.startswith(PREFIX)
        and body.isascii()
        and checksum == _checksum(body)
    )


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits
