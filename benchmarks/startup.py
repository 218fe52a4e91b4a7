"""Measure the start-up time of commands relative to ``python -c pass``, as minimum and median.

    python benchmarks/startup.py [ROUNDS]

Each round runs every command once, so that a temporary load on the machine affects all commands equally.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROUNDS = 25
BASE = "python -c pass"
LIBRARY = "import llmcalc; llmcalc.params(llmcalc.load('gpt3'))"
# name: (arguments of the interpreter, maximum ratio)
COMMANDS: dict[str, tuple[list[str], float | None]] = {
    BASE: (["-c", "pass"], None),
    "import llmcalc": (["-c", "import llmcalc"], 3.0),
    "llmcalc --version": (["-m", "llmcalc", "--version"], 4.0),
    "llmcalc params gpt3": (["-m", "llmcalc", "params", "gpt3"], 8.0),
    "llmcalc params gpt3 --json": (["-m", "llmcalc", "params", "gpt3", "--json"], None),
    "llmcalc params deepseek-v3": (["-m", "llmcalc", "params", "deepseek-v3"], None),
    "params(load('gpt3'))": (["-c", LIBRARY], None),
    "llmcalc params gpt3 --format table": (["-m", "llmcalc", "params", "gpt3", "--format", "table"], None),
    "llmcalc --help": (["-m", "llmcalc", "--help"], None),
    "import dataclasses": (["-c", "import dataclasses"], None),
}


def seconds(arguments: list[str]) -> float:
    environment = {**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT))}
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, check=True, env=environment)
    return time.perf_counter() - begin


def main(rounds: int) -> None:
    measured: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, (arguments, _) in COMMANDS.items():
            took = seconds(arguments)
            if number:  # skip the first round, which writes the bytecode
                measured[name].append(took)
    base = min(measured[BASE])
    middle = statistics.median(measured[BASE])
    print(f"{'command':36}  {'min ms':>7}  {'ratio':>6}  {'median ratio':>12}  at most")
    for name, times in measured.items():
        limit = COMMANDS[name][1]
        ratio, typical = min(times) / base, statistics.median(times) / middle
        print(f"{name:36}  {min(times) * 1000:7.1f}  {ratio:6.2f}  {typical:12.2f}  {limit or ''}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
