"""Asks the gateway whether the whole server answers."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from pathlib import Path

_TIMEOUT_SECONDS = 5.0


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

    async def __call__(self) -> bool:
        """Ask once."""
        return await asyncio.to_thread(self._ask)

    def _ask(self) -> bool:
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=_TIMEOUT_SECONDS, context=self._tls
        )
        try:
            connection.request("GET", "/v1/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except ssl.SSLCertVerificationError:
            raise
        except (OSError, http.client.HTTPException):
            # Nobody listens yet, or whoever did went away: it is not ready.
            return False
        finally:
            connection.close()
