"""The API key that `openvino-server up` makes for its user."""

from __future__ import annotations

from openvino_server_cli import client_env
from openvino_server_cli.keys import opened
from openvino_server_cli.state import State

_NAME = "local"


def kept_or_new(state: State) -> tuple[str, bool]:
    """Give the key of `client.env` if it is still valid, else a new one.

    Returns:
        The key's text, and whether it is new.

    """
    key = client_env.read_api_key(state.client_env)
    with opened(state.keys_file) as store:
        if key is not None and store.verify(key) is not None:
            return key, False
        _, key = store.create(_NAME)
    return key, True
