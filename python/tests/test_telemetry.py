"""Requests as spans, within the program's own trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import llamatelemetry as lt

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


_FORKING = """
import os, sys
import llamatelemetry as lt

model, home, server = sys.argv[1:]
telemetry = lt.setup_telemetry({"home": home, "telemetry.store": False})
settings = {"home": home, "runtime.server_path": server, "network.offline": True}
llm = lt.load(model, context=256, settings=settings)
llm.infer("Hi", max_tokens=2)
child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    kept = os.listdir(os.path.join(home, "telemetry", "spool"))
    print(status, len([name for name in kept if name.startswith("metrics")]))
    assert telemetry.prometheus
# Both end as programs do: what is registered to run at the exit runs.
"""


def test_a_forked_child_that_ends_leaves_the_telemetry_to_its_parent(
    model: str, settings: dict[str, object], tmp_path: Path
) -> None:
    variables = {
        # Nobody listens there: everything waits on disk.
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_METRICS_EXPORTER": "otlp,prometheus",
        "OTEL_EXPORTER_PROMETHEUS_PORT": "0",
        # Metrics go out at the end alone.
        "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
    }
    arguments = [model, str(tmp_path), str(settings["runtime.server_path"])]
    ran = subprocess.run(
        [sys.executable, "-c", _FORKING, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **variables},
    )
    assert ran.stdout.split() == ["0", "0"], ran.stderr
    # The parent's own end is not disturbed.
    kept = [path.name for path in (tmp_path / "telemetry/spool").iterdir()]
    assert any(name.startswith("metrics") for name in kept), kept


def test_the_end_of_one_pipeline_leaves_the_next_one(
    model: str, settings: dict[str, object], tmp_path: Path
) -> None:
    file = tmp_path / "signals.jsonl"
    first = lt.setup_telemetry({"home": str(tmp_path), "telemetry.store": False})
    second = lt.setup_telemetry(
        {"home": str(tmp_path), "telemetry.file": str(file), "telemetry.store": False}
    )
    first.shutdown()
    with lt.load(model, context=256, settings=settings) as llm:
        llm.infer("Hi", max_tokens=1)
    second.shutdown()
    assert "resourceSpans" in file.read_text()
