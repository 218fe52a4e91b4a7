"""Add structural keys of other families to configs, and report how many are errors.

    python benchmarks/planted_keys.py [--seed N]

A key is structural if another value changes the number of parameters of a family that has it. It is added, with a value
that is not off, to the config of a family whose class does not have it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import llmcalc
from llmcalc.importers.hf import families

DEFAULTS = Path(llmcalc.__file__).parent / "data" / "hf"
PLANTED = 100


def shipped(model_type: str) -> dict[str, Any]:
    """Return the defaults and aliases of a class, or empty ones."""
    file = DEFAULTS / f"{model_type}.json"
    return json.loads(file.read_text("utf-8")) if file.is_file() else {"defaults": {}, "aliases": {}}


def total(config: dict[str, Any]) -> int | None:
    try:
        return llmcalc.params(llmcalc.load(config)).total
    except llmcalc.InputError:
        return None


def structural(model_type: str, key: str, value: object) -> object:
    """Return another value of a key that changes the size of its family, or None."""
    for other in {bool: [True], int: [2 * value] if type(value) is int else []}.get(type(value), [True, 2]):
        found = total({"model_type": model_type, key: other})
        if found not in (None, total({"model_type": model_type})):
            return other
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    generator = random.Random(parser.parse_args().seed)
    names = [name for name in families.names() if shipped(name)["defaults"]]
    planted, refused = 0, 0
    while planted < PLANTED:
        owner, host = generator.sample(names, 2)
        key, value = generator.choice(sorted(shipped(owner)["defaults"].items()))
        known = shipped(host)
        if key in known["defaults"] or key in known["aliases"] or total({"model_type": host}) is None:
            continue
        other = structural(owner, key, value)
        if other is None:
            continue
        planted += 1
        if total({"model_type": host, key: other}) is None:
            refused += 1
        else:
            print(f"{host} accepts {key} = {other!r} of {owner}")
    print(f"{refused} of {planted} planted keys are errors")


if __name__ == "__main__":
    main()
