"""A server for other clients, and models by name."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
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


def test_ctrl_c_ends_the_wait_for_a_download(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                os.kill(os.getpid(), signal.SIGINT)
                # No byte of an answer comes.
                over.wait(20)

        over = threading.Event()
        server = threading.Thread(target=serve)
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/model.gguf"
        began = time.monotonic()
        try:
            with pytest.raises(KeyboardInterrupt):
                lt.models.ensure(url, {"home": str(tmp_path)}, progress=None)
            assert time.monotonic() - began < 10
        finally:
            over.set()
            server.join()
