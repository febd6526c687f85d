"""Keyword arguments as keys of the settings (``llt config show`` lists them all)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict, Union

Value = Union[str, int, float, bool, Sequence[str], None]


class LoadSettings(TypedDict, total=False):
    """What can be chosen when a model is loaded; what is not given is left to llama-server."""

    context: int
    """Context length in tokens, of all slots together."""
    parallel: int
    """Slots: requests answered at the same time."""
    threads: int
    """Threads that compute."""
    gpu_layers: Union[int, str]
    """Layers kept on GPUs; ``"all"``."""
    devices: Sequence[str]
    """Devices to use, by llama.cpp's names (``CUDA0``)."""
    server_args: Sequence[str]
    """Further arguments for llama-server."""
    offline: bool
    """Contact nothing outside this machine."""
    home: str
    """Folder that all state lives in."""


_KEYS = {
    "context": "server.context",
    "parallel": "server.parallel",
    "threads": "server.threads",
    "gpu_layers": "server.gpu_layers",
    "devices": "server.devices",
    "server_args": "server.extra_args",
    "offline": "network.offline",
    "home": "home",
}


def keys(named: Mapping[str, object], settings: Mapping[str, Value] | None) -> dict[str, object]:
    """One mapping by settings' keys."""
    unknown = [name for name in named if name not in _KEYS]
    if unknown:
        known = ", ".join(_KEYS)
        raise TypeError(f"unknown argument {unknown[0]!r}; there are {known}, or settings={{...}}")
    return {**{_KEYS[name]: value for name, value in named.items()}, **(settings or {})}
