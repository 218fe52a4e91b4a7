"""Models with built-in image or audio tokenizers: Janus, Emu3, Apertus 1.5 and Chameleon."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named, Stack
from ....importers.hf.composite_models import IGNORED, nested_config, text_model
from ....importers.hf.config import Config, Fields
from ....importers.hf.projectors import Link
from ....importers.hf.rules import decoder
from ....importers.hf.vision_encoders.parts import named
from ....layers import Embedding, Linear, MaskedLogits
from ....layers.parts.qk_norm import QkNorm
from ...unexecuted_parts import AUDIO_CODEC_NOTE, IMAGE_TOKENIZER_NOTE, read_parts

IMAGE = "IMGIMG"  # name prefix of image tokens


def project_janus(link: Link) -> list[Named | Stack]:
    """Build the Janus projector [wu2024] with an aligner, the image generation layers, and the image codec."""
    encoder = link.encoder
    aligner = _aligner("aligner", link.d_encoder, encoder.size("projection_dim"), encoder.repeats("depth"),
        encoder.activation())  # fmt: skip
    codes = nested_config(link.model, "vq_config", "janus_vqgan")
    stack = Stack("generation", codes.size("projection_dim"), (), (), tuple(_generation(codes)), "tower", unused=True)
    return [*aligner, stack, *read_parts(codes, "vqmodel")]


def _generation(config: Config) -> list[Named]:
    """Return the image code table, the aligner to the language model, and the code head."""
    rows, width, out = (config.size(key) for key in ("num_embeddings", "embed_dim", "projection_dim"))
    layers = _aligner("made", width, out, config.n_layers, config.activation(), unused=True)
    head = named(
        code_head_in=Linear(config.size("image_token_embed_dim"), out, unused=True),
        code_head=Linear(out, rows, unused=True),
    )
    return [*named(codes=Embedding(rows, width, table="other", unused=True)), *layers, *head]


def _aligner(name: str, width: int, out: int, count: int, act: str, unused: bool = False) -> list[Named]:
    """Return ``count`` linear layers with activations between them."""
    first = Named(f"{name}_in", Linear(width, out, activation=act if count > 1 else "identity", unused=unused))
    others = [
        Named(f"{name}{index}", Linear(out, out, activation=act if index < count - 2 else "identity", unused=unused))
        for index in range(count - 1)
    ]
    return [first, *others]


def emu3(config: Config) -> Architecture:
    """Read an Emu3 config [wang2024emu3] with LLaMA blocks and a tokenizer for images and videos."""
    codes = nested_config(config, "vq_config", "emu3_vqgan")
    return _with_tokenizers(config, text_model(config, "emu3_text_model"), read_parts(codes, "vqmodel"), "emu3")


def apertus(config: Config) -> Architecture:
    """Read an Apertus 1.5 config with an image tokenizer and the WavTokenizer for audio."""
    text = text_model(config, "apertus1p5_text")
    image = nested_config(config, "vision_config", "apertus1p5_vision_tokenizer")
    audio = nested_config(config, "audio_config", "wavtokenizer_encoder")
    parts = [*read_parts(image, "vision_tokenizer"), *read_parts(audio, "audio_tokenizer")]
    return _with_tokenizers(config, text, parts, "apertus1p5")


def _with_tokenizers(config: Config, text: Architecture, parts: list[Stack], layout: str) -> Architecture:
    config.ignore(f"{IGNORED} vocabulary_map image_token_offset audio_token_offset")
    notes = (*text.notes, IMAGE_TOKENIZER_NOTE, *([AUDIO_CODEC_NOTE] if len(parts) > 1 else []))
    return replace(text, stacks=(*text.stacks, *parts), layout=f"{layout}>{text.layout}", notes=notes)


def chameleon(config: Config) -> Architecture:
    """Read a Chameleon config with an image tokenizer and separate LayerNorm weights per query and key head."""
    config.ignore("model_parallel_size")
    config.override("architectures", ["Model"] if (config.head_kind() == "none") else None)
    attention = config.attention(qk_norm=QkNorm("per_head", "layernorm", bias=True, eps=1e-5))
    mlp = config.gated_mlp(bias=config.flag("mlp_bias"))
    place, head = "post" if config.flag("swin_norm") else "pre", config.lm_head(**_image_tokens(config))
    found = decoder(config, attention, mlp, place=place, head=head)
    stacks = (*found.stacks, *read_parts(nested_config(config, "vq_config", "chameleon_vqgan"), "vqmodel"))
    return replace(found, stacks=stacks, notes=(*found.notes, IMAGE_TOKENIZER_NOTE))


def _image_tokens(config: Config) -> Fields:
    """Return the head fields that exclude image tokens. The transformers class never predicts image tokens."""
    names = config.get("vocabulary_map")
    if names is None:
        return {}
    if not isinstance(names, dict):
        raise config.error("vocabulary_map must map token names to IDs")
    found = [config.integer(number, "vocabulary_map", 0) for name, number in names.items() if name.startswith(IMAGE)]
    if not found:
        return {}
    first, last = min(found), max(found)
    if last - first + 1 != len(set(found)):
        config.add_unmodelled("image tokens are never predicted, but their IDs are not consecutive")
        return {}
    return {"masked": MaskedLogits(len(set(found)), first)}
