"""The package itself: what importing it does, what it names, what it has not."""

from __future__ import annotations

import subprocess
import sys

import pytest

import llamatelemetry as lt


def test_importing_starts_and_loads_next_to_nothing() -> None:
    program = """
import sys, threading
import llamatelemetry
heavy = {"asyncio", "dataclasses", "numpy", "llamatelemetry._native"} & set(sys.modules)
assert not heavy, heavy
assert threading.active_count() == 1
"""
    subprocess.run([sys.executable, "-S", "-c", program.replace("import llamatelemetry", _import())], check=True)


def _import() -> str:
    return f"sys.path.insert(0, {str(lt.__path__[0])[: -len('/llamatelemetry')]!r}); import llamatelemetry"


def test_every_name_is_there() -> None:
    for name in lt.__all__:
        assert getattr(lt, name) is not None
    assert set(lt.__all__) <= set(dir(lt))


@pytest.mark.parametrize("module", ["api", "core", "cuda", "graphistry", "inference", "louie"])
def test_what_is_not_there_says_so(module: str) -> None:
    with pytest.raises(lt.NotAvailableError, match="not part of this version"):
        getattr(getattr(lt, module), "Anything")


def test_errors_are_a_tree() -> None:
    errors = [getattr(lt, name) for name in lt.__all__ if name.endswith("Error")]
    assert all(issubclass(error, lt.LlamaTelemetryError) for error in errors)
