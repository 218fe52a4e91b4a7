"""The language-model head: logits over the vocabulary."""

from __future__ import annotations

from ..core.declaration import Declaration
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.record import record

MOST_UNUSED = 8  # libraries store one or two


@record
class Head(Layer):
    """``logits = x wᵀ + b``, for all positions or only the last one.

    Attributes:
        vocab: vocabulary size.
        d_model: input width, equal to that of the token table.
        d_rest: width of an additional input with its own matrix (MobileBERT).
        share: name of the shared table if tied to another table, usually ``token_embedding``.
        bias: whether there is a bias per vocabulary entry.
        buffer_bias: whether there is a bias per vocabulary entry stored as a buffer (BART).
        softcap: bound of the soft cap ``softcap · tanh(logits / softcap)`` (Gemma).
        input_scale: factor on the input (T5 with a tied table: 1 / sqrt(d_model)).
        loss_in_fp32: whether the loss converts the logits to fp32 first; affects memory only.
        streams: number of copies of each token with logits (ProphetNet's future tokens).
        codebooks: number of tables, one per codebook, each with logits at every position (MusicGen).
        scored: number of vocabulary entries selected per position for logits (Gemma 4's assistant).
        n_positions: number of positions with logits, independent of the number of tokens (Perceiver).
        scaled: whether there is a learned factor on each logit (nGPT).
        barred: number of entries that are never predicted, whose logit is -inf (Chameleon's image tokens).
        barred_from: first entry that is never predicted.
        scale_gain: constant factor on the learned factors.
        unused_biases: number of additional stored biases that are never used.
        unused: whether the head is stored but never run.
    """

    vocab: int
    d_model: int
    share: str | None = None
    d_rest: int | None = None
    bias: bool = False
    buffer_bias: bool = False
    softcap: float | None = None
    input_scale: float = 1.0
    loss_in_fp32: bool = True
    streams: int = 1
    codebooks: int | None = None
    scored: int | None = None
    n_positions: int | None = None
    scaled: bool = False
    barred: int = 0
    barred_from: int = 0
    scale_gain: float = 1.0
    unused_biases: int = 0
    unused: bool = False

    ZERO_ALLOWED = frozenset({"unused_biases", "barred", "barred_from"})

    def __post_init__(self) -> None:
        self.check()
        if self.unused_biases > MOST_UNUSED:
            raise SizeError(f"unused_biases is {self.unused_biases}; it must be at most {MOST_UNUSED}", where="head")
        if self.codebooks and any((self.scored, self.streams > 1, self.bias, self.buffer_bias, self.scaled)):
            raise SizeError("codebooks requires no scored, streams, bias, buffer_bias or scaled", where="head")
        if self.d_rest and (self.scored or self.unused):
            raise SizeError("d_rest cannot be combined with scored or unused", where="head")
        if self.scored and self.scored > self.vocab:
            raise SizeError(f"scored ({self.scored}) must not exceed vocab ({self.vocab})", where="head")
        if self.barred_from + self.barred > self.vocab:
            last = self.barred_from + self.barred - 1
            raise SizeError(f"the last barred entry ({last}) must be less than vocab ({self.vocab})", where="head")

    def declare(self) -> Declaration:
        """Declare the table ``[vocab, d_model]``, contracted over d_model."""
        declaration = Declaration({"V": self.vocab, "d": self.d_model})
        if self.n_positions:
            declaration.axes["o"] = self.n_positions
        if self.streams > 1:
            declaration.axes |= {"ms": self.streams, "o": "o * ms"}
        many, rows, chosen = "", "V", ""
        if self.codebooks:
            declaration.axes["nc"] = self.codebooks
            many, rows = "nc ", "nc V"
        declaration.weights(f"w[{'nc; ' if many else ''}V; d]", share=self.share, unused=self.unused)
        if self.unused:
            declaration.weights(*["b[V]"] * self.bias, *["scale[V]"] * self.scaled, unused=True)
            return declaration
        if self.scored:
            declaration.axes["Vs"] = self.scored
            rows, chosen = "Vs", " | V:Vs"
        if self.d_rest:
            declaration.axes |= {"dr": self.d_rest, "in": self.d_model + self.d_rest}
            declaration.weights("rest[dr | V]")
            declaration.equations("table[V in] = copy(w, rest)", "logits[b o V] = x[b o in] table[V in]")
        else:
            declaration.equations(f"logits[b o {rows}] = x[b o d] w[{many}V d]{chosen}")
        if self.bias:
            declaration.weights("b[V]")
            declaration.equations(f"logits[b o {rows}] = add(logits, b)")
        if self.buffer_bias:
            declaration.weights("buffer_b[V]", buffer=True)
            declaration.equations(f"logits[b o {rows}] = add(logits, buffer_b)")
        for number in range(self.unused_biases):
            declaration.weights(f"unused_b{number}[V]", unused=True)
        if self.scaled:
            declaration.weights("scale[V]")
            declaration.equations(f"logits[b o {rows}] = mul(logits, scale)")
        if self.softcap:
            declaration.equations(f"logits[b o {rows}] = softcap(logits)")
        return declaration
