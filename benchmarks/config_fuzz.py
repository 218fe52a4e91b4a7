"""Compare the parameter counts of mutated configs with models built by transformers on the meta device.

    python benchmarks/config_fuzz.py [--keys N] [--mutants N] [--seed N] [--families NAME,NAME] [--json FILE]

Requires transformers and torch. Each mutant is a tiny config of a family, drawn from the seed, in which one key or
several keys have another value or are missing. The outcomes are:

*equal*      both give the same number of parameters
*warned*     the numbers differ, and llmcalc's result has a warning, or a note that begins with a changed key
*refused*    llmcalc raises an error, and transformers builds a model
*both*       neither accepts the config
*accepted*   llmcalc gives a number, and transformers cannot build the model
*wrong*      the numbers differ, and llmcalc does not say so
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import functools
import itertools
import json
import random
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import llmcalc
from tests.oracle import families, perturb, reference

Config = dict[str, Any]
SKIPPED = (  # keys of every class that no reader looks up
    "architectures", "model_type", "transformers_version", "dtype", "id2label", "label2id", "problem_type",
    "return_dict", "output_hidden_states", "output_attentions", "chunk_size_feed_forward", "_name_or_path",
)  # fmt: skip
DRAWS = 3  # tiny configs that are tried for each family
MISSING = "<missing>"  # instead of a value: the key is deleted
Change = tuple[tuple[str, ...], object]  # path of a key, and its new value


def values(value: object) -> list[object]:
    """Return replacements for a value, of the same type and of others."""
    if isinstance(value, bool):
        return [not value, None, "yes"]
    if isinstance(value, int):
        return [0, 1, 2 * value, value + 1, max(1, value // 2), -value - 1, None, float(value), str(value)]
    if isinstance(value, float):
        return [0.0, 2 * value + 0.1, -1.0, None, str(value)]
    if isinstance(value, str):
        return ["nonsense", "", None, 3]
    if isinstance(value, list):
        strange = ["nonsense" if isinstance(value[0], str) else -1, *value[1:]] if value else [1]
        return [[], value[:-1], [*value, *value[-1:]], value[::-1], strange, None, {}]
    if isinstance(value, dict):
        return [{}, None, [1], "nonsense"]
    return [1, 2, 5, 8, True, False, 0.5, "nonsense", []]


def mutants(config: Config, path: tuple[str, ...] = ()) -> Iterator[Change]:
    """Yield all changes of a single key."""
    for key, value in config.items():
        if key in SKIPPED:
            continue
        for new in (*values(value), MISSING):
            yield (*path, key), new
        if isinstance(value, dict) and len(path) < 2:
            yield from mutants(value, (*path, key))


def drawn(generator: random.Random, everything: list[Change], keys: int, number: int) -> Iterator[tuple[Change, ...]]:
    """Yield different random sets of changes to ``keys`` keys, none of which lies within another."""
    if keys == 1:
        yield from ((change,) for change in generator.sample(everything, min(number, len(everything))))
        return
    seen = set[str]()
    for _ in range(20 * number):
        changes = tuple(generator.sample(everything, keys))
        paths = [path for path, _ in changes]
        nested = any(one == two[: len(one)] for one, two in itertools.permutations(paths, 2))
        if len(seen) < number and not nested and repr(changes) not in seen:
            seen.add(repr(changes))
            yield changes


def changed(config: Config, path: tuple[str, ...], value: object) -> Config:
    """Return a config with another value at a path, or without the key."""
    head, *rest = path
    if rest:
        return {**config, head: changed(config[head], tuple(rest), value)}
    return {key: old for key, old in {**config, head: value}.items() if key != head or value is not MISSING}


def theirs(class_name: str, config: Config) -> int | None:
    """Return the number of parameters of the model that transformers builds, or None if it cannot."""
    import torch
    import transformers

    try:
        with reference.quiet(), torch.device("meta"):
            made = reference.config_class(config["model_type"]).from_dict(config)
            made._attn_implementation = made._experts_implementation = "eager"
            return reference.parameters(getattr(transformers, class_name)(made))
    except Exception:  # whatever a class objects to
        return None


def ours(config: Config, keys: set[str]) -> tuple[int | None, tuple[str, ...]]:
    """Return the number of parameters, warnings and notes that begin with any of the keys, or None and the error."""
    try:
        architecture = llmcalc.load(config)
        notes = (note for note in architecture.notes if note.split(" ", 1)[0] in keys)
        return llmcalc.params(architecture).total, (*architecture.warnings, *notes)
    except llmcalc.InputError as error:
        return None, (str(error),)


def outcome(
    class_name: str, config: Config, changes: Iterable[Change] = ()
) -> tuple[str, object, object, tuple[str, ...]]:
    """Return the outcome for a config with ``changes``, both numbers, and what llmcalc says about it."""
    config = functools.reduce(lambda whole, change: changed(whole, *change), changes, config)
    (own, said), other = ours(config, {path[-1] for path, _ in changes}), theirs(class_name, config)
    if own is None:
        name = "both" if other is None else "refused"
    elif other is None:
        name = "accepted"
    else:
        name = "equal" if own == other else "warned" if said else "wrong"
    return name, own, other, said


def bases(names: list[str], seed: int) -> Iterator[tuple[str, Config]]:
    """Yield a tiny config of each class that both sides count equally, as transformers writes it."""
    for model_type in names:
        for class_name in reference.classes(model_type)[:1]:
            for draw in range(DRAWS * seed, DRAWS * (seed + 1)):
                changes = perturb.tiny(model_type, class_name, draw)
                if changes is None:
                    continue
                with contextlib.suppress(Exception):
                    model = reference.build(class_name, model_type, changes)
                    config = json.loads(json.dumps(reference.plain_config(model, class_name)))
                    if outcome(class_name, config)[0] == "equal":
                        yield class_name, config
                        break


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1, help="number of keys changed together (default: 1)")
    parser.add_argument("--mutants", type=int, default=20_000, help="number of mutants (default: 20000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--families", help="comma-separated model types (default: all)")
    parser.add_argument("--json", type=Path, help="file for all outcomes that are not equal")
    options = parser.parse_args()
    names = options.families.split(",") if options.families else families.shared()
    generator = random.Random(options.seed)
    generator.shuffle(names)
    found, listed, n_families = collections.Counter[str](), [], 0
    begin = time.perf_counter()
    for number, (class_name, config) in enumerate(bases(names, options.seed)):
        everything, n_families = list(mutants(config)), number + 1
        share = -(-(options.mutants - found.total()) // max(1, len(names) - number))
        for changes in drawn(generator, everything, options.keys, share):
            name, own, other, said = outcome(class_name, config, changes)
            found[name] += 1
            if name != "equal":
                told = {".".join(path): value for path, value in changes}
                listed.append((name, config["model_type"], told, own, other, *said))
                if name == "wrong":
                    print(*listed[-1], flush=True)
        if options.json:
            options.json.write_text("\n".join(map(json.dumps, listed)), "utf-8")
    print(f"transformers {reference.transformers.__version__}, {found.total():,} mutants of {n_families} families, "
          f"{options.keys} keys, seed {options.seed}, {time.perf_counter() - begin:.0f} s")  # fmt: skip
    for name, count in found.most_common():
        print(f"{name:10}{count:8,}  {count / found.total():8.3%}")


if __name__ == "__main__":
    main()
