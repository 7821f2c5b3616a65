"""Checks ports before anything is started that needs them."""

from __future__ import annotations

import errno
import socket

from openvino_server_cli.errors import Failure

HOST = "127.0.0.1"


def require_free(ports: dict[str, int]) -> None:
    """Check that ports can be listened on.

    Args:
        ports: The port of each flag.

    Raises:
        Failure: One is in use or not permitted, or two are the same.

    """
    if len(set(ports.values())) < len(ports):
        raise Failure(f"{' and '.join(ports)} must be different ports")
    for flag, port in ports.items():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # Connections of a server that has just ended don't count as use.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
                probe.listen()
            except OSError as error:
                in_use = error.errno == errno.EADDRINUSE
                why = "is in use" if in_use else f"can't be used ({error.strerror})"
                raise Failure(f"port {port} {why}; choose another by {flag}") from error
