"""The engine on the real llama-server and a real model."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import llamatelemetry as lt


def test_infer_gives_text_and_figures(llm: lt.InferenceEngine) -> None:
    result = llm.infer("The capital of France is", max_tokens=4, temperature=0)
    assert "Paris" in result.text
    assert result.usage.completion_tokens == 4
    assert result.timings.ttft_ms is not None and result.timings.ttft_ms > 0
    assert result.finish_reason == "length"
    assert result["text"] == result.text == str(result)
    assert dict(result)["usage"]["completion_tokens"] == 4
    assert len(result.trace_id) == 32


def test_the_same_question_has_the_same_answer(llm: lt.InferenceEngine) -> None:
    asked = [llm.chat("Name a colour.", max_tokens=6, temperature=0, seed=1).text for _ in range(2)]
    assert asked[0] == asked[1]


def test_a_stream_is_the_answer_in_pieces(llm: lt.InferenceEngine) -> None:
    with llm.chat_stream("Count to five.", max_tokens=12, temperature=0) as stream:
        assert stream.result is None
        pieces = list(stream)
        result = stream.result
    assert result is not None
    assert "".join(pieces) == result.text
    assert len(pieces) > 1


def test_a_closed_stream_frees_its_slot(llm: lt.InferenceEngine) -> None:
    streams = [llm.stream("Once upon a time", max_tokens=400) for _ in range(2)]
    for stream in streams:
        next(stream)
        stream.close()
    # Both slots were taken; an answer comes only once one is free.
    assert llm.infer("Hello", max_tokens=2).usage.completion_tokens == 2
    assert list(streams[0]) == []


def _children() -> set[int]:
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


def test_a_stream_is_closed_while_another_thread_waits_for_it(
    model: str, settings: dict[str, object]
) -> None:
    before = _children()
    with lt.load(model, context=1024, settings=settings) as llm:
        (server,) = _children() - before
        stream = llm.stream("Once upon a time", max_tokens=900)
        next(stream)
        # Nothing more comes for as long as the server stands still.
        os.kill(server, signal.SIGSTOP)
        going_on = threading.Timer(10, os.kill, (server, signal.SIGCONT))
        going_on.start()
        reading = threading.Thread(target=list, args=(stream,))
        try:
            reading.start()
            reading.join(0.5)
            assert reading.is_alive()
            began = time.monotonic()
            stream.close()
            assert time.monotonic() - began < 5
            reading.join(5)
            assert not reading.is_alive()
        finally:
            going_on.cancel()
            os.kill(server, signal.SIGCONT)
        assert stream.result is None


def test_messages_and_options_are_checked(llm: lt.InferenceEngine) -> None:
    with pytest.raises(TypeError):
        llm.infer("x", max_tokens="many")
    with pytest.raises(TypeError):
        llm.chat([{"content": "no role"}])
    with pytest.raises(TypeError, match="stream"):
        llm.infer("x", stream=True)
    with pytest.raises(ValueError, match="traceparent"):
        llm.infer("x", parent="garbage")


def test_a_refused_request_tells_why(llm: lt.InferenceEngine) -> None:
    with pytest.raises(lt.RequestError, match="context") as raised:
        llm.infer("word " * 5000, max_tokens=1)
    assert raised.value.traceparent is not None


def test_html_is_escaped(llm: lt.InferenceEngine) -> None:
    result = llm.infer("<b>", max_tokens=2, temperature=0)
    assert "<script" not in result._repr_html_()
    assert result._repr_html_().startswith("<div")


def test_ctrl_c_ends_a_wait(llm: lt.InferenceEngine) -> None:
    with llm.stream("Once upon a time", max_tokens=400) as stream:
        next(stream)
        began = time.monotonic()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            for _ in stream:
                pass
            llm.infer("And another one", max_tokens=400)
        assert time.monotonic() - began < 30


def test_a_forked_process_is_told(llm: lt.InferenceEngine) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            llm.infer("x")
        except lt.ForkedError:
            os.write(writing, b"told")
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"told"
    os.waitpid(child, 0)


_FORKING = """
import os, sys
import llamatelemetry as lt

model, home, server = sys.argv[1:]
settings = {"home": home, "runtime.server_path": server, "network.offline": True}
llm = lt.load(model, context=256, settings=settings)
stream = llm.stream("Once upon a time", max_tokens=40)
text = next(stream)
child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    text += "".join(stream)
    assert stream.result.text == text, (stream.result.text, text)
    print(status, llm.infer("Hello", max_tokens=2).usage.completion_tokens)
# Both end as programs do: what is global is dropped.
"""


def test_a_forked_child_that_ends_leaves_the_server_to_its_parent(
    model: str, settings: dict[str, object]
) -> None:
    arguments = [model, str(settings["home"]), str(settings["runtime.server_path"])]
    ran = subprocess.run(
        [sys.executable, "-c", _FORKING, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout.split() == ["0", "2"], ran.stderr


def test_an_engine_that_is_dropped_lets_other_threads_run(
    model: str, settings: dict[str, object]
) -> None:
    llm = lt.load(model, context=256, settings=settings)
    stream = llm.stream("Once upon a time", max_tokens=200)
    next(stream)
    looks: list[float] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.001):
            looks.append(time.monotonic())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        began = time.monotonic()
        del llm
        del stream
        ended = time.monotonic()
    finally:
        done.set()
        looking.join()
    meanwhile = [began, *(at for at in looks if began < at < ended), ended]
    longest = max(later - earlier for earlier, later in zip(meanwhile, meanwhile[1:]))
    # The end of a server takes tens of milliseconds at least.
    assert len(meanwhile) > 3, ended - began
    assert longest < max(0.5 * (ended - began), 0.02), (longest, ended - began)


def test_nothing_loaded_is_an_error() -> None:
    with pytest.raises(lt.NotLoadedError):
        lt.InferenceEngine().infer("x")
    lt.InferenceEngine().unload()


def test_an_unknown_model_is_an_error(settings: dict[str, object]) -> None:
    with pytest.raises(lt.ModelError) as raised:
        lt.load("./there-is-no-such.gguf", settings=settings)
    assert "there-is-no-such" in str(raised.value)


def test_an_unknown_setting_is_an_error(model: str) -> None:
    with pytest.raises(lt.SettingsError):
        lt.load(model, settings={"server.contxt": 1})
    with pytest.raises(TypeError, match="contxt"):
        lt.load(model, contxt=1)  # type: ignore[call-arg]


def test_the_async_twin_answers_side_by_side(model: str, settings: dict[str, object]) -> None:
    async def work() -> None:
        async with lt.AsyncInferenceEngine() as llm:
            await llm.load_model(model, context=1024, parallel=2, settings=settings)
            asking = (llm.infer(f"{n} is", max_tokens=3, temperature=0) for n in range(4))
            results = await asyncio.gather(*asking)
            assert [result.usage.completion_tokens for result in results] == [3] * 4
            async with await llm.chat_stream("Hi", max_tokens=4) as stream:
                pieces = [piece async for piece in stream]
            assert stream.result is not None
            assert "".join(pieces) == stream.result.text

    asyncio.run(work())


def test_a_cancelled_task_frees_its_slot(model: str, settings: dict[str, object]) -> None:
    async def work() -> None:
        async with lt.AsyncInferenceEngine() as llm:
            await llm.load_model(model, context=1024, parallel=1, settings=settings)
            task = asyncio.ensure_future(llm.infer("Once upon a time", max_tokens=800))
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(task, 0.3)
            result = await llm.infer("Hello", max_tokens=1)
            assert result.usage.completion_tokens == 1

    asyncio.run(work())
