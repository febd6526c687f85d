"""Whether requests' joules hold on a GPU, through the product; writes one JSON document.

    python3 scripts/gpu_energy_check.py --programs DIR --server DIR --model MODEL.gguf --out DIR

DIR of programs: the examples `energy` (of llamatelemetry), `sample` and `nvml_costs` (of
llamatelemetry-machine), built anywhere. Runs `nvml_costs`, then `energy` with `sample` beside it,
whose readings of the counter judge what the product says:

- sum:      joules of a phase's requests against the counter less the idle power beside it;
- error:    of requests of two seconds and more, against 15 %;
- equality: requests of a phase under full load, each against its own error around their mean;
- mixes:    costs fitted here, by least squares of our own, to one mix of lengths, predict another.
"""

import argparse
import bisect
import collections
import datetime
import gzip
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
from operator import mul

# Between two readings and less, energy is mostly the error of the ends.
SHORTEST = 0.45
# The counter shows what was used up to half of its period of 100 ms before.
LAG = 0.05
# Largest batch of each class of decode steps.
BATCHES = [1, 2, 4, 8, 16, 10**9]
KINDS = 2 + len(BATCHES)
# Where windows say nothing of how the kinds differ, these ratios do: joules of a prompt token, of a
# second in which anything worked, of a step.
RATIOS = [0.025, 20.0, 1.2, 1.3, 1.5, 1.5, 1.5, 2.5]


def main():
    arguments = parse()
    out = pathlib.Path(arguments.out)
    programs = pathlib.Path(arguments.programs).resolve()
    result = {"measured": str(datetime.date.today()), "commit": arguments.commit}

    def note(**parts):
        # Written after each step: a run that is cut short leaves what it measured.
        result.update(parts)
        (out / "h200-energy.json").write_text(json.dumps(result, indent=1) + "\n")

    note(nvml=nvml_costs(programs))
    product, spans = measure(arguments, programs, out)
    # The last line may be cut off.
    lines = (out / "samples.jsonl").read_text().splitlines()[:-1]
    samples = [json.loads(line) for line in lines]
    note(sampler=sampler(samples, (out / "sample.err").read_text()))
    readings = counter(samples)
    phases = [phase(load, spans) for load in product["phases"]]
    note(server="-np 16 -c 32768, each stream in its own slot", phases=[p.told() for p in phases])
    note(mixes=mixes(phases, readings))
    note(verdict=verdict(result))
    print(json.dumps(result["verdict"], indent=1))
    pack(out, "samples.jsonl", "spans.jsonl", "product.json")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("programs", "server", "model", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seconds", type=int, default=33, help="of each phase")
    parser.add_argument("--commit", help="what was built")
    return parser.parse_args()


# Running


def nvml_costs(programs):
    """What each call costs and answers: `name p50 p99 answer` a line."""
    done = subprocess.run([programs / "nvml_costs"], stdout=subprocess.PIPE, text=True)
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        return {"failed": done.returncode}
    calls = {}
    for line in lines[2:]:
        told = re.match(r"(.+?) (\d+) (\d+) (.*)", line)
        if told:
            name, half, most, answer = told.groups()
            calls[name] = {"p50_us": int(half), "p99_us": int(most), "answer": answer[:160]}
    return {"device": lines[0], "calls": calls}


def measure(arguments, programs, out):
    """Runs the product's phases with the sampler beside them."""
    file = out / "spans.jsonl"
    libraries = f"{arguments.server}:/usr/local/cuda/lib64:{os.environ.get('LD_LIBRARY_PATH', '')}"
    environment = dict(
        os.environ,
        LD_LIBRARY_PATH=libraries,
        LLAMA_SERVER_PATH=f"{arguments.server}/llama-server",
        LLAMATELEMETRY_HOME=tempfile.mkdtemp(),
        LLAMATELEMETRY_PARALLEL="16",
        LLAMATELEMETRY_CONTEXT="32768",
        LLAMATELEMETRY_OTEL_FILE=str(file),
    )
    with open(out / "samples.jsonl", "w") as lines, open(out / "sample.err", "w") as told:
        # One for as long as it takes, and one that ends by itself and tells what it cost.
        sampling = subprocess.Popen([programs / "sample", "3600", "busy"], stdout=lines)
        costing = subprocess.Popen(
            [programs / "sample", "60", "busy"], stdout=subprocess.DEVNULL, stderr=told
        )
        try:
            with open(out / "product.json", "w") as answer:
                command = [programs / "energy", arguments.model, str(arguments.seconds)]
                done = subprocess.run(command, env=environment, stdout=answer)
        finally:
            sampling.terminate()
            sampling.wait()
            costing.wait()
    if done.returncode != 0:
        sys.exit(f"energy ended with {done.returncode}")
    return json.loads((out / "product.json").read_text()), read_spans(file)


def read_spans(file):
    """The request spans with their phases, by trace."""
    traces = collections.defaultdict(dict)
    for line in open(file):
        for resource in json.loads(line).get("resourceSpans", []):
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    traces[span["traceId"]][span["name"].split()[0]] = span
    return {trace: Request(spans) for trace, spans in traces.items() if "decode" in spans}


def attribute(span, name):
    for each in span.get("attributes", []):
        if each["key"] == name:
            (value,) = each["value"].values()
            return value
    return None


class Request:
    def __init__(self, spans):
        span = spans.get("text_completion") or spans["chat"]
        moment = lambda of, which: int(of[which]) / 1e9
        self.sent = moment(span, "startTimeUnixNano")
        self.start = moment(spans["prefill"], "startTimeUnixNano")
        self.first = moment(spans["decode"], "startTimeUnixNano")
        self.end = moment(span, "endTimeUnixNano")
        self.prompt = int(attribute(span, "gen_ai.usage.input_tokens"))
        self.generated = int(attribute(span, "gen_ai.usage.output_tokens"))
        slot = attribute(span, "llamacpp.slot.id")
        self.slot = None if slot is None else int(slot)
        self.joules = attribute(span, "llamacpp.energy")
        self.error = attribute(span, "llamacpp.energy.error")
        self.prefill = attribute(span, "llamacpp.prefill.energy")
        self.method = attribute(span, "llamacpp.energy.method")

    @property
    def seconds(self):
        return self.end - self.sent

    def came(self, deltas_ms):
        """When its tokens came: a delta is a token."""
        self.tokens = [self.first] + [self.sent + ms / 1e3 for ms in deltas_ms[1:]]

    def generated_by(self, at):
        """Tokens after the first, by lines between those that came."""
        after = bisect.bisect_left(self.tokens, at)
        if after == 0 or after == len(self.tokens):
            return max(0, after - 1)
        before, since = self.tokens[after - 1], self.tokens[after]
        return after - 1 + (at - before) / (since - before)


# What the product says


class Phase:
    def __init__(self, load, requests):
        self.load, self.requests = load, requests
        self.mix = (load["prompt_words"], load["max_tokens"])
        self.name = f"{load['streams']}x{load['prompt_words']}+{load['max_tokens']}"
        if load["slot_step"] > 1:
            self.name += " apart"

    def told(self):
        load, requests = self.load, self.requests
        known = [request for request in requests if request.joules is not None]
        long = [request for request in known if request.seconds >= 2]
        errors = [request.error / request.joules for request in long]
        whole = [request for request in known if request.end <= full_until(requests)]
        at_once = [answer["energy"] for answer in load["requests"] if answer["energy"]]
        keys = ("streams", "slot_step", "prompt_words", "max_tokens", "seconds", "rest_watts")
        told = {key: rounded(load[key]) for key in keys}
        told["counter_less_rest_joules"] = rounded(load["counter_less_rest_joules"])
        told["requests"] = len(requests)
        told["slots"] = sorted({request.slot for request in requests if request.slot is not None})
        told["sum"] = rounded(sum(r.joules for r in known) / load["counter_less_rest_joules"])
        told["sum_at_once"] = rounded(load["closure_of_answers"])
        told["mean_joules"] = rounded(statistics.mean(r.joules for r in known))
        told["mean_prefill_joules"] = rounded(statistics.mean(r.prefill for r in known))
        told["mean_relative_error"] = mean(r.error / r.joules for r in known)
        told["mean_relative_error_at_once"] = mean(e["error"] / e["joules"] for e in at_once)
        told["methods"] = dict(collections.Counter(r.method for r in known))
        told["of_two_seconds"] = {
            "count": len(long),
            "error_up_to_15_percent": sum(error <= 0.15 for error in errors),
            "largest_error": rounded(max(errors, default=0)),
        }
        told["equality"] = equality(whole)
        return told


def phase(load, spans):
    requests = []
    for answer in load["requests"]:
        if request := spans.get(answer["trace_id"]):
            request.came(answer["deltas_ms"])
            requests.append(request)
    return Phase(load, requests)


def full_until(requests):
    """Until when all streams worked: the first end after which nobody sent again."""
    last = max(request.sent for request in requests)
    return min(request.end for request in requests if request.end > last)


def equality(requests):
    if len(requests) < 2:
        return None
    joules = [request.joules for request in requests]
    middle = statistics.mean(joules)
    within = sum(abs(r.joules - middle) <= r.error for r in requests)
    deviation = statistics.pstdev(joules) / middle
    return {
        "under_full_load": len(requests),
        "within_own_error_of_mean": within,
        "relative_deviation": rounded(deviation),
    }


def rounded(value):
    return float(f"{value:.4g}") if isinstance(value, float) else value


def mean(values):
    values = list(values)
    return rounded(statistics.mean(values)) if values else None


# What the sampler saw


def counter(samples):
    """The counter's readings, wall clock seconds and joules, and where the device is the first."""
    readings = {}
    for sample in samples:
        for gpu in sample["gpus"][:1]:
            if gpu.get("energy"):
                after = (gpu["energy"]["monotonic_ns"] - sample["monotonic_ns"]) / 1e9
                at = sample["unix_ns"] / 1e9 + after
                readings[gpu["energy"]["monotonic_ns"]] = (at - LAG, gpu["energy"]["joules"])
    return [readings[key] for key in sorted(readings)]


def sampler(samples, told):
    """What was read: of each field whether there was a value, and one of them."""
    seen, absent = {}, set()

    def look(value, name):
        if isinstance(value, dict):
            for key, inner in value.items():
                look(inner, f"{name}.{key}" if name else key)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            look(value[0], name + "[]")
        elif value is None or value == []:
            absent.add(name)
        elif not re.search("uuid|serial|pci_address|pid|name", name):
            seen[name] = value

    for sample in samples:
        for gpu in sample["gpus"]:
            look(gpu, "")
    costs = [gpu["energy"]["cost_seconds"] for s in samples for gpu in s["gpus"] if gpu["energy"]]
    looks = [gpu["cost_seconds"] for sample in samples for gpu in sample["gpus"]]
    return {
        "samples": len(samples),
        "told": told.strip() or None,
        "counter_read_ms": quantiles(costs),
        "look_ms": quantiles(looks),
        "fields": seen,
        "fields_without_a_value": sorted(absent - set(seen)),
        "absences": samples[-1]["absences"] if samples else None,
    }


def quantiles(seconds):
    if len(seconds) < 2:
        return None
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": rounded(1e3 * cuts[49]), "p99": rounded(1e3 * cuts[98])}


# Costs of our own making


def work(requests, begin, end):
    """Prompt tokens, seconds and steps by class of batch between two moments."""
    row = [0.0] * KINDS
    marks = {begin, end}
    beside = [r for r in requests if r.start < end and r.end > begin]
    for request in beside:
        marks.update(at for at in (request.start, request.first, request.end) if begin < at < end)
    marks = sorted(marks)
    for left, right in zip(marks, marks[1:]):
        middle, seconds = (left + right) / 2, right - left
        working = [r for r in beside if r.start <= middle < r.end]
        if not working:
            continue
        row[1] += seconds
        decoding = []
        for request in working:
            if middle < request.first:
                row[0] += request.prompt * seconds / (request.first - request.start)
            else:
                decoding.append(request)
        for run in runs(decoding):
            came = [r.generated_by(right) - r.generated_by(left) for r in run]
            row[2 + bisect.bisect_left(BATCHES, len(run))] += statistics.mean(came)
    return row


def runs(decoding):
    """Neighbouring slots are computed together, others one run after the other."""
    if any(request.slot is None for request in decoding):
        return [decoding] if decoding else []
    decoding = sorted(decoding, key=lambda request: request.slot)
    out = []
    for request in decoding:
        if out and out[-1][-1].slot + 1 == request.slot:
            out[-1].append(request)
        else:
            out.append([request])
    return out


def joules(readings, at):
    after = bisect.bisect_left(readings, (at, 0))
    (t0, j0), (t1, j1) = readings[after - 1], readings[after]
    return j0 + (j1 - j0) * (at - t0) / (t1 - t0)


def fit(phases, readings):
    """Least squares over windows, drawn weakly to fixed ratios; no cost below zero."""
    rows, energies, weights = [], [], []
    for each in phases:
        begin = min(request.sent for request in each.requests)
        end = max(request.end for request in each.requests) + 0.3
        ends = [reading for reading in readings if begin <= reading[0] <= end]
        before = None
        for at, value in ends:
            if before is None:
                before = (at, value)
            elif at - before[0] >= SHORTEST:
                seconds = at - before[0]
                dynamic = value - before[1] - each.load["rest_watts"] * seconds
                rows.append(work(each.requests, before[0], at))
                energies.append(dynamic)
                weights.append(1 / (8 + 0.08 * abs(dynamic)) ** 2)
                before = (at, value)
    normal = [[0.0] * KINDS for _ in range(KINDS)]
    moment = [0.0] * KINDS
    for row, energy, weight in zip(rows, energies, weights):
        for i in range(KINDS):
            moment[i] += weight * row[i] * energy
            for j in range(KINDS):
                normal[i][j] += weight * row[i] * row[j]
    scale = sum(energies) / sum(sum(map(mul, RATIOS, row)) for row in rows)
    costs = [ratio * scale for ratio in RATIOS]
    for i, cost in enumerate(costs):
        normal[i][i] += cost**-2
        moment[i] += 1 / cost
    for _ in range(5000):
        for i in range(KINDS):
            if normal[i][i] > 0:
                rest = sum(normal[i][j] * costs[j] for j in range(KINDS)) - normal[i][i] * costs[i]
                costs[i] = max(0.0, (moment[i] - rest) / normal[i][i])
    return costs


def predicted(each, readings, costs):
    """The work's cost by these costs against the counter above idle."""
    begin = min(request.sent for request in each.requests)
    end = max(request.end for request in each.requests) + 0.3
    above = joules(readings, end) - joules(readings, begin)
    above -= each.load["rest_watts"] * (end - begin)
    row = work(each.requests, begin, end)
    return sum(cost * amount for cost, amount in zip(costs, row)) / above


def mixes(phases, readings):
    plain = [each for each in phases if each.load["slot_step"] == 1]
    apart = [each for each in phases if each.load["slot_step"] > 1]
    told = {}
    for mix in dict.fromkeys(each.mix for each in plain):
        costs = fit([each for each in plain if each.mix == mix], readings)
        others = [each for each in plain if each.mix != mix]
        told[f"{mix[0]}+{mix[1]}"] = {
            "costs": [rounded(cost) for cost in costs],
            "predicts": {each.name: rounded(predicted(each, readings, costs)) for each in others},
        }
    costs = fit(plain, readings)
    told["both"] = {
        "costs": [rounded(cost) for cost in costs],
        "predicts": {each.name: rounded(predicted(each, readings, costs)) for each in apart},
    }
    return told


def verdict(result):
    phases = result["phases"]
    plain = [each for each in phases if each["slot_step"] == 1]
    long = [each["of_two_seconds"] for each in phases]
    equal = [each["equality"] for each in plain if each["equality"]]
    ratios = [
        ratio
        for name, told in result["mixes"].items()
        if name != "both"
        for ratio in told["predicts"].values()
    ]
    apart = [each["mean_joules"] for each in phases if each["slot_step"] > 1]
    beside = [
        each["mean_joules"]
        for each in plain
        for other in phases
        if other["slot_step"] > 1
        and (each["streams"], each["max_tokens"]) == (other["streams"], other["max_tokens"])
    ]
    return {
        "sums_within_5_percent": all(abs(each["sum"] - 1) <= 0.05 for each in phases),
        "worst_sum": max((each["sum"] for each in phases), key=lambda sum: abs(sum - 1)),
        "two_seconds_error_up_to_15_percent": [
            sum(each["error_up_to_15_percent"] for each in long),
            sum(each["count"] for each in long),
        ],
        "largest_error": max(each["largest_error"] for each in long),
        "equal_within_own_error": [
            sum(each["within_own_error_of_mean"] for each in equal),
            sum(each["under_full_load"] for each in equal),
        ],
        "largest_deviation_of_equals": max(each["relative_deviation"] for each in equal),
        "mixes_within_10_percent": all(abs(ratio - 1) <= 0.1 for ratio in ratios),
        "worst_mix": max(ratios, key=lambda ratio: abs(ratio - 1)),
        "slots_apart_cost": rounded(apart[0] / beside[0]) if apart and beside else None,
    }


def pack(out, *names):
    for name in names:
        path = out / name
        with gzip.open(out / f"{name}.gz", "wt") as packed:
            packed.write(path.read_text())
        path.unlink()


if __name__ == "__main__":
    main()
