"""The architecture as blocks that open to layers, equations and tensors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from ...core.amount import summed
from ...core.architecture import Named, Run, Stack, Sublayer, declare, layer_glossary
from ...core.axes import WORKLOAD
from ...core.declaration import Declaration, Tensor
from ...core.description.structure import structure_line
from ...core.layer import Layer
from ...core.ledger import Row
from ...report.numbers import human
from .case import Case

_ACRONYM = re.compile(r"Mla|Mlp|Moe|Kda|RgLru|Rwkv")
_ACRONYMS = {"Moe": "MoE", "RgLru": "RG-LRU"}  # others are in capitals
Place = tuple[str, int | None, int, str]  # stack, run, number of the sub-layer, layer


def blocks(case: Case, _: Mapping[str, Any]) -> dict[str, Any]:
    """Return every stack of a model with its blocks, and what each layer declares and costs."""
    stacks = list(map(_Maker(case).stack, case.model.stacks))
    return {"title": case.title, "total": case.params.total, "text": human(case.params.total), "stacks": stacks}


class _Maker:
    """Parameters and FLOPs of a model by place."""

    def __init__(self, case: Case) -> None:
        self.total = case.params.total or 1
        self.rows: dict[Place, list[Row]] = {}
        self.stored: dict[Place, int] = {}
        for row in case.params.rows:
            stack, run = row.entry.stack, row.entry.run
            first = None if run is None else stack.first_runs[run]
            key = (stack.name, first, row.entry.number, row.entry.name)
            if first == run:
                self.rows.setdefault(key, []).append(row)
            if not row.tensor.buffer:
                self.stored[key] = self.stored.get(key, 0) + row.size * row.copies
        step = case.step_flops
        own = ((work.entry, step.of([work]).total) for work in step.works)
        self.flops = summed(((entry.stack.name, entry.run, entry.number, entry.name), size) for entry, size in own)

    def stack(self, stack: Stack) -> dict[str, Any]:
        """Return a stack. Runs of equal blocks are one block with a count."""
        runs = [
            self.block(stack, index, stack.runs[index], stored, applied)
            for index, (stored, applied) in stack.distinct_runs.items()
        ]
        return {
            "name": stack.name, "role": stack.role, "structure": structure_line(stack), "n_layers": stack.n_layers,
            "inputs": [self.layer(stack, None, 0, named) for named in stack.inputs], "blocks": runs,
            "outputs": [self.layer(stack, None, 0, named) for named in stack.outputs],
        }  # fmt: skip

    def block(self, stack: Stack, index: int, run: Run, stored: int, applied: int) -> dict[str, Any]:
        """Return a block with its sub-layers, and the layers at which it stands."""
        same = [at for at, first in enumerate(stack.first_runs) if first == index]
        spans = [(stack.first_blocks[at], stack.first_blocks[at] + stack.runs[at].count - 1) for at in same]
        places = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in spans[:4])
        sublayers = [self.sublayer(stack, index, number, one) for number, one in enumerate(run.block.sublayers)]
        return {
            "name": run.block.name, "count": applied, "stored": stored, "shared": run.shared,
            "places": places + (", …" if len(spans) > 4 else ""), "sublayers": sublayers,
            "params": sum(layer["params"] for one in sublayers for layer in one["layers"]),
        }  # fmt: skip

    def sublayer(self, stack: Stack, run: int, number: int, one: Sublayer) -> dict[str, Any]:
        """Return a sub-layer with its layers in execution order."""
        layers = [self.layer(stack, run, number, named) for named in one.layers()]
        return {"name": one.name, "residual": one.residual, "parallel": len(one.branches) > 1, "layers": layers}

    def layer(self, stack: Stack, run: int | None, number: int, named: Named) -> dict[str, Any]:
        """Return a layer with its equations, tensors and numbers in one block."""
        place = (stack.name, run, number, named.name)
        rows, stored, found = self.rows.get(place, ()), self.stored.get(place, 0), self.flops.get(place, 0)
        params = sum(row.size for row in rows if row.copies and not row.tensor.buffer)
        return {
            "name": named.name, "kind": _kind(type(named.layer)), "params": params, "stored": stored,
            "text": human(params), "share": stored / self.total, "flops": human(found),
            "tensors": [_tensor(row.part, row.declaration, row.tensor, row.copies) for row in rows],
            "equations": [*_equations(declare(named.layer))],
            "state": [f"{state.name}[{' '.join(state.axes)}]" for _, part in declare(named.layer).walk()
                      for state in part.states],
            "axes": [*_axes(named.layer)], "about": _about(type(named.layer)),
        }  # fmt: skip


def _axes(layer: Layer) -> Iterator[list[str]]:
    """Yield the letter, the name and the length of each axis in the equations of a layer, and what it means."""
    own = declare(layer)
    letters = set(re.findall(r"[^\W\d]\w*", " ".join(re.findall(r"\[(.*?)\]", " ".join(_equations(own))))))
    meanings, lengths = layer_glossary(layer), dict[str, str]()
    for _, part in own.walk():
        lengths |= {axis: str(length) for axis, length in part.axes.items() if axis in letters}
    for axis, length in lengths.items():
        name, meaning = meanings.get(axis, (axis, ""))
        yield [axis, name if name != axis else "", length, meaning]
    yield from ([axis, "", "", meaning] for axis, meaning in WORKLOAD.items() if axis in letters - set(lengths))


def _kind(kind: type) -> str:
    """Return the name of a kind with acronyms in capitals.

    >>> from ...layers.mlp import Mlp
    >>> _kind(Mlp)
    'MLP'
    """
    return _ACRONYM.sub(lambda match: _ACRONYMS.get(match[0], match[0].upper()), kind.__name__)


def _about(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n\n")[0].replace("``", "").replace("\n", " ")


def _tensor(path: tuple[str, ...], own: Declaration, tensor: Tensor, copies: int) -> dict[str, Any]:
    sizes = [prod(int(own.axes[axis]) for axis in group) for group in tensor.groups]
    names = ["·".join(own.name_of(axis) for axis in group) for group in tensor.groups]
    size = prod(sizes)
    return {
        "name": ".".join((*path, tensor.name)), "axes": " × ".join(names), "shape": " × ".join(map(str, sizes)),
        "params": human(size) or str(size), "shared": not copies, "buffer": tensor.buffer,
    }  # fmt: skip


def _equations(own: Declaration) -> Iterator[str]:
    """Yield the equations of a layer. Those of inner layers have the name of the layer in front."""
    for path, part in own.walk():
        name = f"{'.'.join(path)}: " if path else ""
        yield from (name + line for line in part.lines)
