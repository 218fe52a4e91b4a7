"""Workload of one step, defined by batch size, sequence lengths, mode and conventions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter

from .architecture import Architecture, Stack, declare
from .errors import InputError, LengthError
from .expression import evaluate
from .form import FUNCTIONS, Form, ceil, lift, symbol
from .record import fields, record
from .setting import WORKLOAD, check_fields
from .type_names import Any


@record
class Workload:
    """Workload of a forward pass, a training step or a decode step.

    Attributes:
        batch: number of sequences.
        seq: number of tokens per sequence (encoder tokens in an encoder-decoder model, new tokens in ``decode``).
        mode: ``forward``, ``train`` (forward and backward) or ``decode`` (after ``context`` cached tokens).
        attention: which (query, key) pairs are counted, ``causal`` (unmasked pairs only) or ``dense`` (all pairs).
        logits: positions for which logits are computed (``all`` or ``last``).
        context: number of cached tokens.
        target_seq: number of decoder tokens in an encoder-decoder model (default: ``seq``).
        source: number of encoder tokens in a decode step (default: ``context``).
        convention: None for the model itself, or ``torch`` for transformers' eager code.
        patches: number of image patches per sequence in each vision tower.
        frames: number of audio frames (spectrogram columns or waveform samples) per sequence in each audio tower.
        extend: whether to allow sequences longer than a learned position table.
    """

    batch: int = 1
    seq: int = 2048
    mode: str = "forward"
    attention: str = "causal"
    logits: str = "all"
    context: int = 0
    target_seq: int | None = None
    source: int | None = None
    convention: str | None = None
    extend: bool = False
    patches: int = 0
    frames: int = 0

    def __post_init__(self) -> None:
        check_fields(self, WORKLOAD)
        if self.mode != "decode" and self.context:
            raise InputError(f"a {self.mode} pass has no cached tokens", parameter="context", hint="use {mode=decode}")

    @property
    def phase(self) -> str:
        """Phase of the step (``prefill`` or ``decode``)."""
        return "decode" if self.mode == "decode" else "prefill"

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence at the end of the step."""
        return max(self.context + self.seq, self.target_seq or 0, self.source or 0)

    def values(self, architecture: Architecture) -> dict[str, Any]:
        """Return the value of every workload symbol.

        Raises:
            InputError: if ``target_seq`` is set for a model with one text stack, if no tower accepts the patches or
                frames, or if a sequence is longer than a learned position table.
        """
        if self.target_seq is not None and not architecture.is_encoder_decoder:
            message = f"has no effect on {architecture.name}, which is not an encoder-decoder model"
            raise InputError(message, parameter="target_seq", hint="omit it")
        self._check_towers(architecture)
        sizes = {field.name: getattr(self, field.name) for field in fields(self)}
        found = symbol_values(architecture.is_encoder_decoder and self.mode != "decode", sizes)
        if not self.extend:
            self._check_positions(architecture, found["k"], found["n"])
            self._check_frames(architecture)
        return found

    def _check_towers(self, architecture: Architecture) -> None:
        towers = [stack for stack in architecture.stacks if stack.role == "tower" and not stack.unused]
        for name, count, is_audio in (("patches", self.patches, False), ("frames", self.frames, True)):
            if count and not any(stack.is_audio_tower is is_audio for stack in towers):
                raise InputError(f"{architecture.name} has no encoder for {name}", parameter=name)

    def _check_frames(self, architecture: Architecture) -> None:
        for stack in architecture.stacks:
            limit = stack_positions(stack) if stack.is_audio_tower else None
            if limit is not None and (tokens := evaluate(stack.tokens, {"a": self.frames}, FUNCTIONS)) > limit:
                message = f"{self.frames} frames give {tokens} tokens, but {stack.name} has only {limit} positions"
                raise InputError(message, parameter="frames", hint="pass {extend=True} to allow longer inputs")

    def _check_positions(self, architecture: Architecture, keys: int, new_source: int) -> None:
        for stack in _text_stacks(architecture):
            is_source = stack.role == "encoder" and architecture.is_encoder_decoder
            tokens, limit = new_source if is_source else keys, stack_positions(stack)
            if limit is not None and tokens > limit:
                name = "context" if self.mode == "decode" and self.context else "seq"
                name = "target_seq" if self.target_seq and not is_source else name
                message = f"{tokens} tokens exceed the {limit} learned positions of {architecture.name}"
                raise LengthError(message, parameter=name, hint="pass {extend=True} to allow longer sequences")


def symbol_values(two_lengths: bool, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each symbol. ``two_lengths`` is True if an encoder runs in the same step."""
    batch, seq, context, target_seq, source = itemgetter("batch", "seq", "context", "target_seq", "source")(sizes)
    if two_lengths:
        new, source, new_source = seq if target_seq is None else target_seq, seq, seq
    else:
        new, source, new_source = seq, context if source is None else source, 0
    found = {"b": batch, "q": new, "c": context, "k": context + new, "s": source, "n": new_source}
    return {**found, "p": sizes.get("patches", 0), "a": sizes.get("frames", 0)}


def stack_positions(stack: Stack) -> int | None:
    """Return the number of learned positions in a stack, excluding offset rows, or None if there are none."""
    for _, layer in stack.inputs:
        declaration = declare(layer)
        for tensor in declaration.tensors:
            if tensor.table == "position" and not tensor.buffer and not tensor.unused:
                return int(declaration.axes["T"]) - declaration.spare_positions
    return None


def positions(architecture: Architecture) -> int | None:
    """Return the longest sequence length that all learned position tables support, or None if there are no tables.

    >>> import llmcalc
    >>> positions(llmcalc.load("gpt3")), positions(llmcalc.load("llama3-8b"))
    (2048, None)
    """
    limits = map(stack_positions, _text_stacks(architecture))
    return min((limit for limit in limits if limit is not None), default=None)


def _text_stacks(architecture: Architecture) -> list[Stack]:
    """Return the stacks that read text (all stacks except towers)."""
    return [stack for stack in architecture.stacks if stack.role != "tower"]


def symbols(stack: Stack, single_stack: bool, logits: str = "all", convention: str | None = None) -> dict[str, Form]:
    """Return the closed form of each workload axis in a stack.

    Encoders have separate axes unless ``single_stack`` is set. Equal stacks share one cached dictionary.
    """
    tokens = (stack.tokens or "p") if stack.role == "tower" else ""
    is_separate = stack.role == "encoder" and not single_stack
    return _symbols(tokens, is_separate, stack.patch or 0, stack.extra_patches, logits == "last", convention == "torch")


@lru_cache(maxsize=256)
def _symbols(
    tokens: str, is_separate: bool, patch: int, extra_patches: int, has_one_logit: bool, is_torch: bool
) -> dict[str, Form]:
    found = {name: symbol(name) for name in ("b", "q", "k", "c", "s", "n")}
    if tokens:
        own = lift(evaluate(tokens, {name: symbol(name) for name in "ap"}, FUNCTIONS))
        found |= {"q": own, "k": own, "c": lift(0), "a": symbol("a")}
    if is_separate:
        found |= {"q": symbol("n"), "k": symbol("n"), "c": lift(0)}
    if patch and is_torch:
        found |= {name: found[name] + extra_patches for name in ("q", "k")}
    elif patch > 1:
        n_patches, n_cached = (lift(ceil(symbol(name), patch)) for name in ("k", "c"))
        found |= {"q": n_patches - n_cached, "k": n_patches, "c": n_cached}
    found["o"] = lift(1) if has_one_logit else found["q"]
    return found
