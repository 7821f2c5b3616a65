import asyncio
from typing import Any

import grpc
import httpx
import pytest

from rest_gateway.app import create_app

PATH = "/v1/responses"
ASK = {"model": "smollm", "input": "Hi"}


async def create(client: httpx.AsyncClient, **sent: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json=ASK | sent)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def until(client: httpx.AsyncClient, response_id: str, status: str) -> dict[str, Any]:
    """Ask for a response, as its client would, until it is so far."""
    async with asyncio.timeout(5):
        while True:
            body = (await client.get(f"{PATH}/{response_id}")).json()
            if body["status"] == status:
                return dict(body)
            await asyncio.sleep(0.01)


async def test_kept_until_deleted(client: httpx.AsyncClient, service: Any, events: Any) -> None:
    service.script = events.answer("Hello")
    made = await create(client)
    assert (await client.get(f"{PATH}/{made['id']}")).json() == made
    deleted = await client.delete(f"{PATH}/{made['id']}")
    assert deleted.json() == {"id": made["id"], "object": "response", "deleted": True}
    gone = await client.get(f"{PATH}/{made['id']}")
    assert gone.status_code == 404
    assert "not found" in gone.json()["error"]["message"]


async def test_other_keys_find_nothing(
    app: Any, keys: Any, client: httpx.AsyncClient, service: Any, events: Any
) -> None:
    service.script = events.answer("Hello")
    made = await create(client)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://gateway",
        headers={"authorization": f"Bearer {keys.create('other')[1]}"},
    ) as other:
        for method, path in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/cancel"),
            ("GET", "/input_items"),
        ):
            answer = await other.request(method, f"{PATH}/{made['id']}{path}")
            assert answer.status_code == 404
        answer = await other.post(PATH, json=ASK | {"previous_response_id": made["id"]})
        assert answer.status_code == 400
    assert (await client.get(f"{PATH}/{made['id']}")).status_code == 200


async def test_input_items_page_by_page(
    client: httpx.AsyncClient, service: Any, events: Any
) -> None:
    service.script = events.answer("Hello")
    first = await create(client)
    second = await create(client, input="And?", previous_response_id=first["id"])
    items = f"{PATH}/{second['id']}/input_items"
    page = (await client.get(items)).json()
    assert [item["content"][0]["text"] for item in page["data"]] == ["And?", "Hello", "Hi"]
    assert page["has_more"] is False
    assert page["data"][1] == first["output"][0]
    page = (await client.get(items, params={"limit": 2, "order": "asc"})).json()
    assert [item["content"][0]["text"] for item in page["data"]] == ["Hi", "Hello"]
    assert (page["first_id"], page["has_more"]) == (page["data"][0]["id"], True)
    params = {"limit": 2, "order": "asc", "after": page["last_id"]}
    page = (await client.get(items, params=params)).json()
    assert [item["content"][0]["text"] for item in page["data"]] == ["And?"]
    answer = await client.get(items, params={"after": "msg_0"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "after")


async def test_stream_of_what_is_kept_is_refused(
    client: httpx.AsyncClient, service: Any, events: Any
) -> None:
    service.script = events.answer("Hello")
    made = await create(client)
    answer = await client.get(f"{PATH}/{made['id']}", params={"stream": "true"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "stream")


async def test_foreground_response_can_not_be_cancelled(
    client: httpx.AsyncClient, service: Any, events: Any
) -> None:
    service.script = events.answer("Hello")
    made = await create(client)
    answer = await client.post(f"{PATH}/{made['id']}/cancel")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_in_background")


async def test_background(client: httpx.AsyncClient, service: Any, events: Any) -> None:
    go = asyncio.Event()
    service.script = [events.started(), events.text("Hel"), go, *events.answer("lo")[1:]]
    made = await create(client, background=True)
    assert (made["status"], made["output"], made["background"]) == ("queued", [], True)
    running = await until(client, made["id"], "in_progress")
    assert running["usage"] is None
    items = (await client.get(f"{PATH}/{made['id']}/input_items")).json()
    assert items["data"][0]["content"][0]["text"] == "Hi"
    go.set()
    done = await until(client, made["id"], "completed")
    assert done["output"][0]["content"][0]["text"] == "Hello"
    again = await client.post(f"{PATH}/{made['id']}/cancel")
    assert again.json() == done


async def test_background_that_fails(client: httpx.AsyncClient, service: Any, failure: Any) -> None:
    service.script = [
        failure(grpc.StatusCode.NOT_FOUND, "no", "MODEL_NOT_FOUND", {"model": "smollm"})
    ]
    made = await create(client, background=True)
    failed = await until(client, made["id"], "failed")
    assert failed["error"]["code"] == "invalid_prompt"
    assert "does not exist" in failed["error"]["message"]


async def test_background_that_is_cancelled(
    client: httpx.AsyncClient, service: Any, events: Any
) -> None:
    service.script = [events.started(), events.text("Hel"), asyncio.Event()]
    made = await create(client, background=True)
    await until(client, made["id"], "in_progress")
    cancelled = (await client.post(f"{PATH}/{made['id']}/cancel")).json()
    assert cancelled["status"] == "cancelled"
    await asyncio.wait_for(service.cancelled.wait(), 5)
    assert (await client.post(f"{PATH}/{made['id']}/cancel")).json() == cancelled
    assert (await client.get(f"{PATH}/{made['id']}")).json() == cancelled


async def test_background_that_is_deleted(
    client: httpx.AsyncClient, service: Any, events: Any
) -> None:
    service.script = [events.started(), asyncio.Event()]
    made = await create(client, background=True)
    await service.started.wait()
    assert (await client.delete(f"{PATH}/{made['id']}")).json()["deleted"]
    await asyncio.wait_for(service.cancelled.wait(), 5)
    assert (await client.get(f"{PATH}/{made['id']}")).status_code == 404


@pytest.fixture
def crowded(config: Any, upstream: Any, keys: Any) -> Any:
    """An application that runs one response in the background, and no more."""
    return create_app(
        config.model_copy(update={"response_background_max_running": 1}), upstream, keys
    )


async def test_background_is_bounded_and_ends_with_the_application(
    crowded: Any, key: str, service: Any, events: Any
) -> None:
    service.script = [events.started(), asyncio.Event()]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(crowded),
        base_url="http://gateway",
        headers={"authorization": f"Bearer {key}"},
    ) as client:
        made = await create(client, background=True)
        refused = await client.post(PATH, json=ASK | {"background": True})
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "background_full"
        await service.started.wait()
        await crowded.state.background.close()
        await asyncio.wait_for(service.cancelled.wait(), 5)
        ended = (await client.get(f"{PATH}/{made['id']}")).json()
        assert ended["status"] == "cancelled"
