"""LoRA adapters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openvino_genai as genai
import pytest

from inference_service.engine import frames
from inference_service.engine.settings import Adapter, Speculation
from inference_service.worker import sized_pipeline
from inference_service.worker.failures import LoadFailure
from inference_service.worker.pipeline import OpenVinoPipeline
from tests import tiny_llama
from tests.integration.engine.tiny_engine import (
    DYNAMIC,
    STATIC,
    conversation,
    engine,
    greedy,
    load,
    mixed_requests,
    run,
    stepped_alone,
    texts,
)
from tests.integration.test_engine_facts import SAMPLING, replace


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Adapter]:
    folder = tmp_path_factory.mktemp("adapters")
    files = {
        name: tiny_llama.write_adapter(folder / f"{name}.safetensors", seed=seed)
        for seed, name in enumerate("ab")
    }
    return {name: Adapter(file=str(file)) for name, file in files.items()}


@pytest.fixture(scope="module")
def adapted(tiny_model: Path, adapters: dict[str, Adapter]) -> OpenVinoPipeline:
    return load(tiny_model, adapters=adapters)


@pytest.fixture(scope="module")
def expected(
    tiny_model: Path, adapters: dict[str, Adapter]
) -> Callable[[str | None, tuple[int, ...]], list[int]]:
    """Give a function that generates with an adapter that is a fixed part of the model."""
    fused = {
        name: engine(tiny_model, adapters=genai.AdapterConfig(genai.Adapter(adapter.file), STATIC))
        for name, adapter in adapters.items()
    }
    fused |= {None: engine(tiny_model)}
    return lambda name, prompt: stepped_alone(fused[name], prompt)


def test_requests_of_several_at_once_each_have_their_own(
    adapted: OpenVinoPipeline,
    expected: Callable[[str | None, tuple[int, ...]], list[int]],
) -> None:
    assert adapted.adapters == {"a", "b"}
    assert not adapted.prefix_caching
    sampling = replace(SAMPLING, max_tokens=20, ignore_eos=True)
    choices = [None, "a", "b"]
    requests = [
        frames.Submit(number, conversation(40, number // 3), sampling, adapter=choices[number % 3])
        for number in range(1, 13)
    ]
    said = run(adapted, requests, at_once=5)
    wanted = [
        adapted.detokenizer().push(expected(request.adapter, request.prompt))
        for request in requests
    ]
    assert [text for (text,) in texts(said)] == wanted
    assert len(set(wanted)) == len(wanted)


def test_strength_is_that_of_the_settings(tiny_model: Path, adapters: dict[str, Adapter]) -> None:
    none = {"a": replace(adapters["a"], alpha=0.0)}
    sampling = replace(SAMPLING, max_tokens=20, ignore_eos=True)
    prompt = conversation(40)
    said = run(
        load(tiny_model, adapters=none),
        [frames.Submit(1, prompt, sampling), frames.Submit(2, prompt, sampling, adapter="a")],
    )
    plain, without_strength = texts(said)
    assert plain == without_strength


def test_combine_with_prompt_lookup(
    tiny_model: Path, adapted: OpenVinoPipeline, adapters: dict[str, Adapter]
) -> None:
    requests = [
        replace(request, adapter=[None, "a", "b"][request.request_id % 3])
        for request in mixed_requests(30)
    ]
    guessing = load(tiny_model, adapters=adapters, speculation=Speculation())
    assert texts(run(guessing, requests)) == texts(run(adapted, requests))


def test_engine_takes_no_heed_of_what_a_request_asks(
    tiny_model: Path, adapters: dict[str, Adapter]
) -> None:
    """If this fails, the engine has been mended, and adapters need take no turns."""
    a, b = (genai.Adapter(adapter.file) for adapter in adapters.values())
    pipeline = engine(tiny_model, adapters=genai.AdapterConfig([a, b], DYNAMIC))
    prompt = conversation(40)
    asked = stepped_alone(pipeline, prompt, adapters=genai.AdapterConfig(a))
    assert asked == stepped_alone(engine(tiny_model), prompt)


def test_engine_shares_prefixes_among_adapters(
    tiny_model: Path, adapters: dict[str, Adapter]
) -> None:
    """If this fails, the engine has been mended, and prefixes may be cached."""
    both = [genai.Adapter(adapter.file) for adapter in adapters.values()]
    config = genai.AdapterConfig(both, DYNAMIC)
    prompt = conversation(300)
    alone, after = (engine(tiny_model, prefixes=True, adapters=config) for _ in range(2))
    for pipeline, used in ((alone, both[1:]), (after, both)):
        for adapter in used:
            chosen = genai.AdapterConfig(adapter)
            pipeline.generate([sized_pipeline.SHORTEST_PROMPT], [greedy(1, adapters=chosen)])
            made = stepped_alone(pipeline, prompt)
        if pipeline is alone:
            expected = made
    assert made != expected


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        (None, "invalid_settings", "there is no such file"),
        (b"junk" * 100, "invalid_files", "can't be read"),
        ({"hidden": 128}, "invalid_settings", r"for a layer of \(256, 128\)"),
        ({"layers": 3}, "invalid_settings", "has no layer 'base_model.model.model.layers.2"),
    ],
)
def test_that_does_not_fit_is_refused(
    tiny_model: Path, tmp_path: Path, content: Any, kind: str, why: str
) -> None:
    file = tmp_path / "adapter.safetensors"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content:
        tiny_llama.write_adapter(file, **content)
    with pytest.raises(LoadFailure, match=why) as raised:
        load(tiny_model, adapters={"a": Adapter(file=str(file))})
    assert raised.value.kind == kind
    assert "adapters.a.file" in str(raised.value)
