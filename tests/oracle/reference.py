"""What transformers and torch say of a config: stored tensors, executed FLOPs, cached elements."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torch
    import transformers
    from torch.utils.flop_counter import FlopCounterMode
    from transformers.models.auto import modeling_auto
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES

transformers.logging.set_verbosity_error()
torch.set_num_threads(1)

SPEECH = modeling_auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES
MAPPINGS = (
    modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    SPEECH,
)
BASE = "PreTrainedModel"
HEADLESS = modeling_auto.MODEL_MAPPING_NAMES
FAMILIES = frozenset(CONFIG_MAPPING_NAMES)
COMMON = {field.name for field in dataclasses.fields(transformers.PretrainedConfig)} - {"is_encoder_decoder"}
ROLE = ("is_decoder", "add_cross_attention")
BOXED = ("bros", "udop")  # the class asks for the boxes of all tokens
ALONE = {"pp_formulanet_text"}  # decoders whose configs say that there is an encoder
LARGEST = 30_000_000  # parameters of a model that is run
CACHES = ("cache", "past_key_values", "cache_params", "state", "mems", "past_buckets_states")


def classes(model_type: str, headless: bool = False) -> list[str]:
    """The language-model classes of a family, each once; with ``headless`` the bare ones too."""
    found = [mapping[model_type] for mapping in MAPPINGS if model_type in mapping]
    bare = HEADLESS.get(model_type, ()) if headless or not found else ()
    bare = [bare] if isinstance(bare, str) else list(bare)
    halves = [f"{name.removesuffix('Model')}EncoderModel" for name in bare] if headless else []
    names = dict.fromkeys([*found, *bare, *halves])
    mapped = [name for name in names if _is_built_from(getattr(transformers, name, None), model_type)]
    return mapped or _unmapped(model_type, headless)


def _unmapped(model_type: str, headless: bool) -> list[str]:
    """The classes of a family that is a part of others, so that no mapping names them."""
    found = config_class(model_type)
    try:
        module = import_module(found.__module__.replace("configuration_", "modeling_"))
    except ModuleNotFoundError:
        return []
    classes = {name: getattr(vars(module)[name], "config_class", None) for name in module.__all__ if BASE not in name}
    own = [name for name, its in classes.items() if its is found]
    return own if headless else [name for name in own if name.endswith("ForCausalLM")] or own


def _is_built_from(found: Any, model_type: str) -> bool:
    """Whether a class takes this family's config; some mappings name the class of the text part alone."""
    return isinstance(found, type) and issubclass(config_class(model_type), found.config_class)


def config_class(model_type: str) -> type:
    """The config class of a family."""
    found: type = CONFIG_MAPPING[model_type]
    return found


@cache
def defaults(model_type: str) -> dict[str, Any]:
    """The class's defaults of plain values, before it derives anything."""
    own = dataclasses.fields(config_class(model_type))
    return {field.name: field.default for field in own if field.name not in COMMON}


@cache
def inner_defaults(model_type: str) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Of the configs within a config, such as ``text_config``: what makes one what it is, and its class's defaults."""
    whole = config_class(model_type)
    try:
        parts = {key: getattr(whole(), key, None) for key in getattr(whole, "sub_configs", None) or {}}
    except Exception:  # its own defaults contradict each other
        return {}
    found = {}
    for key, part in parts.items():
        if part is not None and dataclasses.is_dataclass(part):
            own = {field.name: field.default for field in dataclasses.fields(part) if field.name not in COMMON}
            role = {name: getattr(part, name) for name in ROLE if own.get(name, False) != getattr(part, name, False)}
            found[key] = ({"model_type": part.model_type, **role}, own)
    return found


def parameters(model: Any) -> int:
    """Parameters of a model, a tied one once."""
    return sum(parameter.numel() for parameter in model.parameters())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Neither warnings nor prints of the libraries."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def build(class_name: str, model_type: str, changes: dict[str, Any], device: str = "meta") -> Any:
    """A model of a class, with eager attention and experts one by one."""
    with quiet():
        torch.manual_seed(0)
        config = config_class(model_type)(**changes)
        config._attn_implementation = "eager"
        config._experts_implementation = "eager"
        with torch.device(device):
            model = getattr(transformers, class_name)(config).eval()
    return model


def runs(class_name: str, model_type: str, changes: dict[str, Any]) -> bool:
    """Whether a model of this config gives a result for a few tokens."""
    try:
        Runs(build(class_name, model_type, changes, device="cpu")).forward(1, 16)
    except Exception:
        return False
    return True


def plain_config(model: Any, class_name: str) -> dict[str, Any]:
    """The config of a built model as ``config.json`` says it."""
    with quiet():
        data: dict[str, Any] = model.config.to_dict()
    return {**data, "architectures": [class_name]}


def tensors(model: Any) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter; a tied one under its first name alone."""
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def embedding(model: Any) -> int | None:
    """Elements of the input table, if the class names one."""
    try:
        table = model.get_input_embeddings()
    except (NotImplementedError, AttributeError):
        return None
    if isinstance(table, torch.Tensor):  # no table of tokens
        return None
    return sum(parameter.numel() for parameter in table.parameters()) if table is not None else None


class Runs:
    """Forward passes of a model on the CPU under torch's FLOP counter."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.headless = model.get_output_embeddings() is None
        self.seq2seq = has_two_sides(model)

    def targets(self, batch: int, length: int) -> Any:
        """Token ids of the decoder: of every codebook, if it has several, one sequence behind the other."""
        return self.ids(batch * codebooks(self.model), length)

    def labels(self, batch: int, length: int) -> Any:
        """What is to be predicted, by the class's own loss."""
        each = codebooks(self.model)
        return self.ids(batch, length) if each == 1 else self.ids(batch, length)[..., None].repeat(1, 1, each)

    def ids(self, batch: int, length: int) -> Any:
        """Token ids, none of them special."""
        return torch.randint(10, 60, (batch, length), generator=torch.Generator().manual_seed(7))

    def forward(self, batch: int, seq: int, **more: Any) -> tuple[int, Any]:
        """(FLOPs, output) of a pass over ``seq`` tokens, in an encoder-decoder model on both sides."""
        inputs: dict[str, Any] = {"input_ids": (self.ids if self.seq2seq else self.targets)(batch, seq)}
        inputs |= self.places(batch, seq)
        if self.seq2seq:
            inputs["decoder_input_ids"] = self.targets(batch, seq)
        return self._count(**inputs, **more)

    def places(self, batch: int, seq: int) -> dict[str, Any]:
        """Boxes in the corner of a page, of a class that is not run without."""
        needed = self.model.config.model_type in BOXED
        return {"bbox": torch.zeros((batch, seq, 4))} if needed else {}

    def train(self, batch: int, seq: int) -> tuple[int, bool]:
        """FLOPs of forward and backward pass, and whether a convolution is among them (torch overcounts its grad)."""
        with quiet(), FlopCounterMode(display=False) as counter:
            own = self.ids if self.seq2seq else self.targets
            inputs: dict[str, Any] = {"input_ids": own(batch, seq), "labels": self.labels(batch, seq)}
            inputs |= self.places(batch, seq)
            if self.seq2seq:
                inputs["decoder_input_ids"] = self.targets(batch, seq)
            elif not self.headless:
                inputs["use_cache"] = False
            self._loss(inputs).backward()
        operations = counter.get_flop_counts()["Global"]
        return counter.get_total_flops(), any("convolution" in str(name) for name in operations)

    def _loss(self, inputs: dict[str, Any]) -> Any:
        """The class's own loss; of a class without a head, the sum of what it returns."""
        if not self.headless:
            return self.model(**inputs).loss
        found = self.model(**{name: value for name, value in inputs.items() if name in ("input_ids", "bbox")})
        given = (getattr(found, name, None) for name in ("last_hidden_state", "embeddings", "pooler_output"))
        return next(states for states in given if states is not None).sum()

    def decode(self, context: int) -> tuple[int, int]:
        """(elements cached after ``context`` tokens, FLOPs of the step behind them)."""
        _, prefilled = self.forward(1, context)
        name, cache = cache_of(prefilled)
        elements = sum(tensor.numel() for tensor in reachable(cache))
        inputs: dict[str, Any] = {name: cache}
        if self.seq2seq:
            with torch.no_grad():
                inputs["encoder_outputs"] = self.model.get_encoder()(
                    self.ids(1, context), return_dict=True, **self.places(1, context)
                )
            inputs["decoder_input_ids"] = self.targets(1, 1)
        else:
            inputs["input_ids"] = self.targets(1, 1)
        flops, _ = self._count(**inputs)
        return elements, flops

    def _count(self, **inputs: Any) -> tuple[int, Any]:
        with quiet(), FlopCounterMode(display=False) as counter:
            output = self.model(**inputs)
        return counter.get_total_flops(), output


def cache_of(output: Any) -> tuple[str, Any]:
    """The cache that a model returns, and what it calls it."""
    name = next(name for name in CACHES if getattr(output, name, None) is not None)
    return name, getattr(output, name)


def has_two_sides(model: Any) -> bool:
    """Whether an encoder stands before the decoder; some encoders and decoders alone keep to the config of both."""
    alone = model.config.model_type in ALONE or type(model).__name__.endswith("EncoderModel")
    return bool(getattr(model.config, "is_encoder_decoder", False)) and not alone


def codebooks(model: Any) -> int:
    """Codebooks of each of which a decoder has a token at every position; 1: it has one of text."""
    decoder = getattr(model.config, "decoder", None) or model.config
    heads = getattr(getattr(model, "decoder", model), "lm_heads", None)
    return 1 if heads is None else int(decoder.num_codebooks)


def reachable(value: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """Every floating-point tensor within a cache, each once."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from reachable(part, seen)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from reachable(part, seen)
    elif hasattr(value, "__dict__") and not isinstance(value, (type, transformers.PretrainedConfig)):
        yield from reachable(vars(value), seen)
