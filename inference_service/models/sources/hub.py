"""What a hub says of a repository: its files, their sizes and their checksums."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_service.models.sources.errors import (
    ModelRefused,
    PullError,
    SourceNotAllowed,
    SourceNotFound,
    SourceUnreachable,
)

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_BUSY = (408, 429)


@dataclass(frozen=True)
class HubFile:
    """A file in a repository.

    Attributes:
        path: Its path, as the hub says; it may be anything.
        size: Bytes.
        digest: SHA-256 of a large file, in hexadecimal; of others, the SHA-1 of git.
        url: Where its bytes are.

    """

    path: str
    size: int
    digest: str
    url: str

    @property
    def has_sha256(self) -> bool:
        """Whether the digest is a SHA-256."""
        return len(self.digest) == 64


class Hub:
    """The Hugging Face hub, or what `HF_ENDPOINT` names in its place.

    Args:
        token: Who asks; None is nobody, also where the user has logged in.

    """

    def __init__(self, token: str | None) -> None:
        # Its telemetry asks the hub for a list of programs that may have started this one.
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import huggingface_hub

        huggingface_hub.logging.set_verbosity(
            logging.ERROR
        )  # its warnings have signed addresses in them
        self._api = huggingface_hub.HfApi(token=token or False, library_name="openvino-server")

    @staticmethod
    def is_offline() -> bool:
        """Whether `HF_HUB_OFFLINE` says that there is no hub."""
        import huggingface_hub

        return huggingface_hub.is_offline_mode()

    def headers(self) -> dict[str, str]:
        """Give the headers of a request for a file."""
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        headers: dict[str, str] = build_hf_headers(
            token=self._api.token, library_name=self._api.library_name
        )
        # A part of compressed bytes is not a part of the file.
        return headers | {"Accept-Encoding": "identity"}

    def files(self, repository: str, revision: str | None) -> list[HubFile]:
        """List the files of a repository as one commit has them.

        Raises:
            PullError: The hub doesn't answer, or not with a list of files.

        """
        import httpx2
        from huggingface_hub import constants, hf_hub_url
        from huggingface_hub.errors import HfHubHTTPError

        source = f"hf:{repository}"
        try:
            info = self._api.model_info(
                repository,
                revision=revision,
                files_metadata=True,
                timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
            )
        except HfHubHTTPError as error:
            raise failure(error.response.status_code, source, revision) from error
        except httpx2.HTTPError as error:
            raise SourceUnreachable(
                f"the hub doesn't answer, so {source} couldn't be fetched ({type(error).__name__})"
            ) from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise SourceUnreachable(f"what answered for {source} is no hub") from error
        if not isinstance(info.sha, str) or not _SHA1.fullmatch(info.sha):
            raise SourceUnreachable(f"the hub names no commit of {source}")
        commit = info.sha
        if not all(isinstance(sibling.rfilename, str) for sibling in info.siblings or ()):
            raise ModelRefused(f"the hub has a file without a name in {source}")
        return [
            _file(
                sibling,
                hf_hub_url(
                    repository, sibling.rfilename, revision=commit, endpoint=self._api.endpoint
                ),
                source,
            )
            for sibling in info.siblings or ()
        ]


def _file(sibling: RepoSibling, url: str, source: str) -> HubFile:
    lfs = sibling.lfs
    size, digest = (lfs.size, lfs.sha256) if lfs else (sibling.size, sibling.blob_id)
    known = isinstance(size, int) and size >= 0 and isinstance(digest, str)
    if not known or not (_SHA256 if lfs else _SHA1).fullmatch(str(digest)):
        raise ModelRefused(f"the hub has no size and checksum of {sibling.rfilename!r} in {source}")
    return HubFile(sibling.rfilename, int(size or 0), str(digest), url)


def failure(status: int, source: str, revision: str | None = None) -> PullError:
    """Say what an HTTP status of the hub means for a source."""
    if status in (401, 403):
        return SourceNotAllowed(
            f"the hub doesn't let this server have {source}: it is private or gated or not there, "
            "and the token, if one was given, doesn't open it"
        )
    if status == 404:
        what = f" at revision {revision!r}" if revision is not None else ""
        return SourceNotFound(f"the hub has no {source}{what}")
    if status in _BUSY or status >= 500:
        return SourceUnreachable(f"the hub can't serve {source} now (HTTP status {status})")
    return ModelRefused(f"the hub refused to serve {source} (HTTP status {status})")
