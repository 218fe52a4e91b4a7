"""Helpers for attention kinds, such as projections, KV caches, masks, indexers, field checks and docstrings."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel, Roles
from ..core.type_names import Any, ClassVar, TypeVar
from .parts.sequence import with_prompt

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
PROJECTED = {"q": "h e", "k": "g e", "v": "g v"}
FLASH = (
    "statistics[b h q] = log_sum_exp(o) | flash",
    "mask[b q k] = keep(mask) | flash torch",  # torch's fused attention saves a mask in the compute format
)


_FIELDS = ("v_bias", "rope", "prompt", "window", "window_ahead", "chunk", "cross", "causal", "lora")
_CONTRADICTIONS = {  # fields that a field excludes and requires; ``values`` stands for a value projection
    "kv.values_are_keys": ("v_bias d_head_v", "", "cannot be combined with v_bias or d_head_v"),
    "kv.rope": ("cross kv.reused", "rope", "requires rope and a value projection"),
    "inputs.value_width": ("", "values", "requires a value projection"),
    "inputs.values_of": ("", "inputs.value_width", "requires value_width"),
    "prompt": ("window chunk cross", "", "cannot be combined with window, chunk or cross"),
    "window": ("chunk", "", "and chunk cannot be combined"),
    "merge": ("causal cross window chunk", "", "cannot be combined with causal, cross, window or chunk"),
    "window_ahead": ("causal", "window", "requires window and causal: false"),
    "lora": ("", "values", "requires query, key and value projections"),
}


@record
class MultiHead(Layer):
    """Base class for layers with heads of width ``d_model / n_heads``."""

    d_model: int
    n_heads: int

    WIDTH_MULTIPLE: ClassVar[int] = 6  # three heads of an even width
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", whole="e")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads")
    SHRINK: ClassVar[dict[str, str]] = {"n_heads": "parts 3"}

    def _complete(self) -> None:
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


def scale_by_position(declaration: Declaration, name: str, axes: str, heads: str, tag: str = "") -> list[str]:
    """Declare a learned scale and shift per head, and return the equations that scale queries by the log position."""
    declaration.weights(f"q_scale[{heads}]", f"q_shift[{heads}]")
    lines = [f"grow[b q {heads}] = mul(log_places, q_scale){tag}", f"grow[b q {heads}] = add(grow, q_shift)"]
    return [*lines, f"{name}[b q {axes}] = mul({name}, grow)"]


def token_axes(layer: Any) -> dict[str, int | str]:
    """Return the lengths of the new, visible and cached token axes that differ from the workload's lengths."""
    axes: dict[str, int | str] = {}
    if layer.cross and layer.cross.streams > 1:
        axes |= {"ms": layer.cross.streams, "q": "q * ms"}
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


def add_softmax(axes: str, scores: str, in_fp32: bool, name: str = "p") -> list[str]:
    """Return the equations for a softmax of ``scores``, followed by dropout. The weights have the given axes."""
    copy = "f" + name[1:]
    lines = []
    if in_fp32:
        lines += [f"{copy}[{axes}] = softmax_fp32({scores}) | core torch"]
        lines += [f"{name}[{axes}] = cast({copy}) | core torch"]
    lines += [f"{name}[{axes}] = softmax({scores}) | core{' model' if in_fp32 else ''}"]
    return [*lines, f"{name}[{axes}] = dropout({name}) | core dropout"]


def add_kv_cache(layer: Any, declaration: Declaration) -> None:
    """Add the KV cache and the attention mask to the declaration."""
    tokens = "s" if layer.cross else "t"
    cache = layer.implementation.cache if layer.implementation else "compact"
    is_reused = bool(layer.kv and layer.kv.reused)
    if (layer.causal or layer.cross) and not is_reused and cache != "none":
        for heads, tags in (("g", ("model",)), ("h", ("torch",))) if cache == "query_heads" else (("g", ()),):
            declaration.state(f"k[b {tokens} {heads} e]", "kv", *tags)
            declaration.state(f"v[b {tokens} {heads} v]", "kv", *tags)
    if cache == "all_tokens":
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


def contradictions(layer: Any) -> Iterator[tuple[str, str]]:
    """Yield a field name and an error message for each invalid combination of attention fields."""
    kv, inputs = layer.kv, layer.inputs
    given = {name for name in _FIELDS if getattr(layer, name)}
    given |= {f"kv.{name}" for name in ("values_are_keys", "reused", "rope") if kv and getattr(kv, name)}
    given |= {f"inputs.{name}" for name in ("value_width", "values_of") if inputs and getattr(inputs, name)}
    given |= {"d_head_v"} if layer.d_head_v != layer.d_head else set()
    given |= {"merge"} if layer.merge > 1 else set()
    given |= {"values"} if given.isdisjoint(("cross", "kv.values_are_keys", "kv.reused")) else set()
    for name, (excluded, required, message) in _CONTRADICTIONS.items():
        if name in given and not (given.isdisjoint(excluded.split()) and given.issuperset(required.split())):
            yield name, message


def inherit_docs(kind: Kind) -> Kind:
    """Add the field descriptions of the base class to the docstring of a derived class."""
    base = next(base.__doc__ or "" for base in kind.__mro__[1:] if "Attributes:" in (base.__doc__ or ""))
    indent = "    " if "\n    Attributes:" in base else ""  # which Python 3.13 removes from docstrings
    text, _, own = (kind.__doc__ or "").strip().partition(f"\n\n{indent}Attributes:")
    kind.__doc__ = f"{text}\n\n{indent}Attributes:{base.partition('Attributes:')[2].rstrip()}{own}"
    return kind


def derive_head_width(layer: Any) -> None:
    """Set ``d_head`` to ``d_model / n_heads`` if ``d_head`` is None."""
    if layer.d_head is None:
        layer.must_divide("n_heads", "d_model")
        layer.derive(d_head=layer.d_model // layer.n_heads)


def check_bidirectional(layer: Any) -> None:
    """Raise a SizeError if an encoder-only layer sets decoder fields."""
    for name in ("causal", "cross", "window", "chunk", "prompt", "kv"):
        if getattr(layer, name):
            raise layer.size_error(name, "is only available for decoder attention")
