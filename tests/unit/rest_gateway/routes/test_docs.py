import re
from typing import Any

import httpx
import pytest


@pytest.fixture
async def stranger(app: Any) -> Any:
    """A client without a key."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


async def test_the_page_is_whole_without_a_key_or_a_network(stranger: httpx.AsyncClient) -> None:
    page = await stranger.get("/docs")
    assert page.status_code == 200
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 4
    for link in links:
        if link.startswith("data:"):
            continue
        assert not link.startswith(("http", "/"))
        file = await stranger.get(f"/{link}")
        assert file.status_code == 200
        assert len(file.content) > 100
        kind = "text/css" if link.endswith(".css") else "text/javascript"
        assert file.headers["content-type"].startswith(kind)


async def test_the_page_may_load_nothing_from_elsewhere(stranger: httpx.AsyncClient) -> None:
    policy = (await stranger.get("/docs")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert scripts == "script-src 'self'"


async def test_the_document_is_there_without_a_key(stranger: httpx.AsyncClient) -> None:
    document = (await stranger.get("/openapi.json")).json()
    assert "/v1/chat/completions" in document["paths"]


async def test_writing_there_needs_a_key(stranger: httpx.AsyncClient) -> None:
    for path in ("/docs", "/openapi.json"):
        assert (await stranger.post(path)).status_code == 401
