"""Measure how many small mistakes in ``core``, ``layers`` and ``calc`` the tests catch.

    python benchmarks/mutation --sample 400 --seed 1 --jobs 2

draws a sample of the mutants, stratified by module, and runs the tests against each mutant, fast tests first. It prints
the share of killed mutants in each package with a 95 % confidence interval, and lists every survivor. The environment
must contain the test dependencies. ``--commands`` also runs the command-line tests, and ``--oracle`` the oracle suite,
which requires torch and transformers. Tests that start a new process, such as the documentation tests, see no mutants.

    python benchmarks/mutation --measure reach.json
    python benchmarks/mutation --sample 400 --reach reach.json

first records which tests run which lines (with coverage.py). Each mutant is then tested only with the contract tests of
its layer kind and up to a minute of tests that run its line, or with the fast tests if the line runs only at import.
This is much faster and never reports a false kill. Use ``--again`` without ``--reach`` to run all tests on survivors.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from mutants import Mutant, mutants
from reach import Reach, measure
from run import ALL_PASSED, SURVIVED, TIMED_OUT, outcome, preload

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("core", "layers", "calc")
LIMIT_S = 300.0
NOTHING_SELECTED = 5  # pytest's exit code
Z95 = 1.96
FAST = ["tests/core", "tests/calc", "tests/estimate", "tests/kernels", "tests/schema", "tests/fuzz", "tests/report"]
WIDE = [
    "tests/twins",
    "tests/verification",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").glob("test_*.py")),
]
CONTRACT = "tests/layers/test_contract.py"
COMMANDS = ["tests/cli"]  # slow, and mostly concerned with wording


class Judge(NamedTuple):
    """Runs tests against mutants."""

    reach: Reach | None
    commands: bool
    oracle: bool

    def stages(self, mutant: Mutant) -> Iterator[list[str]]:
        """Yield sets of tests; each set runs only if the mutant survived the previous sets."""
        if self.reach is not None:
            if package_of(mutant) == "layers":
                yield [CONTRACT, "-k", f"[{mutant.path.stem}]"]
            yield from self.reach.stages(mutant, ROOT) or [FAST]
        else:
            yield from self._packages(mutant)
        if self.commands:
            yield COMMANDS
        if self.oracle:
            yield ["tests/oracle"]

    def _packages(self, mutant: Mutant) -> Iterator[list[str]]:
        package = package_of(mutant)
        own = [CONTRACT, "-k", f"[{mutant.path.stem}]"] if package == "layers" else [f"tests/{package}"]
        yield own
        yield [tests for tests in FAST if tests not in own]
        if package != "layers":
            yield [CONTRACT, "-k", "[moe]"]
        yield WIDE

    def __call__(self, mutant: Mutant) -> tuple[Mutant, str]:
        """Return the mutant and its verdict: ``survived``, or how it was killed."""
        for number, tests in enumerate(self.stages(mutant), 1):
            code = outcome(mutant, tests, ROOT, LIMIT_S) if tests else NOTHING_SELECTED
            if code == TIMED_OUT:
                return mutant, "timed out"
            if code not in (ALL_PASSED, NOTHING_SELECTED):
                return mutant, f"killed in stage {number}"
        return mutant, SURVIVED


def package_of(mutant: Mutant) -> str:
    """Return the package that contains a mutant, such as ``calc`` for a module in ``calc/memory``."""
    return mutant.path.relative_to(ROOT / "llmcalc").parts[0]


def sampled(files: list[Path], size: int, seed: int) -> list[Mutant]:
    """Draw a random sample stratified by module, with at least one mutant per module."""
    rng = random.Random(seed)
    every = {path: mutants(path) for path in files}
    total = sum(map(len, every.values()))
    chosen: list[Mutant] = []
    for found in every.values():
        share = max(1, round(size * len(found) / total))
        chosen += rng.sample(found, min(share, len(found)))
    rng.shuffle(chosen)
    return chosen


def logged(log: Path) -> tuple[list[tuple[Mutant, str]], list[Mutant]]:
    """Read a log: the killed mutants with their verdicts, and the survivors."""
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    found = [
        (Mutant(ROOT / path, line, what, step, variant), verdict) for path, line, what, step, variant, verdict in rows
    ]
    return [pair for pair in found if pair[1] != SURVIVED], [mutant for mutant, verdict in found if verdict == SURVIVED]


def interval(killed: int, total: int) -> tuple[float, float]:
    """Return the Wilson 95 % confidence interval of a proportion."""
    share, z2 = killed / total, Z95**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2)) / (1 + z2 / total)
    return middle - half, middle + half


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=400, help="number of mutants in the sample")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="number of parallel processes")
    parser.add_argument("--only", default="", help="use only modules whose path contains this text")
    parser.add_argument("--commands", action="store_true", help="also run the command-line tests on survivors")
    parser.add_argument("--oracle", action="store_true", help="also run the oracle suite on survivors (slow)")
    parser.add_argument("--again", type=Path, help="retry the mutants that survived in this log")
    parser.add_argument("--log", type=Path, help="append each result to this file as a JSON line")
    parser.add_argument("--measure", type=Path, help="record which tests run which lines in this file, and exit")
    parser.add_argument("--reach", type=Path, help="file from --measure; run only tests that reach a mutant's line")
    options = parser.parse_args()
    folders = [ROOT / "llmcalc" / name for name in PACKAGES]
    if options.measure:
        return measure(options.measure, [*FAST, *WIDE], folders, ROOT)
    preload()
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    chosen = sampled([path for path in files if options.only in str(path)], options.sample, options.seed)
    results: list[tuple[Mutant, str]] = []
    if options.again:
        results, chosen = logged(options.again)
    for tests in () if options.reach else (FAST, WIDE):
        if outcome(None, tests, ROOT, LIMIT_S) != ALL_PASSED:
            print(f"tests fail without any mutant: {' '.join(tests)}", file=sys.stderr)
            return 2
    judge = Judge(Reach.read(options.reach) if options.reach else None, options.commands, options.oracle)
    with get_context("fork").Pool(options.jobs) as pool:
        for mutant, verdict in pool.imap_unordered(judge, chosen):
            results.append((mutant, verdict))
            print(f"\r{len(results)}/{len(chosen)}", end="", file=sys.stderr, flush=True)
            if options.log:
                with options.log.open("a", encoding="utf-8") as log:
                    row = [str(mutant.path.relative_to(ROOT)), mutant.line, mutant.what, mutant.step, mutant.variant]
                    log.write(json.dumps([*row, verdict], ensure_ascii=False) + "\n")
    report(results)
    return 0


def report(results: list[tuple[Mutant, str]]) -> None:
    """Print the share of killed mutants by package and overall, and list the survivors."""
    print()
    for package in (*PACKAGES, "all"):
        verdicts = [verdict for mutant, verdict in results if package in ("all", package_of(mutant))]
        if verdicts:
            killed = sum(verdict != SURVIVED for verdict in verdicts)
            low, high = interval(killed, len(verdicts))
            share = f"{killed / len(verdicts):.1%}"
            print(f"{package:7} {killed:4} of {len(verdicts):4} killed  {share:>6}  (95 %: {low:.1%} to {high:.1%})")
    print()
    for mutant, verdict in sorted(results):
        if verdict == SURVIVED:
            print(f"{mutant.path.relative_to(ROOT)}:{mutant.line}  {mutant.what}")


if __name__ == "__main__":
    sys.exit(main())
