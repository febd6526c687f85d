"""A server for other clients, and models by name."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import llamatelemetry as lt


def test_a_server_answers_to_its_key_alone(model: str, settings: dict[str, object]) -> None:
    with lt.ServerManager().start_server(model, context=256, settings=settings) as server:
        address = f"{server.base_url}/models"
        headers = {"Authorization": f"Bearer {server.api_key}"}
        request = urllib.request.Request(f"{server.server_url}/props", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert "default_generation_settings" in json.load(answer)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{server.server_url}/props", timeout=30)
        assert address.startswith("http://127.0.0.1:")
    assert not server.is_running


def test_models_are_found_by_path(model: str, settings: dict[str, object]) -> None:
    found = lt.models.find(model, settings)
    assert found.path == Path(model)
    assert found.size == Path(model).stat().st_size
