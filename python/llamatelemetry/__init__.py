"""Run any GGUF model on your own machine and see what it does.

>>> import llamatelemetry as lt
>>> with lt.load("smollm2") as llm:          # doctest: +SKIP
...     print(llm.chat("Explain CUDA in one sentence.").text)

Importing this package starts nothing and downloads nothing: the first call that needs llama.cpp or
a model finds, builds or fetches it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._native import Energy, InferResult, Stream, Telemetry, Timings, Usage, __version__
    from .engine import AsyncInferenceEngine, InferenceEngine, load
    from .errors import (
        ForkedError,
        LlamaTelemetryError,
        ModelError,
        NotAvailableError,
        NotLoadedError,
        RequestError,
        RuntimeInstallError,
        ServerError,
        SettingsError,
        TelemetryError,
    )
    from .server import ServerManager
    from .telemetry import setup_telemetry

__all__ = [
    "AsyncInferenceEngine",
    "Energy",
    "ForkedError",
    "InferResult",
    "InferenceEngine",
    "LlamaTelemetryError",
    "ModelError",
    "NotAvailableError",
    "NotLoadedError",
    "RequestError",
    "RuntimeInstallError",
    "ServerError",
    "ServerManager",
    "SettingsError",
    "Stream",
    "Telemetry",
    "TelemetryError",
    "Timings",
    "Usage",
    "__version__",
    "load",
    "setup_telemetry",
]

# Where each name lives. Modules are imported when a name of theirs is first asked for, so that
# importing the package costs next to nothing.
_HOMES = {
    **dict.fromkeys(
        ("Energy", "InferResult", "Stream", "Telemetry", "Timings", "Usage", "__version__"),
        "_native",
    ),
    **dict.fromkeys(("AsyncInferenceEngine", "InferenceEngine", "load"), "engine"),
    **dict.fromkeys((name for name in __all__ if name.endswith("Error")), "errors"),
    "ServerManager": "server",
    "setup_telemetry": "telemetry",
}
_MODULES = frozenset(
    ("api", "core", "cuda", "engine", "errors", "graphistry", "inference", "louie", "models")
    + ("server", "telemetry")
)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
