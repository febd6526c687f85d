"""Models by name: what is on this machine, and fetching what is not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from . import _native
from ._progress import Progress, listener
from ._settings import Value

__all__ = ["Model", "ensure", "find", "list"]

_list = list


class Model(NamedTuple):
    """A model on this machine."""

    name: str
    path: Path
    """The file to load; of a split model the first."""
    size: int | None
    """Bytes of that file."""


def _model(row: tuple[str, str, int | None]) -> Model:
    return Model(row[0], Path(row[1]), row[2])


def list(settings: Mapping[str, Value] | None = None) -> _list[Model]:
    """Every model on this machine, those in other programs' caches included."""
    return [_model(row) for row in _native.list_models(dict(settings or {}))]


def find(name: str, settings: Mapping[str, Value] | None = None) -> Model:
    """The model of this name. Raises :class:`ModelError` if it is not on this machine."""
    return _model(_native.find_model(name, dict(settings or {})))


def ensure(
    name: str, settings: Mapping[str, Value] | None = None, progress: Progress = "auto"
) -> Model:
    """The model of this name, fetched and verified if it is not on this machine."""
    return _model(_native.ensure_model(name, dict(settings or {}), listener(progress)))
