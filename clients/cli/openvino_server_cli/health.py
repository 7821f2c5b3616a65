"""Asks the gateway whether the whole server answers."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_TIMEOUT_SECONDS = 5.0
_MAX_BODY_BYTES = 1 << 20


@dataclass(frozen=True)
class Health:
    """What the gateway answered.

    Attributes:
        ready: Whether requests are answered.
        reason: Why they are not, in the gateway's words; None if it did not say.
        models: The state of each model that is not ready, as far as the gateway knows.
        reached: Whether the gateway answered at all.

    """

    ready: bool = False
    reason: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    reached: bool = True


class HealthProbe:
    """Polls `GET /v1/health`, which is 200 once the service has its models.

    Args:
        host: The gateway's address.
        port: The gateway's port.
        ca: The CA that its certificate must come from.

    """

    def __init__(self, host: str, port: int, ca: Path) -> None:
        self._host = host
        self._port = port
        self._tls = ssl.create_default_context(cafile=str(ca))

    async def __call__(self) -> Health:
        """Ask once."""
        return await asyncio.to_thread(self._ask)

    def _ask(self) -> Health:
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=_TIMEOUT_SECONDS, context=self._tls
        )
        try:
            connection.request("GET", "/v1/health")
            response = connection.getresponse()
            return health_from(response.status, response.read(_MAX_BODY_BYTES))
        except ssl.SSLCertVerificationError:
            raise
        except (OSError, http.client.HTTPException):
            # Nobody listens yet, or whoever did went away: it is not ready.
            return Health(reached=False)
        finally:
            connection.close()


def health_from(status: int, body: bytes) -> Health:
    """Read an answer; what it does not say, or not in the form that is expected, is left out."""
    if status == http.HTTPStatus.OK:
        return Health(ready=True)
    try:
        content = json.loads(body)
    except ValueError:
        return Health()
    if not isinstance(content, dict):
        return Health()
    reason, models = content.get("reason"), content.get("models")
    return Health(
        reason=reason if isinstance(reason, str) else None,
        models={str(name): str(state) for name, state in models.items()}
        if isinstance(models, dict)
        else {},
    )
