"""Print how many layouts of mixtures are in the right order.

    PYTHONPATH=docs python -m benchmarks.time.layout_pairs [--misses] [--rows]

Reads ``docs/data/moe_layouts.csv``, which was collected before its rows were predicted. Two rows are a pair if they
have the same source, comparison, model, GPUs, sequence length and batch, and if their measured times differ by more
than 10 %. ``--misses`` lists the pairs in the wrong order, and ``--rows`` the time of each row by part. The fit has
three rows of XTuner.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from layout_order import Pair, pairs, read


def share(found: Sequence[Pair], name: str) -> str:
    right = sum(pair.is_right for pair in found)
    return f"{right:4} of {len(found):3} {right / max(len(found), 1):5.0%}  {name}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--misses", action="store_true", help="list the pairs in the wrong order")
    parser.add_argument("--rows", action="store_true", help="list all rows")
    options = parser.parse_args()
    rows = [*read()]
    found = pairs(rows)
    for source in dict.fromkeys(each.row["source"] for each in rows):
        print(share([pair for pair in found if pair.one.row["source"] == source], source))
    alike = [pair for pair in found if len({each.row["micro_batch"] for each in pair}) == 1]
    print(share(alike, "same micro-batch"))
    print(share(found, "all"))
    for pair in found if options.misses else ():
        if not pair.is_right:
            one, other = pair
            ratios = f"measured {pair.measured:.2f}, estimated {pair.estimated:.2f}"
            print(f"{one.model} on {one.row['gpus']}, batch {one.row['batch']}: {ratios}")
            print(f"    {one.layout}\n    {other.layout}")
    for each in rows if options.rows else ():
        parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in each.estimate.parts.items())
        print(f"{each.row['source'][:22]:22} {each.model:16} {each.row['value']:>6} {each.row['unit']:6} "
              f"{each.estimate.seconds:7.2f} s, MFU {each.estimate.mfu:5.1%} {each.layout}: {parts}")  # fmt: skip


if __name__ == "__main__":
    main()
