"""Comparison of checkpoint headers with an architecture, covering every tensor and byte.

Tensors may be named as published, as saved by transformers, without the class prefix, or within a larger model.
The naming that matches the most tensors is used.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

from ..calc.params import Params, params
from ..checkpoint.headers import Headers, TensorInfo, sums
from ..checkpoint.layouts import BUFFERS
from ..checkpoint.published_weights import ExpectedTensor, expected_tensors, layout_candidates
from ..checkpoint.quantisation.method import Quantisation
from ..checkpoint.quantisation.read import quantisation_variants, safetensors_type
from ..checkpoint.stored_tensors import aliases, declared
from ..core.amount import group_by
from ..core.architecture import PREDICTION_LAYERS, Architecture
from ..core.errors import UnknownNameError, short_repr
from ..core.record import NamedTuple
from .result import Check

MOST_DECLARED_RATIO, MOST_DECLARED_EXTRA = 4, 10_000  # beyond, tensors are not compared one by one
FLOATS = frozenset(("F32", "BF16", "F16"))
WIDEST = "F32"  # any float type may be stored
# Tensors that checkpoints may contain in addition to parameters.
_ADDITIONAL = {
    "tables that are computed from the config": (
        *BUFFERS, "final_logits_bias",
        "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight", "rotary_emb.cos_cached",
        "rotary_emb.sin_cached", "balancing_biases", ".tid2eid",
    ),
    "ranges of integer arithmetic": (
        ".act_scaling_factor", ".x_max", ".x_min", ".shift", "_integer", ".weight_scaling_factor", ".fc_scaling_factor",
    ),
    "scales of a quantised KV cache": (".k_scale", ".v_scale", ".kv_scale", ".q_scale", ".prob_scale"),
    "scales of a matrix's input": (".pre_quant_scale",),
}  # fmt: skip
ALIAS, MTP, NOT_TEXT = "other names of tied tensors", "multi-token prediction", "outside the language model"
_NUMBERED = re.compile(r"^(?:.*\.)?(?:layers|layer|h|blk|block|blocks)\.(\d+)\.")
_OLD_NORM_NAMES = {"weight": "gamma", "bias": "beta"}
_TOWER_PREFIXES = ("vision_tower.vision_model.", "vision_tower.")


class Difference(NamedTuple):
    """A tensor that differs from its declaration, where ``what`` is ``missing``, ``extra``, ``shape`` or ``type``."""

    name: str
    what: str
    declared: str
    stored: str


class Group(NamedTuple):
    """Checkpoint tensors of one kind, with tensor, element and byte counts."""

    name: str
    tensors: int
    elements: int
    bytes: int


class Naming(NamedTuple):
    """A tensor naming scheme, consisting of a layout and a function that renames tensors."""

    title: str
    layout: str
    rename: Callable[[str], str]


@dataclass(frozen=True)
class Comparison:
    """Comparison of checkpoint headers with an architecture."""

    architecture: Architecture
    headers: Headers
    matched: tuple[TensorInfo, ...]
    declared: int  # number of declared tensors
    differences: tuple[Difference, ...]
    additional: tuple[Group, ...]  # known groups of undeclared tensors
    naming: str
    quantised: str = ""  # the quantisation method
    unknown_keys: tuple[str, ...] = ()  # uninterpreted keys of the quantisation config

    @property
    def ok(self) -> bool:
        """Whether all tensors match and all bytes are accounted for."""
        return not self.differences and all(check.ok for check in self.checks)

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Checks that compare declared and stored tensors and bytes."""
        stored = len(self.headers.tensors) - sum(group.tensors for group in self.additional)
        detail = f"{len(self.differences)} differ" if self.differences else ""
        explained = sum(file.header_bytes + file.padding_bytes + file.data_bytes for file in self.headers.files)
        return (
            Check("tensors", self.declared, stored, "tensors", detail=detail, note="by name, shape and type"),
            Check("bytes on disk", explained, self.headers.size_bytes, "bytes", note="headers, padding and tensors"),
        )

    def bytes_by_part(self) -> Iterator[Group]:
        """Yield the sizes of the headers, the padding, the tensors of each data type, and any unexplained bytes."""
        yield from outside_tensors(self.headers)
        for name, sizes in sorted(self.headers.by_type().items(), key=lambda item: -item[1][2]):
            yield Group(f"tensors in {name}", *sizes)
        unexplained = sum(file.unexplained_bytes for file in self.headers.files)
        if unexplained:
            yield Group("unexplained", 0, 0, unexplained)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as a dictionary."""
        return {
            "ok": self.ok,
            "model": self.architecture.name,
            "files": [{"name": file.name, "bytes": file.size_bytes} for file in self.headers.files],
            "naming": self.naming,
            "quantised": self.quantised,
            "unread": list(self.unknown_keys),
            "checks": [check.to_dict() for check in self.checks],
            "differences": [difference._asdict() for difference in self.differences],
            "beside": [group._asdict() for group in self.additional],
            "bytes": [group._asdict() for group in self.bytes_by_part()],
        }


def outside_tensors(headers: Headers) -> Iterator[Group]:
    """Yield the sizes of the headers and of the padding in all files."""
    yield Group("headers", 0, 0, sum(file.header_bytes for file in headers.files))
    yield Group("padding", 0, 0, sum(file.padding_bytes for file in headers.files))


def verify_weights(architecture: Architecture, headers: Headers) -> Comparison:
    """Compare checkpoint headers with the architecture read from the checkpoint's config or metadata."""
    inputs, counted = architecture.inputs, params(architecture)
    dtype = safetensors_type(inputs["dtype"]) if "dtype" in inputs else ""
    method, text_only = inputs.get("quantization"), bool(inputs.get("quantization_within"))
    variants = [*quantisation_variants(method, dtype or "BF16", text_only)] if method else [None]
    naming = _best_naming(counted, headers, variants[0], dtype)
    if naming is None:  # if this is another model, do not list every tensor
        least = sum(row.copies for row in counted.rows)
        difference = Difference("all of them", "missing", f"{least:,} tensors", f"{len(headers.tensors):,} tensors")
        return Comparison(architecture, headers, (), least, (difference,), (), "not at all")
    best: Comparison | None = None
    for variant in variants:
        found = _compare(counted, headers, naming, _expected(counted, naming, variant, dtype))
        if variant is not None:
            found = replace(found, quantised=variant.name, unknown_keys=variant.unknown_keys)
        best = min(best or found, found, key=lambda comparison: len(comparison.differences))
        if not best.differences:
            break
    assert best is not None
    return best


def _namings(architecture: Architecture) -> Iterator[Naming]:
    """Yield the possible tensor naming schemes of a checkpoint, most likely first."""
    is_gguf = bool(architecture.inputs.get("gguf"))
    if not architecture.layout and not is_gguf:
        hint = "the names of this architecture's stored tensors are not known"
        raise UnknownNameError("layout", architecture.layout, [], hint=hint)
    titles = (
        ("as in GGUF files", "as in older GGUF files") if is_gguf else ("as published", "as transformers saves them")
    )
    layouts = list(zip(titles, layout_candidates(architecture), strict=True))
    yield from (Naming(title, layout, lambda name: name) for title, layout in layouts)
    for title, layout in () if is_gguf else layouts:
        yield from (Naming(f"{title}, {variant}", layout, rename) for variant, rename in _RENAMES)


def _with_old_norm_names(name: str) -> str:
    stem, dot, last = name.rpartition(".")
    return f"{stem}{dot}{_OLD_NORM_NAMES.get(last, last)}" if "LayerNorm" in name else name


_RENAMES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("without the prefix of the class", lambda name: name.partition(".")[2] or name),
    ("in a larger model", lambda name: f"language_model.{name}"),
    ("in a larger model", lambda name: name.replace("model.", "model.language_model.", 1)),
    ("with older names of norms", _with_old_norm_names),
    ("with newer names of an encoder", lambda name: name.replace(*_TOWER_PREFIXES)),
)


def _best_naming(counted: Params, headers: Headers, method: Quantisation | None, dtype: str) -> Naming | None:
    """Return the naming scheme that matches the most tensors, or None if far more tensors are declared than stored."""
    most = MOST_DECLARED_RATIO * len(headers.tensors) + MOST_DECLARED_EXTRA
    best: tuple[float, Naming] | None = None
    namings = _namings(counted.architecture) if sum(row.copies for row in counted.rows) <= most else ()
    for naming in namings:
        if sum(tensor.copies for tensor in declared(counted, naming.layout, buffers=True, each=False)) > most:
            continue  # the naming stores experts one by one, and the checkpoint has fewer tensors
        wanted = _expected(counted, naming, method, dtype)
        matching = sum(tensor.name in headers.tensors for tensor in wanted) / max(1, len(wanted))
        if best is None or matching > best[0]:
            best = (matching, naming)
        if matching == 1:
            break
    return best[1] if best else None


def _expected(counted: Params, naming: Naming, method: Quantisation | None, dtype: str) -> list[ExpectedTensor]:
    """Return the tensors expected in a checkpoint with a given naming scheme and quantisation."""
    return [
        tensor._replace(name=naming.rename(tensor.name))
        for *_, stored in expected_tensors(declared(counted, naming.layout, buffers=True), method, dtype)
        for tensor in stored
    ]


def _compare(counted: Params, headers: Headers, naming: Naming, wanted: list[ExpectedTensor]) -> Comparison:
    alias_of = {naming.rename(alias): naming.rename(name) for alias, name in aliases(counted, naming.layout).items()}
    aliases_by_name = group_by(alias_of, alias_of.__getitem__)
    matched: list[TensorInfo] = []
    differences: list[Difference] = []
    used: set[str] = set()
    n_declared = 0
    for expected in wanted:
        names = (expected.name, *aliases_by_name.get(expected.name, ()))
        stored = next((headers.tensors[name] for name in names if name in headers.tensors), None)
        if stored is None:
            if not expected.declared.buffer and not expected.name.endswith(BUFFERS):  # buffers are optional
                n_declared += 1
                differences.append(Difference(expected.name, "missing", _text(expected.type, expected.shape), ""))
            continue
        n_declared += 1
        used.add(stored.name)
        difference = _difference(expected, stored, headers.kind == "gguf")
        if difference:
            differences.append(difference)
        else:
            matched.append(stored)
    additional, extra = _additional(counted, headers, used, alias_of)
    differences += [Difference(tensor.name, "extra", "", _text(tensor.type, tensor.shape)) for tensor in extra]
    return Comparison(
        counted.architecture, headers, tuple(matched), n_declared, tuple(differences), additional, naming.title
    )


def _difference(expected: ExpectedTensor, stored: TensorInfo, is_gguf: bool) -> Difference | None:
    texts = (_text(expected.type, expected.shape), _text(stored.type, stored.shape))
    left, right = (tuple(n for n in shape or () if n != 1) for shape in (expected.shape, stored.shape))
    is_reshaped = is_gguf and len(left) != len(right) and prod(left) == prod(right)  # dimensions are split or merged
    if expected.shape is not None and left != right and not is_reshaped:
        return Difference(stored.name, "shape", *texts)
    types = {expected.type, stored.type}
    is_same_float = WIDEST in types and types <= FLOATS  # wider floats are allowed, and scales in another float type
    is_byte = types <= {"U8", "I8", "F8_E8M0"}
    if not is_gguf and expected.type and len(types) > 1 and not is_same_float and not is_byte:
        return Difference(stored.name, "type", *texts)
    return None


def _text(kind: str, shape: tuple[int, ...] | None) -> str:
    lengths = "any length" if shape is None else "×".join(map(str, shape)) or "one number"
    return f"{lengths} {kind}".rstrip()


def _additional(
    counted: Params, headers: Headers, used: set[str], alias_of: dict[str, str]
) -> tuple[tuple[Group, ...], list[TensorInfo]]:
    """Return the known groups of undeclared tensors, and the undeclared tensors outside these groups."""
    blocks = max(stack.n_layers for stack in counted.architecture.stacks)
    has_mtp = PREDICTION_LAYERS in counted.architecture.inputs
    groups: dict[str, list[TensorInfo]] = defaultdict(list)
    for tensor in headers:
        if tensor.name in used:
            continue
        number = _NUMBERED.match(tensor.name)
        is_beyond = number is not None and int(number[1][:9]) >= blocks
        if tensor.name in alias_of:
            kind = ALIAS
        elif tensor.name.startswith("mtp.") or ".mtp." in tensor.name or (is_beyond and has_mtp):
            kind = MTP
        else:
            kinds = (name for name, suffixes in _ADDITIONAL.items() if tensor.name.endswith(suffixes))
            kind = next(kinds, NOT_TEXT if counted.architecture.inputs.get("language_part") else "")
        groups[kind].append(tensor)
    extra = groups.pop("", [])
    return tuple(Group(kind, *sums(own)) for kind, own in groups.items()), extra


def title(comparison: Comparison) -> str:
    """Return a one-line title that describes the checkpoint files and their naming scheme."""
    files = comparison.headers.files
    name = f"{len(files)} files" if len(files) > 1 else short_repr(files[0].name)[1:-1]
    return f"{comparison.headers.kind}: {name}, named {comparison.naming}"
