"""Requests as spans, within the program's own trace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import sys
import llamatelemetry as lt
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

model, home, server, file = sys.argv[1:]
provider = TracerProvider()
trace.set_tracer_provider(provider)
lt.setup_telemetry({"home": home, "telemetry.file": file, "telemetry.store": False})
settings = {"home": home, "runtime.server_path": server, "network.offline": True}
with lt.load(model, context=256, settings=settings) as llm:
    with trace.get_tracer("program").start_as_current_span("work") as span:
        result = llm.chat("Hi", max_tokens=2)
    assert trace.get_tracer_provider() is provider
    print(f"{span.get_span_context().trace_id:032x}", result.trace_id)
"""


def test_spans_join_the_programs_trace_and_are_sent_at_exit(
    model: str, settings: dict[str, object], tmp_path: Path
) -> None:
    file = tmp_path / "signals.jsonl"
    arguments = [model, str(settings["home"]), str(settings["runtime.server_path"]), str(file)]
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    theirs, ours = ran.stdout.split()
    assert theirs == ours
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    spans = [
        span
        for line in lines
        for resource in line.get("resourceSpans", [])
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    chat = [span for span in spans if span["name"].startswith("chat ")]
    assert len(chat) == 1
    assert chat[0]["traceId"] == theirs
    assert {"queue", "prefill", "decode"} <= {span["name"] for span in spans}
