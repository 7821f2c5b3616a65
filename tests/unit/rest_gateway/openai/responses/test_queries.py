import pytest

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.query import parse_query
from rest_gateway.openai.responses.queries import LISTS, InputItemsQuery, RetrieveQuery


def test_input_items() -> None:
    assert parse_query(InputItemsQuery, []) == InputItemsQuery(limit=20, order="desc")
    sent = [("limit", "3"), ("order", "asc"), ("after", "msg_1"), ("include[]", "a")]
    assert parse_query(InputItemsQuery, sent, LISTS) == InputItemsQuery(
        limit=3, order="asc", after="msg_1", include=["a"]
    )


def test_retrieve_whole() -> None:
    assert parse_query(RetrieveQuery, [("stream", "false")]).stream is False


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("limit", "0", "at least 1"),
        ("limit", "101", "at most 100"),
        ("limit", "many", "integer"),
        ("order", "random", "'asc' or 'desc'"),
        ("befor", "x", "Unrecognized"),
    ],
)
def test_input_items_refused(name: str, value: str, said: str) -> None:
    with pytest.raises(ApiError, match=said) as caught:
        parse_query(InputItemsQuery, [(name, value)])
    assert (caught.value.status, caught.value.param) == (400, name)


@pytest.mark.parametrize(("name", "value"), [("stream", "true"), ("starting_after", "0")])
def test_stream_of_what_is_kept_is_refused(name: str, value: str) -> None:
    with pytest.raises(ApiError, match="given whole") as caught:
        parse_query(RetrieveQuery, [(name, value)])
    assert caught.value.param == name
