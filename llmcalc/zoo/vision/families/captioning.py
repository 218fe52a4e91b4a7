"""Image captioning models with a BERT text decoder: BLIP and GIT."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named
from ....core.errors import short_repr
from ....importers.hf.composite_models import IGNORED, TIE, Part, config_at, encoder_stacks, nested_config, text_model
from ....importers.hf.config import BIASED, TOKENS, Config
from ....importers.hf.families import bert
from ....importers.hf.projectors import Link
from ....importers.hf.vision_encoders.parts import CLASS_TOKEN
from ....layers import Attention, Embedding, Head, InputRows, Linear, Norm, Stored

NOTE = "stored but not counted in FLOPs: the cross-attention of the text to the image"
CAPTIONS = ("", "BlipForConditionalGeneration", "BlipModel")


def blip(config: Config) -> Architecture:
    """Read a BLIP config [li2022blip]. The bare ``BlipModel`` compares texts with images."""
    name = config.class_name()
    bare = name == "BlipModel"
    if not bare:
        config.override("architectures", None)
    part = nested_config(config, "vision_config", "blip_vision_model")
    own = {**config_at(config, "text_config"), "encoder_hidden_size": part.d_model}
    own[TIE] = config.flag(TIE, True) or own.get(TIE, True)
    text = text_model(config, "blip_text_model", "inner", own)
    config.ignore(f"{IGNORED} image_text_hidden_size label_smoothing initializer_factor logit_scale_init_value")
    if name not in CAPTIONS:
        note = f"the heads of {short_repr(name)} are not supported; not counted: vision"
        return replace(text, notes=(*text.notes, note))
    encoder = Part("vision_config", "blip_vision_model", _compare if bare else None)
    stacks = encoder_stacks(config, encoder, text.main.d_model)
    layout = f"blip_model>{text.layout}" if bare else f"blip>{text.layout}"
    return replace(text, stacks=(*text.stacks, *stacks), layout=layout, notes=(*text.notes, NOTE))


def _compare(link: Link) -> list[Named]:
    joint = link.model.size("projection_dim")
    return [
        Named("visual_projection", Stored(joint, link.d_encoder)),
        Named("text_projection", Stored(joint, link.d_model)),
        Named("logit_scale", Stored(1, bare=True)),
    ]


def git(config: Config) -> Architecture:
    """Read a GIT config. CLIP patches precede the text tokens in a BERT-based decoder."""
    kind, tied, width = config.head_kind() or "causal", config.flag(TIE), config.d_model
    stack = bert.encoder(config, segments=False, attention=Attention(width, config.n_heads, **BIASED))
    tables = tuple(_token_table(entry, tied and kind == "causal") for entry in stack.inputs)
    share = TOKENS if tied else None
    head = [Named("head", Head(config.vocab, width, share, bias=True))] if kind == "causal" else []
    stack = replace(stack, name="decoder", role="decoder", inputs=tables, outputs=tuple(head))
    encoder = encoder_stacks(config, Part("vision_config", "git_vision_model", _project_git), width)
    return Architecture(config.model_type, (stack, *encoder))


def _project_git(link: Link) -> list[Named]:
    norm = Norm(link.d_model, "layernorm", bias=True, eps=link.encoder.number("layer_norm_eps") or 1e-5)
    frame = Embedding(1, link.d_encoder, table="other", unused=True)
    return [
        Named("projector", Linear(link.d_encoder, link.d_model, sequence=InputRows(prompt=CLASS_TOKEN))),
        Named("projector_norm", norm),
        *(Named(f"frame{number}", frame) for number in range(link.model.repeats("num_image_with_embedding", 0))),
    ]


def _token_table(entry: Named, tied: bool) -> Named:
    """Return the stack input. If it is a token table, the head shares the table only if ``tied`` is set."""
    if entry.name == "token" and isinstance(entry.layer, Embedding):
        return Named(entry.name, replace(entry.layer, share=TOKENS if tied else None))
    return entry
