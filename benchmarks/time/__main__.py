"""Fit the coefficients of kernels to published tables, and print the errors on rows that were left out.

    python -m benchmarks.time --tables DIR [--infersim DIR] [--vllm DIR] [--write] [NAME ...]

DIR holds the CSV files that ``tables.py`` names, or those of InferSim (``infersim.py``) or vLLM (``vllm.py``). Prints
the mean and median absolute error in percent for each kind of kernel: in five folds by shape, with the coefficients of
a sibling (another accelerator with the same kernels), and with those of all other accelerators. ``--write`` replaces
the coefficients in ``llmcalc/data/efficiency``. Needs SciPy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import yaml

from llmcalc.kernels.efficiencies import efficiencies
from llmcalc.kernels.efficiency import GENERIC

from .fitting import SMALLEST, Form, Rows, errors, fit, join, leave_shapes_out
from .infersim import LIBRARIES
from .tables import TABLES, Table
from .vllm import ENGINE

FOLDER = Path(__file__).parent.parent.parent / "llmcalc" / "data" / "efficiency"


Fits = dict[tuple[str, str], dict[str, float]]  # coefficients by accelerator and kernel


def form_of(table: Table, place: str, kernel: str, fits: Fits) -> Form:
    """Return the form of a kernel. A library may take another kernel where that is faster."""
    fixed, other = table.fixed(kernel), table.alternatives.get(kernel, "")
    if (place, other) not in fits:
        return lambda rows, c: table.form(rows, {**c, **fixed})
    known = {**fits[place, other], **table.fixed(other)}
    return lambda rows, c: np.minimum(table.form(rows, {**c, **fixed}), table.form(rows, known))


def judge(table: Table, groups: dict[tuple[str, str], Rows], *, is_general: bool = True) -> dict[str, dict[str, dict]]:
    """Print the errors of a table, and return its coefficients by accelerator and kernel."""
    family_of = efficiencies().family_of
    stored: dict[str, dict[str, dict]] = {}
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"five folds": [], "sibling": [], "other accelerators": []}
    fits: Fits = {}
    for (place, kernel), rows in sorted(groups.items()):
        if len(rows["seconds"]) >= SMALLEST:
            form = form_of(table, place, kernel, fits)
            fits[place, kernel] = fit(form, rows, table.starts_of(kernel))
    for (place, kernel), rows in sorted(groups.items()):
        if (place, kernel) not in fits:
            continue
        fixed, starts = table.fixed(kernel), table.starts_of(kernel)
        form = form_of(table, place, kernel, fits)
        folded = leave_shapes_out(form, rows, starts)
        found["five folds"].append((folded, rows["seconds"]))
        others = {other: own for (other, name), own in groups.items() if name == kernel and other != place}
        relatives = [other for other in others if family_of(other) == family_of(place) and (other, kernel) in fits]
        if relatives:
            found["sibling"].append((form(rows, fits[relatives[0], kernel]), rows["seconds"]))
        if others:
            found["other accelerators"].append((form(rows, fit(form, join(others.values()), starts)), rows["seconds"]))
        own = errors(folded, rows["seconds"])
        print(f"  {place:20s} {kernel:22s} {own}")
        kept = {name: value for name, value in fits[place, kernel].items() if name not in table.nuisance}
        stored.setdefault(place, {})[kernel] = {
            **kept, **{k: v for k, v in fixed.items() if k != "kind"}, "measurements": own.rows, "error": _error(own)
        }  # fmt: skip
    for kernel in sorted({kernel for _, kernel in fits}) if is_general else ():
        rows = join(own for (_, name), own in groups.items() if name == kernel)
        fixed, form = table.fixed(kernel), form_of(table, GENERIC, kernel, fits)
        common = fits[GENERIC, kernel] = fit(form, rows, table.starts_of(kernel))
        own = errors(form(rows, common), rows["seconds"])
        kept = {name: value for name, value in common.items() if name not in table.nuisance}
        stored.setdefault(GENERIC, {})[kernel] = {
            **kept, **{k: v for k, v in fixed.items() if k != "kind"}, "measurements": own.rows, "error": _error(own)
        }  # fmt: skip
    summary = {}
    for name, pairs in found.items():
        if pairs:
            own = errors(*(np.concatenate(column) for column in zip(*pairs, strict=True)))
            summary[name] = own
            print(f"{table.name:28s} {name:18s} {own}")
    return {"errors": {name: _error(own) for name, own in summary.items()}, "coefficients": stored}


def compare(table: Table, groups: dict[tuple[str, str], Rows]) -> None:
    """Print the errors of the coefficients that steps take."""
    for (place, kernel), rows in sorted(groups.items()):
        known = efficiencies().coefficients(table.name, place, kernel)
        found = errors(table.form(rows, known.values), rows["seconds"])
        print(f"  {place:20s} {f'{kernel}, not fitted':22s} {found}")


def _error(own) -> list[float]:
    return [round(own.mean, 1), round(own.median, 1)]


def _write(table: Table, judged: dict) -> None:
    """Replace the coefficients of a table in its data file. Those of other sources are kept."""
    file = FOLDER / f"{table.name}.yaml"
    known = yaml.safe_load(file.read_text("utf-8")) if file.exists() else {"source": table.source, "coefficients": {}}
    errors = judged["errors"] if GENERIC in judged["coefficients"] else known["errors"]
    sources = dict.fromkeys((*known["source"].split("; "), table.source))
    places = known["coefficients"]
    for place, kinds in judged["coefficients"].items():
        places[place] = {**places.get(place, {}), **kinds}
    lines = [
        f"# Coefficients of the form of {table.name} in kernels, written by benchmarks/time.",
        "# errors, error: mean and median absolute error in percent on shapes that were left out",
        f'source: "{"; ".join(sources)}"',
        "errors: {" + ", ".join(f"{name}: {own}" for name, own in errors.items()) + "}",
        "coefficients:",
    ]
    for place in sorted(places, key=lambda name: (name == GENERIC, name)):
        lines.append(f"  {place}:")
        for kernel, own in sorted(places[place].items()):
            lines.append(f"    {kernel}: {{" + ", ".join(f"{name}: {value}" for name, value in own.items()) + "}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.time", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", help="kinds of kernels (default: all)")
    parser.add_argument("--tables", type=Path, help="folder of the CSV files")
    parser.add_argument("--infersim", type=Path, help="folder bench_data of InferSim")
    parser.add_argument("--vllm", type=Path, help="folder systems/data of aiconfigurator")
    parser.add_argument("--write", action="store_true", help="replace the data files")
    given = parser.parse_args()
    for tables, folder in ((TABLES, given.tables), (LIBRARIES, given.infersim), (ENGINE, given.vllm)):
        for table in tables if folder else ():
            if not given.names or table.name in given.names:
                if not getattr(table, "is_fitted", True):
                    compare(table, table.read(folder))
                    continue
                is_general = tables is TABLES or getattr(table, "is_general", False)
                judged = judge(table, table.read(folder), is_general=is_general)
                if given.write:
                    _write(table, judged)


if __name__ == "__main__":
    main()
