"""Helpers for attention kinds, such as projections, KV caches, masks, indexers, field checks and docstrings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, TypeVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel, Roles
from ._rows import with_prompt
from .indexer import Indexer

Kind = TypeVar("Kind", bound=type[Layer])
RELATIVE_KEYS = (
    "r[rp h e] = sinusoids[rp d] wr[d h e] | constant model",
    "r[b rp h e] = sinusoids[b rp d] wr[d h e] | constant torch",  # the implementation repeats them per sequence
)
RELATIVE_ATTENTION = (  # [dai2019, Section 3.3]
    "qu[b q h e] = add(q, u)",
    "qw[b q h e] = add(q, w)",
    "s[b h q k] = qu[b q h e] k[b k h e]",
    "sr[b h q rp] = qw[b q h e] r[rp h e] | model",
    "sr[b h q rp] = qw[b q h e] r[b rp h e] | torch",
    "s[b h q k] = add(s, sr)",
    "s[b h q k] = scale(s)",
    "p[b h q k] = softmax(s)",
    "o[b q h e] = p[b h q k] v[b k h e]",
)
HEADS = (("q", "h e"), ("k", "g e"), ("v", "g v"))


@record
class MultiHead(Layer):
    """Base class for layers with heads of width ``d_model / n_heads``."""

    d_model: int
    n_heads: int

    WIDTH_MULTIPLE: ClassVar[int] = 6  # three heads of an even width
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", whole="e")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads")
    SHRINK: ClassVar[dict[str, str]] = {"n_heads": "parts 3"}

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("n_heads", "d_model")

    def _head_axes(self) -> dict[str, int | str]:
        return {"d": self.d_model, "h": self.n_heads, "e": self.d_model // self.n_heads}


def projection(name: str, rows: str, width: str, heads: str, bias: bool = True, source: str = "x") -> list[str]:
    """Return the equations ``name = source wname + bname`` that project the axis ``width`` to the axes ``heads``."""
    lines = [f"{name}[{rows} {heads}] = {source}[{rows} {width}] w{name}[{width} {heads}]"]
    return lines + ([f"{name}[{rows} {heads}] = add({name}, b{name})"] if bias else [])


def project_inputs(declaration: Declaration, names: str = "qkv", rows: str = "q") -> None:
    """Declare a biased projection to heads for each character of ``names``. The outputs have shape ``[b rows h
    e]``.
    """
    declaration.weights(*(f"w{name}[d | h e]" for name in names), *(f"b{name}[h e]" for name in names))
    for name in names:
        declaration.equations(*projection(name, f"b {rows}", "d", "h e"))


def project_output(declaration: Declaration, rows: str = "q") -> None:
    """Declare the biased output projection from the heads to the stream."""
    declaration.weights("wo[h e | d]", "bo[d]")
    declaration.equations(f"y[b {rows} d] = o[b {rows} h e] wo[h e d]", f"y[b {rows} d] = add(y, bo)")


def add_value_convolution(declaration: Declaration, taps: int | None) -> None:
    """Add a depthwise convolution over the values with one kernel per head, unless ``taps`` is None."""
    if taps:
        declaration.axes["K"] = taps
        declaration.weights("conv[h; K]")
        declaration.equations("vc[b q h e] = v[b q h e] conv[h K]", "o[b q h e] = add(o, vc)")


def add_lora(d_in: str) -> list[str]:
    """Return the equations that add LoRA adapters to queries, keys and values. ``d_in`` is the input axis."""
    lines = []
    for name, axes in HEADS:
        lines += [
            f"{name}a[b q ar] = x[b q {d_in}] w{name}_a[{d_in} ar]",
            f"{name}l[b q {axes}] = {name}a[b q ar] w{name}_b[ar {axes}]",
            f"{name}[b q {axes}] = add({name}, {name}l)",
        ]
    return lines


def token_axes(layer: Any) -> dict[str, int | str]:
    """Return the lengths of the new, visible and cached token axes that differ from the workload's lengths."""
    axes: dict[str, int | str] = {}
    if layer.streams > 1:
        axes |= {"ms": layer.streams, "q": "q * ms"}
    if layer.window:
        axes |= {"k": "min(c, w - 1) + q", "t": "min(c + q, w - 1)"}
    elif layer.chunk:
        axes |= {"k": "mod(c, Z) + q" if layer.causal else "min(q, Z)", "t": "mod(c + q, Z)"}
    elif layer.prompt:
        rows = f"ceil(q, {layer.merge})" if layer.merge > 1 else "q"
        seen = f"c + {rows} + min(c + q, 1) * pt"
        axes |= {"pt": layer.prompt, "q": with_prompt(rows), "k": seen, "t": seen}
    elif layer.merge > 1:
        axes |= dict.fromkeys("qkt", f"ceil(q, {layer.merge})")
    else:
        axes["t"] = "c + q"
    return axes


def add_softmax(keys: str, scores: str, in_fp32: bool) -> list[str]:
    """Return the equations for a softmax over ``keys``, followed by dropout."""
    lines = []
    if in_fp32:
        lines += [f"f[b h q {keys}] = softmax_fp32({scores}) | core torch", f"p[b h q {keys}] = cast(f) | core torch"]
    lines += [f"p[b h q {keys}] = softmax({scores}) | core{' model' if in_fp32 else ''}"]
    return [*lines, f"p[b h q {keys}] = dropout(p) | core dropout"]


def add_kv_cache(layer: Any, declaration: Declaration) -> None:
    """Add the KV cache and the attention mask to the declaration."""
    tokens = "s" if layer.cross else "t"
    if (layer.causal or layer.cross) and not layer.kv_reused and layer.implemented_cache != "none":
        repeated = layer.implemented_cache == "query_heads"
        for heads, tags in (("g", ("model",)), ("h", ("torch",))) if repeated else (("g", ()),):
            declaration.state(f"k[b {tokens} {heads} e]", "kv", *tags)
            declaration.state(f"v[b {tokens} {heads} v]", "kv", *tags)
    if layer.implemented_cache == "all_tokens":
        declaration.as_torch |= {"k": "c + q", "t": "c + q"}
    elif layer.chunk and layer.causal:
        declaration.as_torch |= {"k": "min(c, Z - 1) + q", "t": "min(c + q, Z - 1)"}
    if layer.causal and not layer.cross and not layer.prompt:
        limit = f"window:{layer.window}" if layer.window else f"chunk:{layer.chunk}" if layer.chunk else "causal"
        declaration.mask = limit
    elif layer.window:
        declaration.mask = f"local:{layer.window}:{layer.window_ahead or layer.window}"
    elif layer.chunk:
        declaration.mask = f"apart:{layer.chunk}"


def include_indexer(layer: Any, declaration: Declaration) -> None:
    """Declare the indexer, if the layer has one, and update the attention mask."""
    if not layer.index_heads:
        return
    sizes = layer.d_model, layer.index_heads, layer.index_dim
    block = {"block": layer.index_block, "pooled": layer.index_pooled}
    indexer = Indexer(*sizes, weighted=False, key_norm="rmsnorm", query_norm=True, **block)
    declaration.include("indexer", indexer)
    if layer.index_topk and declaration.mask == "causal":
        declaration.mask = f"window:{layer.index_topk}"  # as many pairs as with the nearest tokens


def contradictions(layer: Any) -> Iterator[tuple[str, str]]:
    """Yield a field name and an error message for each invalid combination of attention fields."""
    own_values = not (layer.cross or layer.values_are_keys or layer.kv_reused)
    if (layer.n_buckets is None) == (layer.score_bias == "relative"):
        yield "n_buckets", "and score_bias: relative must be set together"
    if layer.values_are_keys and (layer.v_bias or layer.d_head_v != layer.d_head):
        yield "values_are_keys", "cannot be combined with v_bias or d_head_v"
    if layer.streams > 1 and not layer.cross:
        yield "streams", "requires cross: true"
    if layer.d_input_v and not own_values:
        yield "d_input_v", "requires a value projection"
    if layer.values_of and not layer.d_input_v:
        yield "values_of", "requires d_input_v"
    if layer.v_rope and (layer.cross or layer.kv_reused or not layer.rope):
        yield "v_rope", "requires rope and a value projection"
    if layer.prompt and (layer.window or layer.chunk or layer.cross):
        yield "prompt", "cannot be combined with window, chunk or cross"
    if layer.window and layer.chunk:
        yield "window", "and chunk cannot be combined"
    if layer.merge > 1 and (layer.causal or layer.cross or layer.window or layer.chunk):
        yield "merge", "cannot be combined with causal, cross, window or chunk"
    if layer.window_ahead and (layer.causal or not layer.window):
        yield "window_ahead", "requires window and causal: false"
    if layer.adapter_rank and not own_values:
        yield "adapter_rank", "requires query, key and value projections"


def inherit_docs(kind: Kind) -> Kind:
    """Add the field descriptions of ``Attention`` to the docstring of a derived class."""
    base = next(base.__doc__ or "" for base in kind.__mro__ if base.__name__ == "Attention")
    text, _, own = (kind.__doc__ or "").strip().partition("\n\n    Attributes:")
    kind.__doc__ = f"{text}\n\n    Attributes:{base.partition('Attributes:')[2].rstrip()}{own}"
    return kind


def derive_head_width(layer: Any) -> None:
    """Set ``d_head`` to ``d_model / n_heads`` if ``d_head`` is None."""
    if layer.d_head is None:
        layer.must_divide("n_heads", "d_model")
        layer.derive(d_head=layer.d_model // layer.n_heads)


def check_bidirectional(layer: Any) -> None:
    """Raise a SizeError if an encoder-only layer sets decoder fields."""
    for name in ("causal", "cross", "window", "chunk", "prompt", "prefix"):
        if getattr(layer, name):
            raise layer.size_error(name, "is only available for decoder attention")
