"""The headers of a checkpoint against its architecture: tensor by tensor, and its bytes to the last one.

Names are taken as published, as transformers keeps them, without the prefix of the class or within a larger model,
whichever fits most tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from ..calc.memory.number_formats import BITS_A_BYTE
from ..calc.params import Params, params
from ..checkpoint.headers import Headers, Held
from ..checkpoint.layouts import BUFFERS
from ..checkpoint.published_weights import ExpectedTensor, expected_tensors
from ..checkpoint.quantisation.method import Quantisation
from ..checkpoint.quantisation.packing import BITS
from ..checkpoint.quantisation.read import quantisation_variants, safetensors_type
from ..checkpoint.stored_tensors import aliases, declared
from ..core.architecture import Architecture
from ..core.errors import shown
from .naming import Naming, namings
from .result import Check

ROOM, SLACK = 4, 10_000  # how many more tensors than are held may be declared and still be compared one by one
FLOATS = frozenset(("F32", "BF16", "F16"))
WIDEST = "F32"  # what a tensor may always be kept in
# What checkpoints hold beside the parameters: scales of a cache, tables of a scan, a bias that is always zero.
_BESIDE = {
    "tables that are computed anew": (
        *BUFFERS, "final_logits_bias",
        "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight", "rotary_emb.cos_cached",
        "rotary_emb.sin_cached", "balancing_biases", ".tid2eid",
    ),
    "ranges of integer arithmetic": (
        ".act_scaling_factor", ".x_max", ".x_min", ".shift", "_integer", ".weight_scaling_factor", ".fc_scaling_factor",
    ),
    "scales of a quantised cache": (".k_scale", ".v_scale", ".kv_scale", ".q_scale", ".prob_scale"),
    "scales of inputs before a matrix": (".pre_quant_scale",),
}  # fmt: skip
ALIAS, PREDICTION, TOWER = "other names of tied tensors", "prediction of further tokens", "beside the language model"
_NUMBERED = re.compile(r"^(?:.*\.)?(?:layers|layer|h|blk|block|blocks)\.(\d+)\.")


class Difference(NamedTuple):
    """A tensor that is not as declared; ``what`` is ``missing``, ``extra``, ``shape`` or ``type``."""

    name: str
    what: str
    declared: str
    stored: str


class Group(NamedTuple):
    """Tensors of a checkpoint that are of one kind."""

    name: str
    tensors: int
    elements: int
    bytes: int


@dataclass(frozen=True)
class Comparison:
    """Headers against an architecture.

    Attributes:
        matched: tensors that are as declared.
        declared: how many are declared.
        differences: those that are not.
        beside: what is held beside the declared tensors, as is known.
        naming: by which names they were found.
        quantised: how, if they are.
        unread: keys of the config of that which nobody read.
    """

    architecture: Architecture
    headers: Headers
    matched: tuple[Held, ...]
    declared: int
    differences: tuple[Difference, ...]
    beside: tuple[Group, ...]
    naming: str
    quantised: str = ""
    unread: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything is as declared, and every byte is explained."""
        return not self.differences and all(check.ok for check in self.checks)

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Tensors and bytes, declared and found."""
        known = sum(group.tensors for group in self.beside)
        held = len(self.headers.tensors) - known
        wrong = len(self.differences)
        detail = f"{wrong} differ" if wrong else ""
        explained = sum(file.header + file.padding + file.data for file in self.headers.files)
        return (
            Check("tensors", self.declared, held, "tensors", detail=detail, note="by name, shape and type"),
            Check("bytes on disk", explained, self.headers.size, "bytes", note="headers, padding and tensors"),
        )

    def bytes_by_part(self) -> Iterator[Group]:
        """Every byte of the files: headers, padding, and the tensors of each type."""
        files = self.headers.files
        yield Group("headers", 0, 0, sum(file.header for file in files))
        yield Group("padding", 0, 0, sum(file.padding for file in files))
        for name, found in sorted(self.headers.by_type().items(), key=lambda item: -item[1][2]):
            yield Group(f"tensors in {name}", *found)
        left = sum(file.unexplained for file in files)
        if left:
            yield Group("unexplained", 0, 0, left)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "ok": self.ok,
            "model": self.architecture.name,
            "files": [{"name": file.name, "bytes": file.size} for file in self.headers.files],
            "naming": self.naming,
            "quantised": self.quantised,
            "unread": list(self.unread),
            "checks": [check.to_dict() for check in self.checks],
            "differences": [difference._asdict() for difference in self.differences],
            "beside": [group._asdict() for group in self.beside],
            "bytes": [group._asdict() for group in self.bytes_by_part()],
        }


def verify_weights(architecture: Architecture, headers: Headers) -> Comparison:
    """Compare the headers of a checkpoint with the architecture that its config or metadata describes.

    Raises:
        UnknownNameError: the names of its tensors are not known, or the method of its quantisation.
        UnsupportedError: a variant of that method that is not understood.
    """
    told, counted = architecture.inputs, params(architecture)
    dtype = safetensors_type(told["dtype"]) if "dtype" in told else ""
    method, within = told.get("quantization"), bool(told.get("quantization_within"))
    ways: list[Quantisation | None] = [*quantisation_variants(method, dtype or "BF16", within)] if method else [None]
    naming = _named(counted, headers, ways[0], dtype)
    if naming is None:  # of another model altogether; not worth a line for each
        least = sum(row.copies for row in counted.rows)
        whole = Difference("all of them", "missing", f"{least:,} tensors", f"{len(headers.tensors):,} tensors")
        return Comparison(architecture, headers, (), least, (whole,), (), "not at all")
    best: Comparison | None = None
    for way in ways:
        compared = _compared(counted, headers, naming, _wanted(counted, naming, way, dtype))
        if best is None or len(compared.differences) < len(best.differences):
            best = compared if way is None else replace(compared, quantised=way.name, unread=way.unknown_keys)
        if not best.differences:
            break
    assert best is not None
    return best


def _named(counted: Params, headers: Headers, way: Quantisation | None, dtype: str) -> Naming | None:
    """The names by which most tensors are found; None if far more are declared than are held."""
    room, least = ROOM * len(headers.tensors) + SLACK, sum(row.copies for row in counted.rows)
    best: tuple[float, Naming] | None = None
    for naming in namings(counted.architecture) if least <= room else ():
        if sum(one.copies for one in declared(counted, naming.rules, buffers=True, each=False)) > room:
            continue  # with experts one by one, of which there are not that many
        wanted = _wanted(counted, naming, way, dtype)
        found = sum(one.name in headers.tensors for one in wanted) / max(1, len(wanted))
        if best is None or found > best[0]:
            best = (found, naming)
        if found == 1:
            break
    return best[1] if best else None


def _wanted(counted: Params, naming: Naming, way: Quantisation | None, dtype: str) -> list[ExpectedTensor]:
    """What a checkpoint holds whose tensors are named and quantised in these ways."""
    return [
        one._replace(name=naming.change(one.name))
        for *_, held in expected_tensors(declared(counted, naming.rules, buffers=True), way, dtype)
        for one in held
    ]


def _compared(counted: Params, headers: Headers, naming: Naming, wanted: list[ExpectedTensor]) -> Comparison:
    others = {naming.change(name): naming.change(of) for name, of in aliases(counted, naming.rules).items()}
    reverse: dict[str, list[str]] = {}
    for other, of in others.items():
        reverse.setdefault(of, []).append(other)
    matched: list[Held] = []
    differences: list[Difference] = []
    used: set[str] = set()
    expected_count = 0
    for one in wanted:
        held = next(
            (headers.tensors[name] for name in (one.name, *reverse.get(one.name, ())) if name in headers.tensors), None
        )
        if held is None:
            if not one.declared.buffer and not one.name.endswith(BUFFERS):  # what is computed anew may be left out
                expected_count += 1
                differences.append(Difference(one.name, "missing", _said(one.type, one.shape), ""))
            continue
        expected_count += 1
        used.add(held.name)
        wrong = _difference(one, held, headers.kind == "gguf")
        differences += [wrong] if wrong else []
        matched += [] if wrong else [held]
    beside, extra = _beside(counted, headers, used, others)
    differences += [Difference(held.name, "extra", "", _said(held.type, held.shape)) for held in extra]
    return Comparison(
        counted.architecture, headers, tuple(matched), expected_count, tuple(differences), beside, naming.title
    )


def _difference(one: ExpectedTensor, held: Held, gguf: bool) -> Difference | None:
    said, found = _said(one.type, one.shape), _said(held.type, held.shape)
    if one.shape is not None and not _same_shape(one.shape, held.shape, gguf):
        return Difference(held.name, "shape", said, found)
    if not gguf and one.type and not _same_type(one.type, held.type):
        return Difference(held.name, "type", said, found)
    return None


def _same_shape(wanted: tuple[int, ...], found: tuple[int, ...], gguf: bool) -> bool:
    """Equal, but for dimensions of 1; a GGUF may also part or join dimensions, such as those of heads."""
    one, other = tuple(n for n in wanted if n != 1), tuple(n for n in found if n != 1)
    if one == other:
        return True
    return gguf and len(one) != len(other) and _product(one) == _product(other)


def _same_type(wanted: str, found: str) -> bool:
    """Equal, or a float kept in more bits; scales may be of another type of floats, or of plain bytes."""
    if wanted == found or (wanted in FLOATS and found == WIDEST):
        return True
    if wanted == WIDEST and found in FLOATS:  # a scale that follows the checkpoint's type
        return True
    return BITS.get(wanted) == BITS.get(found) == BITS_A_BYTE and {wanted, found} <= {"U8", "I8", "F8_E8M0"}


def _said(kind: str, shape: tuple[int, ...] | None) -> str:
    lengths = "any length" if shape is None else "×".join(map(str, shape)) or "one number"
    return f"{lengths} {kind}".rstrip()


def _product(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _beside(
    counted: Params, headers: Headers, used: set[str], others: dict[str, str]
) -> tuple[tuple[Group, ...], list[Held]]:
    """What a checkpoint is known to hold beside the declared tensors, in groups, and what nobody expects."""
    blocks = max(stack.n_layers for stack in counted.architecture.stacks)
    predicts = _predicts(headers)
    alone = bool(counted.architecture.inputs.get("language_part"))
    groups: dict[str, list[Held]] = {}
    extra: list[Held] = []
    for held in headers:
        if held.name in used:
            continue
        number = _NUMBERED.match(held.name)
        beyond = number is not None and int(number[1][:9]) >= blocks
        if held.name in others:
            kind = ALIAS
        elif held.name.startswith("mtp.") or ".mtp." in held.name or (beyond and predicts):
            kind = PREDICTION
        else:
            endings = (name for name, ends in _BESIDE.items() if held.name.endswith(ends))
            kind = next(endings, TOWER if alone else "")
        if kind:
            groups.setdefault(kind, []).append(held)
        else:
            extra.append(held)
    found = tuple(
        Group(name, len(held), sum(one.elements for one in held), sum(one.size for one in held))
        for name, held in groups.items()
    )
    return found, extra


def _predicts(headers: Headers) -> bool:
    """Whether a config or metadata says that blocks for further tokens stand behind the others."""
    told = {**(headers.config or {}), **headers.metadata}
    names = ("num_nextn_predict_layers", "num_mtp_layers", "nextn_predict_layers", "num_mtp_modules")
    return any(str(key).rpartition(".")[2] in names and bool(value) for key, value in told.items())


def title(comparison: Comparison) -> str:
    """What was compared, in a line."""
    files = comparison.headers.files
    count = f"{len(files)} files" if len(files) > 1 else shown(files[0].name)[1:-1]
    return f"{comparison.headers.kind}: {count}, named {comparison.naming}"
