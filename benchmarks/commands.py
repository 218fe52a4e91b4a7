"""Measure the processor time of ordinary commands on every preset, each in a process of its own.

    python benchmarks/commands.py [--models PATTERN] [--commands PATTERN] [--sample N --seed S] [--log FILE]
    python benchmarks/commands.py --again FILE

Processor time is the user and system time of the whole process with its start-up. Measure an installed wheel, which has
compiled presets. PATTERN is a regular expression. A command that took too long is measured again, and the shorter time
counts, because other processes slow a processor down. --again repeats the commands of a log that took too long.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import random
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from llmcalc.schema.preset_files import sized_files

LIMIT = 1.0
LOAD = "--isl 4k --osl 500"
TARGETS = {
    "active": "13B",
    "communication": "1GiB",
    "flops": "1e10",
    "latency": "20ms",
    "memory": "24GiB",
    "params": "13B",
    "state": "1GiB",
    "traffic": "24GiB",
}
NEEDED = {"communication": " --tp 4", "latency": " --gpu h100:8"}
COMMANDS = [
    "params {}",
    "presets show {}",
    "import {}",
    *(f"flops {{}}{mode}" for mode in ("", " --mode train", " --mode decode --context 8192")),
    "traffic {} --mode decode --context 8192",
    "communication {} --mode train --tp 8 --sp",
    "memory {} --batch 8 --seq 8192",
    "memory {} --training",
    "memory {} --training --dp 8 --zero 3 --recompute full",
    "latency {} --gpu h100:8 --batch 16",
    "fit {} --gpu h100:8",
    *(f"fit {{}} --gpu h100:8 --solve {quantity}" for quantity in ("seq", "batch", "gpus", "quant")),
    *(f"fit {{}} --gpu rtx4090 --solve {part}" for part in ("gpu-layers", "cpu-experts")),
    "fit {} --gpu all --weights fp8",
    *(f"fit {{}} --gpu {gpus} --training" for gpus in ("rtx4090", "h100:8", "h100:64", "h100:512")),
    "fit {} --gpu h100:8 --solve recipe",
    *(f"serve {{}} --gpu h100:8 {options}".rstrip() for options in ("", f"{LOAD} --concurrency 64")),
    *(f"serve {{}} --gpu {gpus} {LOAD} --sla ttft=500ms,tpot=20ms" for gpus in ("h100:8", "b200-180gb:16")),
    *(f"serve {{}} --gpu {gpus} {LOAD} --pareto" for gpus in ("h100:8", "b200-180gb:16")),
    f"serve {{}} --gpu h100:8 {LOAD} --concurrency 16 --draft-method mtp",
    f"serve {{}} --gpu h100:1024 {LOAD} --concurrency 512",
    "serve {} --gpu rtx4090 --engine llama.cpp --max-model-len 16k",
    "rl {} --gpu h100:8 --sleep 2",
    "scale {} --tokens 15T",
    "train {} --tokens 15T --gpu h100:512",
    "sweep {} flops.total state.bytes --over seq=1k..64k:x2",
    "sweep {} memory.peak --over seq=1k..64k:x2",
    "compare {} gpt3",
    "diff {} gpt3",
    *(f"explain {{}} {name}{NEEDED.get(name, '')}" for name in TARGETS),
    "explain {} memory --training --format json",
    *(f"design {{}} --{name} {target}{NEEDED.get(name, '')}" for name, target in TARGETS.items()),
    "check {} --max-params 9B --max-memory 24GiB --seq 8192",
    "verify {}",
    "report {} --gpu h100:8 -o -",
]


class Run(NamedTuple):
    """A command line with its processor time and exit code."""

    command: str
    model: str
    seconds: float
    code: int

    @property
    def line(self) -> str:
        return f"llmcalc {self.command.format(self.model)}"


def measure(command: str, model: str) -> Run:
    """Run a command, twice if it took too long."""
    seconds, code = processor_time(command.format(model).split())
    if seconds > LIMIT:
        seconds = min(seconds, processor_time(command.format(model).split())[0])
    return Run(command, model, seconds, code)


def processor_time(arguments: list[str]) -> tuple[float, int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "llmcalc", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, process.returncode


def pairs(options: argparse.Namespace) -> list[tuple[str, str]]:
    """The commands and models to measure."""
    if options.again:
        runs = [Run(**json.loads(line)) for line in options.again]
        return [(run.command, run.model) for run in runs if run.seconds > LIMIT]
    names = [f"{Path(file).stem}-{size}" if size else Path(file).stem for file, size in sized_files()]
    chosen = [name for name in names if re.search(options.models, name)]
    found = [(command, model) for command in COMMANDS if re.search(options.commands, command) for model in chosen]
    return random.Random(options.seed).sample(found, options.sample) if options.sample else found


def main(options: argparse.Namespace) -> None:
    runs: dict[str, list[Run]] = {}
    work = pairs(options)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for run in pool.map(lambda pair: measure(*pair), work):
            runs.setdefault(run.command, []).append(run)
            if options.log:
                print(json.dumps(run._asdict()), file=options.log, flush=True)
    print(f"{'runs':>5}  {'over 1 s':>8}  {'errors':>6}  {'mean s':>6}  {'max s':>6}  command")
    for measured in runs.values():
        slow, errors = sum(run.seconds > LIMIT for run in measured), sum(run.code > 1 for run in measured)
        mean, longest = statistics.fmean(run.seconds for run in measured), max(measured, key=lambda run: run.seconds)
        print(f"{len(measured):5}  {slow:8}  {errors:6}  {mean:6.2f}  {longest.seconds:6.2f}  {longest.line}")
    slow_runs = sorted(
        (run for measured in runs.values() for run in measured if run.seconds > LIMIT), key=lambda run: -run.seconds
    )
    print(f"{len(slow_runs)} of {len(work)} commands took longer than {LIMIT:g} s")
    for run in slow_runs:
        print(f"{run.seconds:7.2f} s  {run.line}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="")
    parser.add_argument("--commands", default="")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--log", type=argparse.FileType("w", encoding="utf-8"))
    parser.add_argument("--again", type=argparse.FileType(encoding="utf-8"))
    main(parser.parse_args())
