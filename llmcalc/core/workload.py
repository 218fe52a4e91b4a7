"""What is run: how many sequences, of how many tokens, after how many cached ones, under which conventions."""

from __future__ import annotations

from typing import Any

from .architecture import Architecture, Stack, declare
from .errors import InputError, SizeError, UnknownNameError, short_repr
from .expression import evaluate
from .form import FUNCTIONS, Form, ceil, lift, symbol
from .record import fields, record

MODES = ("forward", "train", "decode")
ATTENTION = ("causal", "dense")
LOGITS = ("all", "last")
CONVENTIONS = ("torch",)
LEAST = {"batch": 1, "seq": 1, "context": 0, "target_seq": 1, "source": 0, "patches": 0, "frames": 0}


@record
class Workload:
    """One step of work.

    Attributes:
        batch: sequences.
        seq: tokens of a sequence; in an encoder-decoder model those of the encoder; in ``decode`` the new tokens.
        mode: ``forward``, ``train`` (forward and backward) or ``decode`` (after ``context`` cached tokens).
        attention: ``causal`` counts the visible pairs of query and key, ``dense`` all of them.
        logits: logits of ``all`` positions or of the ``last`` one.
        context: tokens already cached.
        target_seq: the decoder's length in an encoder-decoder model (default: ``seq``).
        source: encoder tokens behind a decode step (default: ``context``).
        convention: None counts the model itself, ``torch`` what transformers' eager code executes.
        patches: patches of one sequence that are fed to each tower that sees.
        frames: frames of sound of one sequence that are fed to each tower that hears: columns of its spectrogram, or
            samples of the wave where it starts from that.
        extend: count sequences beyond a learned table of positions, as if it were longer.
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
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is None and name in ("target_seq", "source"):
                continue
            if type(value) is not int or value < least:
                raise SizeError(f"must be an integer of at least {least}, not {short_repr(value)}", parameter=name)
        choices = {"mode": MODES, "attention": ATTENTION, "logits": LOGITS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                hint = f"one of {', '.join(known)}"
                raise UnknownNameError(name, getattr(self, name), known, parameter=name, hint=hint)
        if self.convention is not None and self.convention not in CONVENTIONS:
            raise UnknownNameError("convention", self.convention, CONVENTIONS, parameter="convention")
        if self.mode != "decode" and self.context:
            raise InputError(f"a {self.mode} pass has no cached tokens", parameter="context", hint="use mode decode")

    @property
    def phase(self) -> str:
        """Which equations run: those of ``prefill`` or of ``decode``."""
        return "decode" if self.mode == "decode" else "prefill"

    def values(self, architecture: Architecture) -> dict[str, Any]:
        """The value of every workload symbol.

        Raises:
            InputError: two lengths for a model that has one; patches or frames for one without a tower for them; a
                sequence beyond a learned table of positions.
        """
        if self.target_seq is not None and not architecture.is_encoder_decoder:
            hint = "only an encoder-decoder model has two lengths"
            raise InputError(f"{architecture.name} has one stack of tokens", parameter="target_seq", hint=hint)
        self._check_towers(architecture)
        sizes = {field.name: getattr(self, field.name) for field in fields(self)}
        found = symbol_values(architecture.is_encoder_decoder and self.mode != "decode", **sizes)
        if not self.extend:
            self._check_positions(architecture, found["k"], found["n"])
            self._check_frames(architecture)
        return found

    def _check_towers(self, architecture: Architecture) -> None:
        towers = [stack for stack in architecture.stacks if stack.role == "tower" and not stack.unused]
        given = (("patches", self.patches, False), ("frames", self.frames, True))
        for name, count, hears in given:
            if count and not any(stack.hears is hears for stack in towers):
                raise InputError(f"{architecture.name} has no encoder that takes {name}", parameter=name)

    def _check_frames(self, architecture: Architecture) -> None:
        for stack in architecture.stacks:
            limit = stack_positions(stack) if stack.hears else None
            heard = int(evaluate(stack.tokens, {"a": self.frames}, FUNCTIONS)) if limit is not None else 0
            if limit is not None and heard > limit:
                message = f"{self.frames} frames are {heard} tokens, beyond the {limit} positions that {stack.name} has"
                raise InputError(
                    message, parameter="frames", hint="{extend=True} counts them as if the table were longer"
                )

    def _check_positions(self, architecture: Architecture, keys: int, fresh: int) -> None:
        for stack in _of_tokens(architecture):
            beside = stack.role == "encoder" and architecture.is_encoder_decoder
            tokens, limit = fresh if beside else keys, stack_positions(stack)
            if limit is not None and tokens > limit:
                name = "context" if self.mode == "decode" and self.context else "seq"
                name = "target_seq" if self.target_seq and not beside else name
                message = f"{tokens} tokens are beyond the {limit} positions that {architecture.name} has learned"
                raise InputError(message, parameter=name, hint="{extend=True} counts them as if the table were longer")


def symbol_values(
    two_lengths: bool,
    *,
    batch: Any,
    seq: Any,
    context: Any,
    target_seq: Any,
    source: Any,
    patches: Any = 0,
    frames: Any = 0,
    **_: Any,
) -> dict[str, Any]:
    """The value of every workload symbol, for integers or arrays; ``two_lengths``: an encoder runs beside a decoder."""
    if two_lengths:
        new, source, fresh = seq if target_seq is None else target_seq, seq, seq
    else:
        new, source, fresh = seq, context if source is None else source, 0
    found = {"b": batch, "q": new, "c": context, "k": context + new, "s": source, "n": fresh}
    return {**found, "p": patches, "a": frames}


def stack_positions(stack: Stack) -> int | None:
    """The positions of a stack's learned table, offset rows left out; None: nothing limits its length."""
    for _, layer in stack.inputs:
        declaration = declare(layer)
        for tensor in declaration.tensors:
            if tensor.table == "position" and not tensor.buffer and not tensor.unused:
                return int(declaration.axes["T"]) - int(getattr(layer, "offset", 0))
    return None


def positions(architecture: Architecture) -> int | None:
    """The longest sequence that all learned tables of positions allow; None: nothing limits it.

    >>> import llmcalc
    >>> positions(llmcalc.load("gpt3")), positions(llmcalc.load("llama3-8b"))
    (2048, None)
    """
    found = [limit for stack in _of_tokens(architecture) if (limit := stack_positions(stack)) is not None]
    return min(found, default=None)


def _of_tokens(architecture: Architecture) -> list[Stack]:
    """The stacks whose input is text: all but towers."""
    return [stack for stack in architecture.stacks if stack.role != "tower"]


def symbols(stack: Stack, single_stack: bool, logits: str = "all", convention: str | None = None) -> dict[str, Form]:
    """The form that each workload axis stands for in a stack. An encoder beside a decoder counts its own tokens; logits
    are computed for all new tokens, or for the last one. A tower counts patches, or the tokens it makes of
    frames; a stack that runs on patches of the text counts the ones that new tokens begin.
    """
    found = {name: symbol(name) for name in ("b", "q", "k", "c", "s", "n")}
    if stack.role == "tower":
        own = lift(evaluate(stack.tokens or "p", {name: symbol(name) for name in "ap"}, FUNCTIONS))
        found |= {"q": own, "k": own, "c": lift(0), "a": symbol("a")}
    if stack.role == "encoder" and not single_stack:
        found |= {"q": symbol("n"), "k": symbol("n"), "c": lift(0)}
    if stack.patch and convention == "torch":
        found |= {name: found[name] + stack.extra_patches for name in ("q", "k")}
    elif stack.patch and stack.patch > 1:
        begun, before = (lift(ceil(symbol(name), stack.patch)) for name in ("k", "c"))
        found |= {"q": begun - before, "k": begun, "c": before}
    found["o"] = lift(1) if logits == "last" else found["q"]
    return found
