"""What a GPU draws while llama-server works: requests and NVML readings side by side.

    python3 scripts/gpu_energy.py --server DIR --model MODEL.gguf --out DIR

Starts llama-server on MODEL, keeps it idle, then works through phases of equal and of mixed
requests. A process of its own reads NVML: the energy counter, power, clocks and who used the GPU.
Everything goes into DIR/energy.jsonl.gz, one JSON object a line, with times of CLOCK_MONOTONIC in
seconds. `kind` tells what a line is: `energy`, `power`, `users`, `request`, `phase`, `about`.
"""

import argparse
import ctypes
import gzip
import http.client
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import threading
import time

SLOTS = 16
CONTEXT = 32768
# (name, streams, (prompt, generated) pairs to choose from, seconds)
PHASES = [
    ("1x512+128", 1, [(512, 128)], 32),
    ("1x128+512", 1, [(128, 512)], 32),
    ("4x512+128", 4, [(512, 128)], 32),
    ("4x128+512", 4, [(128, 512)], 32),
    ("16x512+128", 16, [(512, 128)], 32),
    ("16x128+512", 16, [(128, 512)], 34),
    ("16x1024+64", 16, [(1024, 64)], 31),
    ("4x1024+64", 4, [(1024, 64)], 31),
    ("1x1024+64", 1, [(1024, 64)], 15),
    ("8xmixed", 8, [(64, 32), (200, 300), (512, 128), (900, 40), (1500, 200)], 36),
]
# The phase in which the counter is read fast enough to see its steps.
FINE_PHASE = "4x512+128"
REST = 4
FIRST_IDLE = 20
LAST_IDLE = 18
FOREIGN = "8xforeign"


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "record":
        return record(sys.argv[2])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("server", "model", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--deadline", type=float, default=1e9, help="seconds from now")
    arguments = parser.parse_args()
    deadline = time.monotonic() + arguments.deadline
    out = pathlib.Path(arguments.out)
    notes = Lines(out / "requests.jsonl")
    recorder = Recorder(out / "nvml.jsonl")
    time.sleep(3)
    notes.add(kind="phase", name="no model", begin=time.monotonic() - 3, end=time.monotonic())
    server, port = start_server(arguments)
    try:
        idle(notes, "idle", FIRST_IDLE)
        for name, streams, mixes, seconds in PHASES:
            if time.monotonic() + seconds + REST + LAST_IDLE > deadline:
                notes.add(kind="skipped", name=name)
                continue
            recorder.period(0.02 if name == FINE_PHASE else 0.5)
            phase(notes, port, name, streams, mixes, seconds)
            recorder.period(0.5)
            time.sleep(REST)
        idle(notes, "idle after", LAST_IDLE)
        if time.monotonic() + 45 < deadline:
            foreign(notes, port)
    finally:
        server.terminate()
        server.wait()
        time.sleep(3)
        recorder.stop()
        notes.close()
        pack(out)


class Lines:
    """JSON lines that several threads write."""

    def __init__(self, path):
        self.file = open(path, "w")
        self.lock = threading.Lock()

    def add(self, **fields):
        line = json.dumps(fields, separators=(",", ":"))
        with self.lock:
            self.file.write(line + "\n")
            self.file.flush()

    def close(self):
        self.file.close()


class Recorder:
    """The process that reads NVML: Python threads here must not delay its clock."""

    def __init__(self, path):
        command = [sys.executable, os.path.abspath(__file__), "record", str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)

    def period(self, seconds):
        print(seconds, file=self.process.stdin, flush=True)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def start_server(arguments):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = arguments.server
    command = [
        *(f"{folder}/llama-server", "-m", arguments.model, "--host", "127.0.0.1"),
        *("--port", str(port), "-np", str(SLOTS), "-c", str(CONTEXT), "-ngl", "99"),
        *("--no-webui", "--metrics"),
    ]
    libraries = f"{folder}:/usr/local/cuda/lib64:{os.environ.get('LD_LIBRARY_PATH', '')}"
    log = open(pathlib.Path(arguments.out) / "server.log", "w")
    environment = dict(os.environ, LD_LIBRARY_PATH=libraries)
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    while server.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return server, port
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit(f"llama-server ended with {server.returncode}")


def idle(notes, name, seconds):
    begin = time.monotonic()
    time.sleep(seconds)
    notes.add(kind="phase", name=name, begin=begin, end=time.monotonic())


def phase(notes, port, name, streams, mixes, seconds):
    begin = time.monotonic()
    until = begin + seconds
    threads = [
        threading.Thread(target=stream, args=(notes, port, name, number, mixes, until))
        for number in range(streams)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    notes.add(kind="phase", name=name, begin=begin, end=time.monotonic())
    print(name, f"{time.monotonic() - begin:.1f} s", flush=True)


def stream(notes, port, name, number, mixes, until):
    """One client: a request after another, none begun after `until`."""
    chance = random.Random(f"{name} {number}")
    while time.monotonic() < until:
        prompt, generated = chance.choice(mixes)
        request(notes, port, name, [chance.randrange(1000, 40000) for _ in range(prompt)], generated)
        if len(mixes) > 1:
            time.sleep(chance.expovariate(4))


def request(notes, port, name, prompt, generated):
    body = {
        "prompt": prompt,
        "n_predict": generated,
        "ignore_eos": True,
        "cache_prompt": False,
        "stream": True,
    }
    connection = http.client.HTTPConnection("127.0.0.1", port)
    sent = time.monotonic()
    connection.request(
        "POST", "/completion", json.dumps(body), {"Content-Type": "application/json"}
    )
    response = connection.getresponse()
    headers = time.monotonic()
    if response.status != 200:
        sys.exit(f"answered {response.status}: {response.read()[:300]}")
    deltas, last = [], {}
    for line in response:
        if line.startswith(b"data: {"):
            now = time.monotonic()
            last = json.loads(line[6:])
            if last.get("stop"):
                break
            deltas.append(now)
    end = time.monotonic()
    connection.close()
    notes.add(
        kind="request",
        phase=name,
        sent=round(sent, 6),
        headers=round(headers, 6),
        deltas=[round(1000 * (delta - sent)) for delta in deltas],
        end=round(end, 6),
        slot=last.get("id_slot"),
        timings=last.get("timings"),
    )


def foreign(notes, port):
    """Another program on the same GPU, alone and beside requests."""
    code = (
        "import torch,time\n"
        "a=torch.randn(4096,4096,device='cuda',dtype=torch.bfloat16)\n"
        "e=time.monotonic()+28\n"
        "while time.monotonic()<e:\n"
        "  for _ in range(20): b=a@a\n"
        "  torch.cuda.synchronize(); time.sleep(0.004)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code])
    time.sleep(8)
    idle(notes, "foreign alone", 6)
    phase(notes, port, FOREIGN, 8, [(512, 128)], 10)
    other.wait()


# The recording process


class ProcessUse(ctypes.Structure):
    _fields_ = [
        ("pid", ctypes.c_uint),
        ("stamp", ctypes.c_ulonglong),
        *((name, ctypes.c_uint) for name in ("sm", "memory", "encoder", "decoder")),
    ]


class FieldValue(ctypes.Structure):
    _fields_ = [
        ("field", ctypes.c_uint),
        ("scope", ctypes.c_uint),
        ("stamp", ctypes.c_longlong),
        ("latency", ctypes.c_longlong),
        ("type", ctypes.c_int),
        ("status", ctypes.c_int),
        ("value", ctypes.c_uint),
        ("rest", ctypes.c_uint),
    ]


class Rates(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


POWER_AVERAGE, POWER_INSTANT = 185, 186


class Nvml:
    """The calls that are needed, by their C names."""

    def __init__(self):
        self.library = ctypes.CDLL("libnvidia-ml.so.1")
        self.library.nvmlInit_v2()
        self.device = ctypes.c_void_p()
        self.library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self.device))

    def number(self, call, *more, of=ctypes.c_uint):
        value = of()
        status = getattr(self.library, call)(self.device, *more, ctypes.byref(value))
        return value.value if status == 0 else None

    def text(self, call):
        value = ctypes.create_string_buffer(96)
        status = getattr(self.library, call)(self.device, value, 96)
        return value.value.decode() if status == 0 else None

    def energy(self):
        return self.number("nvmlDeviceGetTotalEnergyConsumption", of=ctypes.c_ulonglong)

    def field(self, number):
        value = FieldValue(field=number)
        self.library.nvmlDeviceGetFieldValues(self.device, 1, ctypes.byref(value))
        return value.value if value.status == 0 else None

    def power(self):
        rates = Rates()
        self.library.nvmlDeviceGetUtilizationRates(self.device, ctypes.byref(rates))
        return {
            "average": self.number("nvmlDeviceGetPowerUsage"),
            "instant": self.field(POWER_INSTANT),
            "gpu": rates.gpu,
            "memory": rates.memory,
            "sm_clock": self.number("nvmlDeviceGetClockInfo", 1),
            "memory_clock": self.number("nvmlDeviceGetClockInfo", 2),
            "celsius": self.number("nvmlDeviceGetTemperature", 0),
            "state": self.number("nvmlDeviceGetPerformanceState", of=ctypes.c_int),
        }

    def users(self, since):
        count = ctypes.c_uint(64)
        uses = (ProcessUse * 64)()
        status = self.library.nvmlDeviceGetProcessUtilization(
            self.device, uses, ctypes.byref(count), ctypes.c_ulonglong(since)
        )
        if status != 0:
            return status, []
        return 0, [(use.pid, use.stamp, use.sm, use.memory) for use in uses[: count.value]]


def record(path):
    nvml, lines, running = Nvml(), Lines(path), threading.Event()
    period = [0.5]
    limit = nvml.number("nvmlDeviceGetEnforcedPowerLimit")
    lines.add(kind="about", gpu=nvml.text("nvmlDeviceGetName"), limit_milliwatts=limit)

    def energy():
        due = time.monotonic()
        while not running.is_set():
            begin = time.monotonic()
            millijoules = nvml.energy()
            end = time.monotonic()
            lines.add(kind="energy", begin=round(begin, 6), end=round(end, 6), mj=millijoules)
            due = max(due + period[0], end - 2 * period[0])
            running.wait(max(0, due - time.monotonic()))

    def power():
        due = time.monotonic()
        while not running.is_set():
            lines.add(kind="power", at=round(time.monotonic(), 6), **nvml.power())
            due += 0.1
            running.wait(max(0, due - time.monotonic()))

    def users():
        newest = 0
        while not running.is_set():
            status, uses = nvml.users(newest)
            newest = max([newest, *(use[1] for use in uses)])
            at = round(time.monotonic(), 6)
            lines.add(kind="users", at=at, wall=time.time(), status=status, uses=uses)
            running.wait(0.5)

    threads = [threading.Thread(target=work) for work in (energy, power, users)]
    for thread in threads:
        thread.start()
    for line in sys.stdin:
        period[0] = float(line)
    running.set()
    for thread in threads:
        thread.join()
    lines.close()


def pack(out):
    with gzip.open(out / "energy.jsonl.gz", "wt") as packed:
        for name in ("nvml.jsonl", "requests.jsonl"):
            path = out / name
            packed.write(path.read_text())
            path.unlink()


if __name__ == "__main__":
    main()
