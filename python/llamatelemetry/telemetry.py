"""Every request as OpenTelemetry: spans, metrics and logs."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Mapping

from . import _native
from ._native import Telemetry
from ._settings import Value

__all__ = ["Telemetry", "setup_telemetry"]


def setup_telemetry(settings: Mapping[str, Value] | None = None) -> Telemetry:
    """Starts the pipeline that the settings and the standard ``OTEL_*`` variables ask for.

    Models loaded from now on send their records there. The program's own OpenTelemetry provider is
    left alone; requests join its current span's trace. What waits is sent when the program ends.
    """
    telemetry = _native.setup_telemetry(dict(settings or {}))
    atexit.register(telemetry.shutdown)
    for notice in telemetry.notices:
        print(notice, file=sys.stderr)
    return telemetry
