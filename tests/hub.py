"""A hub on loopback that speaks the Hugging Face hub's protocol as `huggingface_hub` uses it.

Large files are served by a second port, as the hub has them served by another host. What goes wrong
at a hub can be asked for: slow, broken-off and damaged transfers, and private repositories.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

LARGE_BYTES = 4096
"""From this size on, a file has a SHA-256 and is served by the other port."""

_CHUNK_BYTES = 16384


@dataclass
class Repository:
    """A repository: for each revision, its files; and who may have them.

    Attributes:
        revisions: Files by their path, for the name of each branch or tag.
        token: The token that opens it; None is none.
        gated: Whether it is there for all to see, and not for all to have.
        extra: Entries of the list of files that are as they are written here.

    """

    revisions: dict[str, dict[str, bytes]]
    token: str | None = None
    gated: bool = False
    extra: list[dict[str, Any]] = field(default_factory=list)

    def commit(self, revision: str) -> str | None:
        """Give the commit of a branch, a tag or a commit."""
        for name, files in self.revisions.items():
            digests = sorted((path, hashlib.sha1(data).hexdigest()) for path, data in files.items())
            commit = hashlib.sha1(repr(digests).encode()).hexdigest()
            if revision in (name, commit):
                return commit
        return None

    def files(self, commit: str) -> dict[str, bytes]:
        return next(files for name, files in self.revisions.items() if self.commit(name) == commit)


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    port: str
    path: str
    authorization: str | None
    range: str | None


class Hub:
    """The hub, and what it was asked.

    Attributes:
        endpoint: Its address.
        repositories: By `OWNER/NAME`.
        requests: What came, in order.
        served_bytes: Bytes of files that were sent.
        bytes_per_second: How fast a file is sent; None is as fast as possible.
        break_after: How many bytes of a file are sent, by its path, before the connection is cut.
        damaged: Paths of files of which another byte is sent.
        ignore_ranges: Whether files are always sent whole.
        statuses: HTTP statuses to answer requests for files with, before any file is sent.

    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Asked] = []
        self.served_bytes = 0
        self.bytes_per_second: float | None = None
        self.break_after: dict[str, int] = {}
        self.damaged: set[str] = set()
        self.ignore_ranges = False
        self.statuses: list[int] = []
        self.lock = threading.Lock()
        self.served = threading.Condition(self.lock)
        self.endpoint = ""
        self.storage = ""

    def add(self, repository: str, files: dict[str, bytes], revision: str = "main") -> Repository:
        """Put files into a repository, which is made if it isn't there."""
        found = self.repositories.setdefault(repository, Repository({}))
        found.revisions[revision] = files
        return found

    def asked_for(self, part: str) -> list[Asked]:
        """Give the requests with a text in their path."""
        return [asked for asked in self.requests if part in asked.path]

    def wait_for_served(self, count: int, seconds: float = 20) -> None:
        """Wait until so many bytes of files were sent in all."""
        with self.served:
            assert self.served.wait_for(lambda: self.served_bytes >= count, seconds)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub
    port: str
    _extra: Mapping[str, str] = MappingProxyType({})

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        with self.hub.lock:
            self.hub.requests.append(
                Asked(
                    self.command,
                    self.port,
                    unquote(url.path),
                    self.headers.get("Authorization"),
                    self.headers.get("Range"),
                )
            )
        parts = url.path.strip("/").split("/")
        if self.port == "storage":
            self._send_file(*(unquote(part) for part in parse_qs(url.query)["file"]))
        elif parts[:2] == ["api", "models"]:
            self._send_listing("/".join(parts[2:4]), parts[4:], parse_qs(url.query))
        elif len(parts) > 4 and parts[2] == "resolve":
            self._resolve("/".join(parts[:2]), parts[3], unquote("/".join(parts[4:])))
        else:
            self._fail(404, "EntryNotFound")

    def _send_listing(self, name: str, rest: list[str], query: dict[str, list[str]]) -> None:
        revision = unquote(rest[1]) if rest[:1] == ["revision"] else "main"
        repository = self._repository(name)
        if repository is None:
            return
        commit = repository.commit(revision)
        if commit is None:
            self._fail(404, "RevisionNotFound")
            return
        blobs = query.get("blobs", ["false"])[0].lower() == "true"
        files = repository.files(commit)
        siblings = [_sibling(path, data, blobs) for path, data in files.items()]
        body = {"id": name, "sha": commit, "siblings": [*siblings, *repository.extra]}
        self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _resolve(self, name: str, revision: str, path: str) -> None:
        repository = self._repository(name)
        if repository is None:
            return
        if repository.gated:
            self._fail(403, "GatedRepo")
            return
        commit = repository.commit(revision)
        if commit is None or path not in repository.files(commit):
            self._fail(404, "EntryNotFound" if commit else "RevisionNotFound")
            return
        data = repository.files(commit)[path]
        self._extra = {
            "X-Repo-Commit": commit,
            "ETag": f'"{_blob_id(data)}"',
            "Accept-Ranges": "bytes",
        }
        if len(data) < LARGE_BYTES:
            self._send_file(name, commit, path)
            return
        self._extra = {
            **self._extra,
            "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
            "X-Linked-Size": str(len(data)),
            "Location": f"{self.hub.storage}/blob?"
            + "&".join(f"file={quote(quote(part, safe=''))}" for part in (name, commit, path)),
        }
        self._send(302, b"", self._extra)

    def _repository(self, name: str) -> Repository | None:
        """Find a repository, or answer as the hub does for one that isn't for this caller."""
        repository = self.hub.repositories.get(name)
        if repository is None:
            self._fail(404, "RepoNotFound")
        elif repository.token and self.headers.get("Authorization") != f"Bearer {repository.token}":
            self._fail(401, "RepoNotFound")
        else:
            return repository
        return None

    def _send_file(self, name: str, commit: str, path: str) -> None:
        if self.hub.statuses:
            self._fail(self.hub.statuses.pop(0), None)
            return
        data = self.hub.repositories[name].files(commit)[path]
        if path in self.hub.damaged:
            data = data[:-1] + bytes([data[-1] ^ 1])
        asked, start = self.headers.get("Range"), 0
        headers = dict(self._extra)
        if asked and not self.hub.ignore_ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._head(206 if "Content-Range" in headers else 200, len(data) - start, headers)
        if self.command == "HEAD":
            return
        end = min(len(data), start + self.hub.break_after.get(path, len(data)))
        while start < end:
            chunk = data[start : min(start + _CHUNK_BYTES, end)]
            if self.hub.bytes_per_second:
                time.sleep(len(chunk) / self.hub.bytes_per_second)
            try:
                self.wfile.write(chunk)
            except OSError:  # the client is gone
                self.close_connection = True
                return
            start += len(chunk)
            with self.hub.served:
                self.hub.served_bytes += len(chunk)
                self.hub.served.notify_all()
        if end < len(data):
            self.close_connection = True

    def _fail(self, status: int, code: str | None) -> None:
        headers = {"X-Error-Code": code} if code else {}
        self._send(status, b'{"error": "no"}', headers)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self._head(status, len(body), headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def _sibling(path: str, data: bytes, blobs: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"rfilename": path}
    if blobs:
        entry |= {"size": len(data), "blobId": _blob_id(data)}
        if len(data) >= LARGE_BYTES:
            sha256 = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"size": len(data), "sha256": sha256, "pointerSize": 134}
    return entry


def _blob_id(data: bytes) -> str:
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """Run a hub."""
    hub = Hub()
    servers = []
    for port in ("hub", "storage"):
        handler = type("Handler", (_Handler,), {"hub": hub, "port": port})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
    hub.endpoint, hub.storage = (f"http://127.0.0.1:{server.server_port}" for server, _ in servers)
    try:
        yield hub
    finally:
        for server, thread in servers:
            server.shutdown()
            thread.join()
            server.server_close()
