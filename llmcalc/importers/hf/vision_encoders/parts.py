"""Building blocks of vision encoders, such as patch embeddings, class tokens, blocks and pooling heads."""

from __future__ import annotations

from typing import Any

from ....core.architecture import Block, Named, Stack
from ....core.errors import short_repr
from ....core.layer import Layer
from ....layers import Attention, Embedding, InputRows, Linear, Mlp, Norm, Patch, Scale, SequenceRows
from ....layers.parts.cross import Cross
from ..config import BIASED, Config
from ..rules import repeat_block, sublayer

CHANNELS = 3  # red, green and blue
CLASS_TOKEN = 1  # learned tokens before the patches
EPS = 1e-6
THETA = 10_000.0


def named(**layers: Layer) -> list[Named]:
    """Return the layers as a list of named entries."""
    return [Named(name, layer) for name, layer in layers.items()]


def layernorm(config: Config, prefix: int | None = None) -> Norm:
    """Return a LayerNorm over the encoder width."""
    eps = config.number("layer_norm_eps") or EPS
    return Norm(config.d_model, "layernorm", bias=True, eps=eps, sequence=with_prefix(prefix))


def with_prefix(prefix: int | None) -> SequenceRows | None:
    """Return the rows of a layer that also processes ``prefix`` learned tokens."""
    return SequenceRows(prompt=prefix) if prefix else None


def rope_theta(config: Config) -> float:
    """Return the rotary base after checking that the config does not scale frequencies."""
    given = config.get("rope_parameters")
    plain = given if isinstance(given, dict) else {}
    if plain.get("rope_type", "default") not in ("default", "axial"):
        said = f"rope_parameters is {short_repr(plain)}; scaled frequencies are not supported in a vision encoder"
        raise config.error(said)
    return config.number("rope_theta") or float(plain.get("rope_theta", THETA))


def grid(config: Config) -> int:
    """Return the number of patches in a square image."""
    image, patch = config.size("image_size"), config.size("patch_size")
    if image < patch:
        raise config.size_error(f"image_size ({image}) must be at least patch_size ({patch})")
    return int((image // patch) ** 2)


def rectangle(config: Config, image: str, patch: str) -> int:
    """Return the number of patches in a rectangular image. ``image`` and ``patch`` are the keys of the side
    lengths.
    """
    images, patches = (sides(config, key) for key in (image, patch))
    return (images[0] // patches[0]) * (images[1] // patches[1])


def sides(config: Config, key: str) -> tuple[int, int]:
    """Return both side lengths of a rectangle. A single number specifies a square."""
    given = config.get(key)
    pair = given if isinstance(given, list) else [given, given]
    if len(pair) != 2:
        raise config.invalid(key, "one number or two", given)
    return config.integer(pair[0], key, 1), config.integer(pair[1], key, 1)


def square_side(config: Config, key: str = "patch_size") -> int:
    """Return the side length of a patch after checking that the patch is square."""
    side, other = sides(config, key)
    if side != other:
        raise config.error(f"{key} must be square, not {side} × {other}")
    return side


def patches(config: Config, *, bias: bool, prefix: int | None = None, rows: int | None = None) -> tuple[Named, ...]:
    """Return the patch embedding, optional class tokens and an optional table of ``rows`` learned positions."""
    patch = Patch(config.size("num_channels", CHANNELS), square_side(config), config.d_model, bias=bias)
    found = [Named("patch", patch)]
    found += [Named("class", Embedding(prefix, config.d_model, table="other", use="prefix"))] if prefix else []
    found += [Named("position", Embedding(rows, config.d_model, table="position"))] if rows else []
    return tuple(found)


def attention_mlp(attention: Layer, mlp: Layer, norm: Layer, post: Layer | None = None, name: str = "block") -> Block:
    """Return a pre-norm block. ``post`` is an optional norm or scale on each sub-layer output."""
    layers = {"attention": attention, "mlp": mlp}
    return Block(name, tuple(sublayer(key, layer, pre=norm, post=post) for key, layer in layers.items()))


def plain_block(
    config: Config, norm: Layer, act: str, prefix: int | None, *, layer_scale: bool = False, **fields: Any
) -> Block:
    """Return a pre-norm block of attention and an ungated MLP. ``layer_scale`` adds a scale per output channel."""
    attention = Attention(config.d_model, config.n_heads, causal=False, prompt=prefix, **fields)
    mlp = Mlp(config.d_model, config.size("intermediate_size"), act, bias=True, sequence=with_prefix(prefix))
    return attention_mlp(attention, mlp, norm, Scale(config.d_model, prompt=prefix) if layer_scale else None)


def encoder_stack(config: Config, inputs: tuple[Named, ...], block: Block, norm: Layer | None) -> Stack:
    """Return an encoder stack of identical blocks with an optional final norm."""
    outputs = (Named("post_norm", norm),) if norm else ()
    return Stack("vision", config.d_model, inputs, repeat_block(block, config.n_layers), outputs, "tower")


def pooling_head(config: Config) -> list[Named]:
    """Return an attention-pooling head with a learned probe. Language models store the head but do not run it."""
    attention = Attention(config.d_model, config.n_heads, causal=False, cross=Cross(), unused=True, **BIASED)
    mlp = Mlp(config.d_model, config.size("intermediate_size"), config.activation(), bias=True, unused=True)
    norm = Norm(config.d_model, "layernorm", bias=True, eps=layernorm(config).eps, unused=True)
    probe = Embedding(1, config.d_model, table="other", unused=True)
    return named(probe=probe, pooling=attention, pooling_norm=norm, pooling_mlp=mlp)


def two_linears(
    name: str,
    d_in: int,
    d_hidden: int,
    d_out: int,
    *,
    activation: str = "gelu",
    bias: bool = True,
    merge: int = 1,
    prefix: int | None = None,
) -> list[Named]:
    """Return two linear layers with an activation between them. ``merge`` is the number of patches per input token."""
    rows = InputRows(prompt=prefix) if prefix else None
    first = Linear(d_in, d_hidden, bias, activation, merge=merge, sequence=rows)
    return named(**{f"{name}_in": first, f"{name}_out": Linear(d_hidden, d_out, bias, merge=merge, sequence=rows)})


def merger(name: str, width: int, merge: int, out: int) -> list[Named]:
    """Return two linear layers on concatenated groups of ``merge`` neighbouring patches."""
    return two_linears(name, merge * width, merge * width, out, merge=merge)
