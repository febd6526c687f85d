"""The program's own trace, if it has one."""

from __future__ import annotations

import sys


def traceparent() -> str | None:
    """The current span of the program's own OpenTelemetry, as a W3C ``traceparent``.

    A program that has not imported OpenTelemetry has none, and it is not imported for it.
    """
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
