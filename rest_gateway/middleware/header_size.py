"""Refuses requests whose line and headers are over a limit.

Not as ASGI, which begins when the headers are whole: httptools keeps headers of any size, and
nobody has shown a key yet.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rest_gateway.openai import errors

MAX_HEADER_BYTES = 64 << 10


class HeaderSizeProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a bound on what it keeps before a request begins.

    Trailers count too, as they are kept with the headers.
    """

    _kept = 0  # bytes of the request's line, headers and trailers
    _held = 0  # bytes received since headers last ended, or a piece of a body did

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._held += len(data)
        super().data_received(data)
        if max(self._kept, self._held) > MAX_HEADER_BYTES and not self.transport.is_closing():
            self._refuse()

    def send_400_response(self, msg: str) -> None:
        """Answer what can't be parsed, or what the parser was stopped at."""
        if self._kept > MAX_HEADER_BYTES:
            self._refuse()
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._kept = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count a piece of the request's line."""
        self._keep(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header."""
        self._keep(len(name) + len(value) + 4)  # with `: ` and the end of the line
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin the request."""
        self._held = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on; its size has a limit of its own."""
        self._held = 0
        super().on_body(body)

    def _keep(self, size: int) -> None:
        """Count what the parser gave out.

        Raises:
            ValueError: It is too much; the parser stops.

        """
        self._kept += size
        if self._kept > MAX_HEADER_BYTES:
            raise ValueError("headers too large")

    def _refuse(self) -> None:
        body = errors.headers_too_large(MAX_HEADER_BYTES).body()
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
            b"content-type: application/json\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(body), body)
        )
        self.transport.close()
