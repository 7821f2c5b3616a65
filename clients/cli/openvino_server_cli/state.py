"""The state folder: where each file is that `openvino-server up` keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openvino_server_cli.errors import Failure
from openvino_server_cli.files import locked


@dataclass(frozen=True)
class State:
    """A state folder."""

    root: Path

    @property
    def certs(self) -> Path:
        """The folder of certificates."""
        return self.root / "certs"

    @property
    def models(self) -> Path:
        """The folder of models."""
        return self.root / "models"

    @property
    def logs(self) -> Path:
        """The folder of logs."""
        return self.root / "log"

    @property
    def keys_file(self) -> Path:
        """The database of API keys."""
        return self.root / "keys.json"

    @property
    def client_env(self) -> Path:
        """The settings of a client's shell."""
        return self.root / "client.env"

    def make_folders(self) -> None:
        """Make the folders in it that others write into."""
        for folder in (self.models, self.logs):
            folder.mkdir(exist_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and keep other launchers out of it.

        Raises:
            Failure: Another launcher is there, or it is no folder.

        """
        if self.root.exists() and not self.root.is_dir():
            raise Failure(f"{self.root} is a file, not a folder; choose a folder by --state-dir")
        self.root.mkdir(parents=True, exist_ok=True)
        lock = self.root / ".up.lock"
        try:
            with locked(lock, wait=False):
                yield
        except BlockingIOError as error:
            holder = lock.read_text().strip()
            raise Failure(
                f"another `openvino-server up` (process {holder}) runs with the state folder "
                f"{self.root}; end it first, or choose another folder by --state-dir"
            ) from error
