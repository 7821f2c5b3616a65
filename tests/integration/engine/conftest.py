"""Models for tests of what settings do to the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_service.worker.pipeline import OpenVinoPipeline
from tests import tiny_llama
from tests.integration.engine.tiny_engine import load


@pytest.fixture(scope="session")
def repeating_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose completions repeat themselves in part, so that some guesses are right."""
    return tiny_llama.write_ir(tmp_path_factory.mktemp("repeating") / "model", mixing=0.2)


@pytest.fixture(scope="session")
def plain(repeating_model: Path) -> OpenVinoPipeline:
    """That model without guessing."""
    return load(repeating_model)
