"""Hypothesis strategies that generate layers, architectures, workloads and meshes for tests.

    from hypothesis import given

    import llmcalc
    from llmcalc.testing import architectures, workloads

    @given(architectures(), workloads())
    def test_my_report_shows_the_total(architecture, workload):
        work = llmcalc.flops(architecture, batch=workload.batch, seq=workload.seq)
        assert str(work.total) in my_report(architecture, workload)

Sizes are distinct primes where possible, so that swapped axes change the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, replace
from itertools import chain, repeat
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from . import layers as kinds
from .calc.sharding import Mesh
from .core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from .core.errors import SizeError
from .core.layer import Layer
from .core.ledger import rows
from .core.part import Part
from .core.setting import LOGITS, MODE, PAIRS
from .core.shrink import WIDTH, rules
from .core.workload import Workload

PRIMES = tuple(number for number in range(2, 200) if all(number % divisor for divisor in range(2, number)))
WIDTHS = tuple(heads * prime for heads in (6, 12, 30) for prime in (5, 7, 11, 13))  # divisible by many head counts
VOCABULARY = 211
ROLES = (("decoder",), ("encoder",), ("encoder", "decoder"))
_MAX_BLOCKS, _MAX_RUNS, _MAX_TOKENS, _MAX_RANKS = 3, 3, 64, 4
_MAX_REPAIRS = 24
NO_VALUES: Mapping[str, Any] = {}


@st.composite
def layers(draw: st.DrawFn, /, kind: str, multiple: int = 1, **fixed: Any) -> Layer:
    """Draw a valid layer with random values for all fields not in ``fixed``. Sizes are primes times ``multiple``."""
    found, entries = _fields(kind)
    primes = chain((multiple * prime for prime in draw(st.permutations(PRIMES))), repeat(1))
    values = {entry.name: draw(_values(found, entry, prime)) for entry, prime in zip(entries, primes, strict=False)}
    values |= {name: value for name, value in fixed.items() if name in values}
    usual = {entry.name: entry.default for entry in entries if entry.name not in fixed and not is_required(entry)}
    repaired = _repaired(found, values, fixed, multiple, usual)
    assume(_error(found, repaired) is None)
    return found(**repaired)


def block_kinds() -> list[str]:
    """Return the layer kinds that any block can contain because they access only the residual stream."""
    allowed = (kind for kind in kinds.kinds() if kinds.find(kind)[0].IN_ANY_BLOCK)
    return [kind for kind in allowed if any(entry.name == "d_model" for entry in _fields(kind)[1])]


def _fields(kind: str) -> tuple[type[Layer], tuple[Field[Any], ...]]:
    """Return the class and the fields of a layer kind."""
    found, _ = kinds.find(kind)
    return found, fields(found)  # type: ignore[arg-type]


@st.composite
def architectures(draw: st.DrawFn, multiple: int = 1) -> Architecture:
    """Draw an encoder, a decoder or both, each with up to three runs of blocks and an optional norm and head.

    Sizes are primes times ``multiple``, so that they can be sharded over ``multiple`` ranks.
    """
    d_model, roles = draw(st.sampled_from(WIDTHS)), draw(st.sampled_from(ROLES))
    source = draw(st.sampled_from(WIDTHS)) if len(roles) > 1 else None
    widths = [source if role != roles[-1] and source else d_model for role in roles]
    stacks = [draw(_stacks(role, width, source, multiple)) for role, width in zip(roles, widths, strict=True)]
    try:
        list(rows(tuple(stacks)))
    except SizeError:  # a shared tensor with two sizes
        assume(False)
    return Architecture("drawn", tuple(stacks))


@st.composite
def _stacks(draw: st.DrawFn, role: str, d_model: int, source: int | None, multiple: int) -> Stack:
    """Draw a stack. If the encoder width ``source`` is given, every decoder block contains cross-attention."""
    table = kinds.find("embedding")[0](rows=VOCABULARY, d_model=d_model)  # type: ignore[call-arg]
    across = source if role == "decoder" else None
    runs_of = _runs(d_model, across, multiple)
    drawn = draw(st.lists(runs_of, min_size=1, max_size=_MAX_RUNS, unique_by=lambda run: run.block))
    runs = [replace(run, block=replace(run.block, name=f"block_{number}")) for number, run in enumerate(drawn)]
    norm = draw(st.none() | layers("norm", d_model=d_model))
    head = draw(st.none() | layers("head", d_model=d_model, vocab=VOCABULARY, share=None))
    outputs = [Named(name, layer) for name, layer in (("norm", norm), ("head", head)) if layer]
    return Stack(role, d_model, (Named("token", table),), tuple(runs), tuple(outputs), role)


@st.composite
def _runs(draw: st.DrawFn, d_model: int, source: int | None, multiple: int) -> Run:
    """Draw a run with one or two sub-layers per block, plus cross-attention if ``source`` is given."""
    sublayers = draw(st.lists(_sublayers(d_model, multiple), min_size=1, max_size=2, unique_by=lambda part: part.name))
    if source:
        layer = draw(layers("attention", multiple, d_model=d_model, d_source=source, cross=True, causal=False))
        sublayers.append(Sublayer("cross_attention", (Branch("cross_attention", layer),)))
    return Run(Block("block", tuple(sublayers)), draw(st.integers(1, _MAX_BLOCKS)), draw(st.booleans()))


@st.composite
def _sublayers(draw: st.DrawFn, d_model: int, multiple: int) -> Sublayer:
    kind = draw(st.sampled_from(block_kinds()))
    found, entries = _fields(kind)
    of_streams = {name for name, rule in rules(found).items() if WIDTH in rule.split()}  # type: ignore[arg-type]
    widths = {entry.name: d_model if is_required(entry) else None for entry in entries if entry.name in of_streams}
    layer = draw(layers(kind, multiple, cross=False, **widths))
    pre, post = draw(st.tuples(*[st.none() | layers("norm", d_model=d_model)] * 2))
    return Sublayer(kind, (Branch(kind, layer),), pre, post)


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    """Draw a forward pass, a training step or a decode step on a few short sequences."""
    mode = draw(st.sampled_from(MODE.choices))
    return Workload(
        batch=draw(st.integers(1, 4)),
        seq=draw(st.integers(1, _MAX_TOKENS)),
        mode=mode,
        attention=draw(st.sampled_from(PAIRS.choices)),
        logits=draw(st.sampled_from(LOGITS.choices)),
        context=draw(st.integers(0, _MAX_TOKENS)) if mode == "decode" else 0,
    )


@st.composite
def meshes(draw: st.DrawFn) -> Mesh:
    """Draw a mesh that combines all kinds of parallelism, with ``ep`` as a divisor of ``dp``."""
    data, tensor, pipeline, context = draw(st.tuples(*[st.integers(1, _MAX_RANKS)] * 4))
    expert = draw(st.sampled_from([ranks for ranks in range(1, data + 1) if data % ranks == 0]))
    ranks = {"dp": data, "tp": tensor, "pp": pipeline, "ep": expert, "cp": context}
    stages = draw(st.integers(1, 2)) if pipeline > 1 else 1
    return Mesh(**ranks, sp=draw(st.booleans()), zero=draw(st.integers(0, 3)), virtual_stages=stages)


def smallest(kind: str) -> dict[str, Any]:
    """Return small valid values for the required fields of a layer kind, using distinct primes where possible."""
    found, entries = _fields(kind)
    needed = [entry.name for entry in entries if is_required(entry)]
    values: dict[str, Any] = dict(zip(needed, PRIMES[1:], strict=False))
    values = _repaired(found, values)
    found(**values)
    return values


def is_required(entry: Field[Any]) -> bool:
    """Return whether a field has no default."""
    return entry.default is MISSING and entry.default_factory is MISSING


def _repaired(found: type[Part], values: dict[str, Any], *details: Any) -> dict[str, Any]:
    """Return the values after repeated repairs. ``details`` are passed to ``_repair``."""
    for _ in range(_MAX_REPAIRS):
        error = _error(found, values)
        changed = _repair(found, values, error, *details) if error else None
        if changed is None:
            break
        values = changed
    return values


def _repair(
    found: type[Part],
    values: Mapping[str, Any],
    error: SizeError,
    fixed: Mapping[str, Any] = NO_VALUES,
    multiple: int = 1,
    usual: Mapping[str, Any] = NO_VALUES,
) -> dict[str, Any] | None:
    """Return the values with one change that addresses the error, or None if the error can't be avoided.

    A size that is not a multiple of its divisor is multiplied by the divisor. If the size is fixed, the divisor
    becomes one of its prime factors, times ``multiple`` if possible. Two sizes in the wrong order are swapped. An
    odd or small size is doubled. Otherwise, as few fields as possible are reset to their values in ``usual``.
    """
    field, dividend, limit = error.field, error.divides, error.at_most
    is_free = field not in fixed and type(values.get(field)) is int
    if is_free and dividend in fixed:
        sizes = chain((multiple * prime for prime in PRIMES), PRIMES)
        return {**values, field: next(size for size in sizes if fixed[dividend] % size == 0)}
    if dividend in values and dividend not in fixed and type(values.get(field)) is int:
        return {**values, dividend: values[dividend] * values[field]}
    if is_free and limit not in fixed and type(values.get(limit)) is int:
        return {**values, field: values[limit], limit: values[field]}
    if is_free and not dividend and not limit:
        doubled = {**values, field: 2 * values[field]}
        other = _error(found, doubled)
        if other is None or other.field != field or other.divides or other.at_most:
            return doubled
    return _reset(found, values, error, usual)


def _reset(
    found: type[Part], values: Mapping[str, Any], error: SizeError, usual: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Reset as few fields as possible to avoid the error, or return None if a full reset does not avoid the error."""

    def is_avoided(changed: Mapping[str, Any]) -> bool:
        return str(_error(found, changed)) != str(error)

    reset = {**values, **usual}
    if not is_avoided(reset):
        return None
    for name in usual:
        kept = {**reset, name: values[name]}
        reset = kept if is_avoided(kept) else reset
    return reset


def _error(found: type[Part], values: Mapping[str, Any]) -> SizeError | None:
    try:
        found(**values)
    except SizeError as error:
        return error
    return None


@st.composite
def _parts(draw: st.DrawFn, found: type[Part]) -> Part:
    """Draw a part with random fields and sizes that are small enough for most layers."""
    entries: tuple[Field[Any], ...] = fields(found)  # type: ignore[arg-type]
    values = {entry.name: draw(_values(found, entry, draw(st.sampled_from(PRIMES[:4])))) for entry in entries}
    usual = {entry.name: entry.default for entry in entries if not is_required(entry)}
    return found(**_repaired(found, values, NO_VALUES, 1, usual))


def _values(found: type[Part], entry: Field[Any], size: int) -> st.SearchStrategy[Any]:
    base = str(entry.type).removesuffix(" | None")
    if entry.name in found.PARTS:
        part = st.one_of([_parts(part) for part in found.PARTS[entry.name]])
        return part if base == str(entry.type) else st.none() | part
    choices = found.CHOICES.get(entry.name)
    drawn: st.SearchStrategy[Any] = {
        "int": st.just(size),
        "bool": st.booleans(),
        "float": st.sampled_from([0.5, 2, 30.0]),
        "str": st.sampled_from(choices or ["a_shared_tensor"]),
    }[base]
    return drawn if base == str(entry.type) else st.none() | drawn
