"""The real llama-server and a real model, from the prepared test home."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import llamatelemetry as lt


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """A home of its own, and the llama-server that the other tests use."""
    return {
        "home": str(tmp_path_factory.mktemp("home")),
        "network.offline": True,
        "runtime.server_path": os.environ["LLAMATELEMETRY_TEST_LLAMA_SERVER"],
    }


@pytest.fixture(scope="session")
def model() -> str:
    """The file of a small real model."""
    return os.environ["LLAMATELEMETRY_TEST_MODEL"]


@pytest.fixture(scope="session")
def llm(model: str, settings: dict[str, object]) -> Iterator[lt.InferenceEngine]:
    """An engine with two slots."""
    with lt.load(model, context=1024, parallel=2, settings=settings) as engine:
        yield engine
