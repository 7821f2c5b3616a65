import json

import pytest

from rest_gateway.openai.streaming import obfuscated


@pytest.mark.parametrize("length", range(0, 70, 3))
def test_padded_objects_have_few_sizes(length: int) -> None:
    value = {"a": "x" * length}
    padded = obfuscated(json.dumps(value).encode())
    assert len(padded) % 32 == 0
    padding = json.loads(padded)["obfuscation"]
    assert json.loads(padded) == value | {"obfuscation": padding}


def test_padding_is_random() -> None:
    assert len({obfuscated(b'{"a":1}') for _ in range(20)}) > 10
