"""A server and no engine: an address that any client can use."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._native import Server
from ._progress import Progress, listener
from ._settings import Value, keys

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ._settings import LoadSettings

__all__ = ["ServerManager"]


class ServerManager:
    """Keeps one ``llama-server`` with its model running, on a loopback port behind a key.

    A server that crashes is restarted, with a growing pause; its address and key change then.
    """

    def __init__(self) -> None:
        self._server = Server()

    def start_server(
        self,
        model: str,
        *,
        settings: Mapping[str, Value] | None = None,
        progress: Progress = "auto",
        **chosen: Unpack[LoadSettings],
    ) -> Self:
        """Finds or builds llama.cpp, fetches the model, starts the server and returns once the
        model is loaded."""
        self._server.start(model, keys(chosen, settings), listener(progress))
        return self

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._server.is_running

    @property
    def restarts(self) -> int:
        """How often the server was restarted."""
        return self._server.restarts

    @property
    def server_url(self) -> str:
        """The address of the server that runs now."""
        return self._server.address()[0]

    @property
    def base_url(self) -> str:
        """The address that OpenAI's clients take: it ends in ``/v1``."""
        return f"{self.server_url}/v1"

    @property
    def api_key(self) -> str | None:
        """The key that the server asks for."""
        return self._server.address()[1]

    def openai(self) -> Any:
        """OpenAI's own client for this server (the extra ``openai``)."""
        try:
            from openai import OpenAI  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            from .errors import NotAvailableError

            raise NotAvailableError(
                "the package `openai` is not installed: pip install 'llamatelemetry[openai]'"
            ) from None
        url, key = self._server.address()
        return OpenAI(base_url=f"{url}/v1", api_key=key or "none")

    def stop_server(self) -> None:
        """Stops it and waits until it is gone. Does nothing twice."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop_server()
