"""The API key that `openvino-server up` makes for its user."""

from __future__ import annotations

from openvino_server_cli import client_env
from openvino_server_cli.keys import opened
from openvino_server_cli.state import State

_NAME = "local"


def kept_or_new(state: State) -> tuple[str, bool]:
    """Give the key of `client.env` if it is still valid and has every scope, else a new one.

    One that was made before there were scopes stays as it is, for what it could do until then: it
    may be in use elsewhere. The user of this machine, who can make any key, gets a new one.

    Returns:
        The key's text, and whether it is new.

    """
    from rest_gateway.auth.scopes import SCOPES, has_all

    key = client_env.read_api_key(state.client_env)
    with opened(state.keys_file) as store:
        record = None if key is None else store.verify(key)
        if key is not None and record is not None and has_all(record.scopes):
            return key, False
        _, key = store.create(_NAME, SCOPES)
    return key, True
