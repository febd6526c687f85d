"""What long steps tell: a line each on stderr, unless the caller listens."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Literal, Union

Listener = Callable[[str, str, Union[int, None], Union[str, None]], None]
Progress = Union[Listener, Literal["auto"], None]


def _lines(event: str, text: str, count: int | None, unit: str | None) -> None:
    del count, unit
    if event in ("begin", "note"):
        print(text, file=sys.stderr, flush=True)


def listener(progress: Progress) -> Listener | None:
    """Who is told. ``"auto"`` is told where somebody looks: a terminal or a notebook."""
    if progress is None or callable(progress):
        return progress
    interactive = "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
    return _lines if interactive else None
