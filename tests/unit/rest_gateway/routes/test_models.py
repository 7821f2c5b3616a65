from typing import Any

import grpc.aio
import httpx
import pytest
from openvino_server.v1 import models_pb2

from rest_gateway.app import create_app
from rest_gateway.upstream import Upstream


@pytest.fixture(autouse=True)
def models(service: Any) -> None:
    service.models = [
        models_pb2.Model(name=name, state=state)
        for name, state in [
            ("broken", models_pb2.MODEL_STATE_FAILED),
            ("loading", models_pb2.MODEL_STATE_LOADING),
            ("owner/name", models_pb2.MODEL_STATE_READY),
            ("smollm", models_pb2.MODEL_STATE_READY),
        ]
    ]
    service.models[3].context_length = 8192
    service.models[3].create_time.FromSeconds(1_700_000_000)


def ids(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [model["id"] for model in response.json()["data"]]


async def test_list_has_what_is_ready(client: httpx.AsyncClient, service: Any) -> None:
    response = await client.get("/v1/models", headers={"x-request-id": "abc"})
    assert ids(response) == ["owner/name", "smollm"]
    assert service.metadata[0]["x-request-id"] == "abc"
    model = response.json()["data"][1]
    details = model.pop("openvino_server")
    assert model == {
        "id": "smollm",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "openvino-server",
        "root": "smollm",
        "parent": None,
        "max_model_len": 8192,
    }
    assert (details["state"], details["context_length"]) == ("ready", 8192)


async def test_list_of_all(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/models?state=all")
    assert ids(response) == ["broken", "loading", "owner/name", "smollm"]
    states = [model["openvino_server"]["state"] for model in response.json()["data"]]
    assert states == ["failed", "loading", "ready", "ready"]
    assert ids(await client.get("/v1/models?state=available")) == ["owner/name", "smollm"]


@pytest.mark.parametrize("state", ["", "ready", "ALL", "all "])
async def test_state_is_checked(client: httpx.AsyncClient, state: str) -> None:
    response = await client.get("/v1/models", params={"state": state})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "state"


async def test_what_clients_send_besides_is_left_alone(client: httpx.AsyncClient) -> None:
    assert ids(await client.get("/v1/models?client_version=1.2&limit=20")) != []


async def test_aliases_and_adapters_are_listed_with_their_model(
    client: httpx.AsyncClient, service: Any
) -> None:
    owned, small = service.models[2:]
    small.aliases.extend(["gpt", "owner/name", "smollm"])  # the second is another model's name
    small.adapters.extend(["poet", "sql"])
    service.models[1].aliases.append("soon")
    response = await client.get("/v1/models")
    assert ids(response) == ["owner/name", "smollm", "gpt", "smollm:poet", "smollm:sql"]
    forms = [(model["root"], model["parent"]) for model in response.json()["data"]]
    assert forms == [
        (owned.name, None),
        ("smollm", None),
        ("smollm", None),
        ("smollm", "smollm"),
        ("smollm", "smollm"),
    ]
    assert "soon" in ids(await client.get("/v1/models?state=all"))


@pytest.mark.parametrize("name", ["smollm", "owner/name", "owner%2Fname", "loading", "broken"])
async def test_one_in_any_state(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/v1/models/{name}")
    assert response.status_code == 200
    assert response.json()["id"] == name.replace("%2F", "/")


async def test_one_by_another_name(client: httpx.AsyncClient, service: Any) -> None:
    service.models[3].aliases.append("gpt")
    service.models[3].adapters.append("sql")
    forms = {}
    for name in ("gpt", "smollm:sql", "gpt:sql"):
        model = (await client.get(f"/v1/models/{name}")).json()
        assert model["id"] == name
        forms[name] = (model["root"], model["parent"])
    assert forms == {
        "gpt": ("smollm", None),
        "smollm:sql": ("smollm", "smollm"),
        "gpt:sql": ("smollm", "smollm"),
    }


@pytest.mark.parametrize(
    "name", ["nothing", "owner/nothing", "", "smollm:nothing", "nothing:sql", ":sql", "smollm:"]
)
async def test_what_is_not_there(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/v1/models/{name}")
    assert response.status_code == 404
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")


async def test_service_that_is_down(config: Any, keys: Any, key: str) -> None:
    nowhere = Upstream(grpc.aio.insecure_channel("127.0.0.1:1"))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(config, nowhere, keys)),
        base_url="http://gateway",
    ) as client:
        response = await client.get("/v1/models", headers={"authorization": f"Bearer {key}"})
    await nowhere.close()
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert response.json()["error"]["code"] == "service_unavailable"
    assert "127.0.0.1" not in response.text


@pytest.mark.parametrize("name", ["nothing", "x" * 257, "x" * 10_000, "owner/" * 50])
async def test_unknown_names_have_one_wording(client: httpx.AsyncClient, name: str) -> None:
    shown = name if len(name) <= 100 else f"{name[:100]}…"
    response = await client.get(f"/v1/models/{name}")
    assert response.status_code == 404
    assert response.json()["error"] == {
        "message": f"The model '{shown}' does not exist.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


async def test_only_those_who_may_change_models_see_why_one_failed(
    client: httpx.AsyncClient, service: Any, admin_key: str
) -> None:
    failed = service.models[0]
    failed.failure = "/srv/models/broken: no such file"
    failed.failure_cause = models_pb2.LOAD_FAILURE_CAUSE_INVALID_FILES
    for path in ("/v1/models/broken", "/v1/models?state=all"):
        plain = await client.get(path)
        assert "/srv" not in plain.text
        assert '"failure":null,"failure_cause":"invalid_files"' in plain.text
        admins = await client.get(path, headers={"authorization": f"Bearer {admin_key}"})
        assert '"failure":"/srv/models/broken: no such file"' in admins.text
