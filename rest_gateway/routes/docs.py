"""`GET /openapi.json`, and `GET /docs`: a page that shows it, whole without a network."""

from __future__ import annotations

from importlib import resources

from fastapi import APIRouter
from starlette.responses import Response

_STATIC = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
}
_START = b"""\
window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#docs",
    deepLinking: true,
    persistAuthorization: false,
    validatorUrl: null,
  });
};
"""
_PAGE = b"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>OpenVINO-Server</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# The page may load its own files and call this server, and nothing else.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff"}


def docs_router(document: bytes) -> APIRouter:
    """Make the routes of the documentation.

    Args:
        document: The OpenAPI document, as JSON.

    """
    router = APIRouter()
    static = resources.files("fastapi_offline") / "static"
    files = {name: (static / name).read_bytes() for name in _STATIC}

    @router.get("/openapi.json")
    async def openapi() -> Response:
        return Response(document, media_type="application/json")

    @router.get("/docs")
    async def docs() -> Response:
        return Response(_PAGE, headers=_HEADERS, media_type="text/html")

    @router.get("/docs/start.js")
    async def start() -> Response:
        return Response(_START, headers=_HEADERS, media_type="text/javascript")

    def add(name: str, media_type: str) -> None:
        @router.get(f"/docs/{name}")
        async def file() -> Response:
            headers = {**_HEADERS, "cache-control": "max-age=3600"}
            return Response(files[name], headers=headers, media_type=media_type)

    for name, media_type in _STATIC.items():
        add(name, media_type)
    return router
