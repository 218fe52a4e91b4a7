"""SAM's vision transformer before a language model [kirillov2023], alone or beside another one."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Stack
from ....core.errors import SizeError
from ....importers.hf.composite_models import OUTER, given, text_part
from ....importers.hf.config import Config
from ....importers.hf.families.seeing import text_config
from ....importers.hf.projectors import layernorm, named
from ....importers.hf.rules import runs_by_type, sublayer
from ....importers.hf.vision_encoders import clip as towers
from ....importers.hf.vision_encoders import vit as vits
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ....layers.patch import Patch
from ....layers.scale import Scale
from ..layers.grid_attention import GridAttention

KERNEL, HALVED = 3, 4  # side of a convolution; patches that one becomes of which every second row and column is taken
NECK_EPS = 1e-6
PAIR = ("first", "second")  # convolutions behind a tower


def sam(config: Config) -> Stack:
    """Windows in all blocks but some, biases of distances; two convolutions narrow what comes out."""
    width, heads, out = config.size("hidden_size"), config.size("num_attention_heads"), config.size("output_channels")
    side = config.size("image_size") // config.size("patch_size")
    config.ignore("initializer_range num_pos_feats mlp_ratio scale")
    window, full = config.count("window_size"), set(config.layer_indices("global_attn_indexes"))
    fields = {"bias": config.flag("qkv_bias", True), "relative": config.flag("use_rel_pos", True)}
    norm, act = towers.layernorm(config), config.activation()
    d_ff = config.optional_size("mlp_dim") or int(width * (config.number("mlp_ratio") or 4.0))
    mlp = sublayer("sam_mlp", Mlp(width, d_ff, act, bias=True), pre=norm)

    def block(name: str, limit: int | None) -> Block:
        attention = GridAttention(width, heads, side, limit, **fields)
        return Block(name, (sublayer("sam_attention", attention, pre=norm), mlp))

    kinds = {"global": block("global", None), "windowed": block("windowed", window or None)}
    order = ["global" if index in full else "windowed" for index in range(config.size("num_hidden_layers"))]
    inputs = named(sam_patch=Patch(config.size("num_channels"), config.size("patch_size"), width))
    if config.flag("use_abs_pos", True):
        inputs += named(sam_position=Embedding(side * side, width, table="position", columns=side))
    return Stack("sam", width, tuple(inputs), runs_by_type(kinds, order), tuple(neck("neck", width, out)), "tower")


def neck(name: str, width: int, out: int) -> list[Named]:
    """Two convolutions, each with a norm behind it."""
    norm = layernorm(out, eps=NECK_EPS)
    layers = (
        Patch(width, 1, out, bias=False, stride=1),
        norm,
        Patch(out, KERNEL, out, bias=False, stride=1),
        norm,
    )
    return [
        Named(f"{name}_{part}", layer) for part, layer in zip(("in", "in_norm", "out", "out_norm"), layers, strict=True)
    ]


def halving(width: int, inner: int, out: int) -> list[Named]:
    """Two convolutions, each of which halves the grid."""
    return named(
        downsample_in=Patch(width, KERNEL, inner, bias=False, merge=HALVED, stride=2),
        downsample_out=Patch(inner, KERNEL, out, bias=False, merge=HALVED * HALVED, stride=2),
    )


def got_ocr2(config: Config) -> Architecture:
    """GOT-OCR 2.0 [wei2024]: SAM, two convolutions and a matrix before Qwen 2."""
    text = text_part(config, "qwen2", text_config(config))
    part = config.nested("vision_config", given(config, "vision_config"), "got_ocr2_vision")
    stack, width = sam(part), part.size("output_channels")
    towers.checked(part)
    out = text.main.d_model
    behind = [*halving(width, 2 * width, out), *named(projector=Linear(out, out, merge=HALVED * HALVED))]
    return _whole(config, text, "got_ocr2", replace(stack, outputs=(*stack.outputs, *behind)))


def unlimited_ocr(config: Config) -> Architecture:
    """Unlimited-OCR: SAM, and CLIP's blocks on what comes out of it; both stand side by side before one matrix."""
    text = text_part(config, "unlimited_ocr_text", text_config(config))
    merged, width = HALVED * HALVED, text.main.d_model
    stack, encoder, seen = _two(config, "unlimited_ocr_sam_vision_model", "unlimited_ocr_vision_encoder", merged)
    words = {name: _vector(width) for name in ("newline", "separator")}
    projector = named(projector=Linear(seen + encoder.d_model, width, merge=merged), **words)
    return _whole(config, text, "unlimited_ocr", stack, replace(encoder, outputs=(*encoder.outputs, *projector)))


def deepseek_ocr2(config: Config) -> Architecture:
    """DeepSeek-OCR 2: SAM, and a language model's blocks on what comes out of it and on as many queries behind it."""
    text = text_part(config, "deepseek_ocr2_text", text_config(config))
    merged, width = HALVED * HALVED, text.main.d_model
    stack, encoder, _ = _two(config, "deepseek_ocr2_sam_vision_model", "deepseek_ocr2_encoder", merged // 2)
    tables = {
        f"queries{side}": Embedding(rows, encoder.d_model, table="other", use="side_tokens")
        for side, rows in QUERIES.items()
    }
    projector = named(projector=Linear(encoder.d_model, width, merge=merged), separator=_vector(width))
    encoder = replace(encoder, inputs=tuple(named(**tables)), outputs=(*encoder.outputs, *projector))
    return _whole(config, text, "deepseek_ocr2", stack, encoder)


QUERIES = {768: 144, 1024: 256}  # by pixels along a side of the image


def _two(config: Config, usual: str, behind: str, merged: int) -> tuple[Stack, Stack, int]:
    """SAM, a transformer behind it, and the width between them; ``merged``: patches that are a token of the latter."""
    vision = config.nested("vision_config", given(config, "vision_config"), f"{config.model_type}_vision")
    first = vision.nested("sam_config", given(vision, "sam_config"), usual)
    second = vision.nested("encoder_config", given(vision, "encoder_config"), behind)
    inner, out = _pair(first, "downsample_channels")
    stack, encoder = sam(first), vits.read(second, merged)
    stack = replace(stack, outputs=(*stack.outputs, *halving(first.size("output_channels"), inner, out)))
    for part in (first, second, vision):
        towers.checked(part)
    return stack, encoder, out


def deepseek_vl_hybrid(config: Config) -> Architecture:
    """DeepSeek-VL 7B [lu2024]: SigLIP beside SAM, which sees the image larger."""
    text = text_part(config, "llama", text_config(config))
    small = config.nested("vision_config", given(config, "vision_config"), "siglip_vision_model")
    large = config.nested("high_res_vision_config", given(config, "high_res_vision_config"), "sam_vision_model")
    low, high = towers.siglip(small), sam(large)
    width, out, half = large.size("output_channels"), text.main.d_model, text.main.d_model // 2
    merged = HALVED * HALVED
    behind = [
        *neck("second_neck", large.size("hidden_size"), width),
        *halving(width, 2 * width, 4 * width),
        *named(alpha=Scale(width, lone=True), high_projector=Linear(4 * width, half, merge=merged)),
    ]
    aligner = named(low_projector=Linear(low.d_model, half), projector=Linear(out, out))
    for part in (small, large):
        towers.checked(part)
    stacks = (replace(high, outputs=(*high.outputs, *behind)), replace(low, outputs=(*low.outputs, *aligner)))
    found = _whole(config, text, "deepseek_vl_hybrid", *stacks)
    note = "both towers are counted for the same number of patches; SAM's are those of a larger image, of one size"
    return replace(found, notes=(*found.notes, note))


def _pair(config: Config, key: str) -> tuple[int, int]:
    given = config.layer_indices(key)
    if len(given) != len(PAIR):
        raise SizeError(f"{key} has {len(given)} entries; it has {len(PAIR)}", where=config.where)
    return config.integer(given[0], key, 1), config.integer(given[1], key, 1)


def _vector(width: int) -> Embedding:
    return Embedding(1, width, table="other", use="side_tokens")


def _whole(config: Config, text: Architecture, layout: str, *stacks: Stack) -> Architecture:
    config.ignore(f"{OUTER} image_token_index")
    return replace(text, stacks=(*text.stacks, *stacks), layout=f"{layout}>{text.layout}")
