import pytest
from openvino_server.v1 import models_pb2

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.models import check_model_name, model_to_openai, state_of


def test_model() -> None:
    model = models_pb2.Model(name="a/b", state=models_pb2.MODEL_STATE_LOADING)
    model.create_time.FromSeconds(1_700_000_000)
    assert model_to_openai(model) == {
        "id": "a/b",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "openvino-server",
        "max_model_len": None,
    }
    assert state_of(model) == "loading"


@pytest.mark.parametrize("name", ["", "x" * 257])
def test_names_that_no_model_has(name: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_model_name(name)
    assert caught.value.code == "model_not_found"
