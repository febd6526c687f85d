"""The main job on a GPU machine without network, measured against llama-server started by hand.

    python3 scripts/gpu_main_job.py --llt LLT --source ARCHIVE --synth SYNTH_GGUF.py --out OUT.json

Builds llama.cpp for CUDA from ARCHIVE through `llt runtime install`, writes a synthetic 8B model,
runs it with `llt run`, and then sends the same request to the same llama-server with the same
arguments. Both are measured in turn; medians are compared. `llama-bench` is built in the same
build tree for its figure beside.
"""

import argparse
import glob
import http.client
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tarfile
import time

PROMPT = "Write a long story about a lighthouse keeper who counts waves."
TOKENS = 512
ROUNDS = 3


def main():
    arguments = parse()
    work = pathlib.Path(arguments.work)
    work.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ, LLAMATELEMETRY_HOME=str(work / "home"), HF_HOME=str(work / "hf"))
    llt = [os.path.abspath(arguments.llt), "--json"]
    source = os.path.abspath(arguments.source)
    result = {}

    def note(**parts):
        # Written after each step: a run that is cut short leaves what it measured.
        result.update(parts)
        pathlib.Path(arguments.out).write_text(json.dumps(result, indent=1) + "\n")

    note(machine=machine(llt, environment))
    model = work / "synth-8b.gguf"
    writing = write_model(arguments, source, work, model)
    started = time.monotonic()
    install = check([*llt, "runtime", "install", "--source", source], environment)
    seconds = round(time.monotonic() - started, 1)
    note(install=json.loads(install), install_seconds=seconds)
    if writing.wait() != 0:
        sys.exit("the synthetic model could not be written")

    run = [*llt, "run", str(model), PROMPT, "--max-tokens", str(TOKENS), "--temperature", "0"]
    command = arguments_of_child(run, str(model), environment)
    note(server_arguments=command[1:])
    ours, theirs = [], []
    for _ in range(ROUNDS):
        answer = json.loads(check(run, environment))
        ours.append(answer["timings"]["decode_per_second"])
        theirs.append(by_hand(command, work))
        ratio = statistics.median(ours) / statistics.median(theirs)
        note(decode_per_second={"llt": ours, "by_hand": theirs, "ratio_of_medians": ratio})
    note(last_answer={key: answer[key] for key in ("usage", "timings", "slot", "llama_build")})
    note(offload=offload_lines(command, work))
    note(llama_bench=llama_bench(work, model, environment))
    print(json.dumps(result, indent=1))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("llt", "source", "synth", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--work", default="/tmp/gpu-main-job")
    return parser.parse_args()


def check(command, environment):
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[:4]} ended with {done.returncode}")
    return done.stdout


def machine(llt, environment):
    """What the machine is, without what tells one from another of its kind."""
    told = json.loads(check([*llt, "gpu"], environment))
    del told["kernel"], told["cpu"]["features"]
    for gpu in told["gpus"]["gpus"]:
        del gpu["uuid"]
    return told


def write_model(arguments, source, work, model):
    with tarfile.open(source) as archive:
        wanted = [
            member
            for member in archive
            if "/gguf-py/gguf/" in member.name or member.name.endswith("ggml-vocab-llama-bpe.gguf")
        ]
        archive.extractall(work / "tree", members=wanted, filter="data")
    package = glob.glob(str(work / "tree/**/gguf-py"), recursive=True)[0]
    vocabulary = glob.glob(str(work / "tree/**/ggml-vocab-llama-bpe.gguf"), recursive=True)[0]
    return subprocess.Popen(
        [sys.executable, arguments.synth, str(model), "8b", "Q4_K", vocabulary],
        env=dict(os.environ, PYTHONPATH=package),
    )


def arguments_of_child(run, model, environment):
    """Runs once and reads the arguments of the server that works for it."""
    process = subprocess.Popen(run, env=environment, stdout=subprocess.DEVNULL)
    command = None
    while process.poll() is None:
        command = command or child_with(model)
        time.sleep(0.01)
    return command or sys.exit("llama-server was not seen")


def child_with(model):
    for entry in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            arguments = pathlib.Path(entry).read_bytes().decode().split("\0")[:-1]
        except OSError:
            continue
        if arguments and arguments[0].endswith("llama-server") and model in arguments:
            return arguments
    return None


def start_by_hand(command, work, log=None, more=()):
    """The same server with the same arguments on a socket of our own."""
    # A socket that an earlier server left behind cannot be bound again.
    path = str(work / f"by-hand-{time.monotonic_ns()}.sock")
    arguments = [*command, *more]
    arguments[arguments.index("--host") + 1] = path
    libraries = os.path.dirname(arguments[0])
    inherited = os.environ.get("LD_LIBRARY_PATH", "")
    environment = dict(os.environ, LD_LIBRARY_PATH=f"{libraries}:{inherited}:/usr/local/cuda/lib64")
    log = log or open(work / "by-hand.log", "w")
    server = subprocess.Popen(arguments, env=environment, stdout=log, stderr=subprocess.STDOUT)
    wait_ready(path, server, arguments, log.name)
    return server, path


def offload_lines(command, work):
    """What the server says of offloading when it is asked to say more."""
    with open(work / "load.log", "w+") as log:
        server, _ = start_by_hand(command, work, log, ["--log-verbosity", "5"])
        server.terminate()
        server.wait()
        log.seek(0)
        return [line.strip() for line in log if "offload" in line or "model buffer" in line][:20]


def by_hand(command, work):
    """The same server with the same arguments, asked the same by a bare client."""
    server, path = start_by_hand(command, work)
    try:
        body = {
            "stream": True,
            "messages": [{"role": "user", "content": PROMPT}],
            "max_tokens": TOKENS,
            "temperature": 0,
        }
        connection = UnixConnection(path)
        connection.request(
            "POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
        )
        timings = None
        for line in connection.getresponse():
            if line.startswith(b"data: {"):
                timings = json.loads(line[6:]).get("timings", timings)
        return timings["predicted_per_second"]
    finally:
        server.terminate()
        server.wait()


def wait_ready(path, server, arguments, log):
    while server.poll() is None:
        try:
            connection = UnixConnection(path)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.01)
    said = pathlib.Path(log).read_text()[-2000:]
    sys.exit(f"{arguments} ended with {server.returncode}:\n{said}")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def llama_bench(work, model, environment):
    """The figure of the program that is made for it, built in the tree that is there."""
    trees = glob.glob(str(work / "home/cache/builds/*/build.ninja"))
    if not trees:
        return None
    build = os.path.dirname(trees[0])
    subprocess.run(["ninja", "-C", build, "llama-bench"], check=True, stdout=subprocess.DEVNULL)
    bench = f"{build}/bin/llama-bench"
    inherited = os.environ.get("LD_LIBRARY_PATH", "")
    environment = dict(environment, LD_LIBRARY_PATH=f"{inherited}:/usr/local/cuda/lib64")
    out = check([bench, "-m", str(model), "-p", "512", "-n", "128", "-o", "json"], environment)
    kept = ("n_prompt", "n_gen", "n_gpu_layers", "flash_attn", "avg_ts", "stddev_ts", "samples_ts")
    return [{key: row.get(key) for key in kept} for row in json.loads(out)]


if __name__ == "__main__":
    main()
