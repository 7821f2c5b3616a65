import math

from openvino_server.v1 import inference_pb2

from rest_gateway.openai.logprobs import LegacyLogprobs, token_logprobs


def token(piece: bytes, logprob: float = -0.5) -> inference_pb2.TokenLogprob:
    return inference_pb2.TokenLogprob(token=piece, logprob=logprob)


def test_bytes_of_a_part_of_a_character_are_exact() -> None:
    assert token_logprobs([token(b"\xc3")]) == [
        {"token": "\ufffd", "logprob": -0.5, "bytes": [0xC3], "top_logprobs": []}
    ]


def test_impossible_tokens_have_a_number() -> None:
    written = token_logprobs([token(b"a", -math.inf), token(b"b", math.nan)])
    assert [entry["logprob"] for entry in written] == [-9999.0, -9999.0]


def test_offsets_are_those_of_characters() -> None:
    legacy = LegacyLogprobs()
    assert legacy.write([token(b"ab"), token(b"\xc3")]) == {
        "tokens": ["ab", "\ufffd"],
        "token_logprobs": [-0.5, -0.5],
        "text_offset": [0, 2],
        "top_logprobs": None,
    }
    assert legacy.write([token(b"\xbc"), token(b"c")])["text_offset"] == [2, 3]
