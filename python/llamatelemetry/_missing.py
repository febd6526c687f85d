"""Modules of the package's plan that this version does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn


def missing(module: str, what: str) -> Callable[[str], NoReturn]:
    """A module's ``__getattr__`` that says what is missing."""

    def getattribute(name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        from .errors import NotAvailableError

        raise NotAvailableError(f"{module}.{name} is not there: {what} is not part of this version")

    return getattribute
