"""The language-model head: from the residual stream to logits over the vocabulary."""

from __future__ import annotations

from ..core.declaration import Declaration
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.record import record

MOST_UNUSED = 8  # no library stores more than one or two


@record
class Head(Layer):
    """``logits = x wᵀ + b``, for all positions or the last one.

    Attributes:
        vocab: rows of the output table.
        d_model: width of its input.
        d_rest: columns of its input beyond those of the table, in a matrix of their own (MobileBERT).
        share: identity of the table when it is tied to another, usually ``token_embedding``.
        bias: a bias per vocabulary entry.
        buffer_bias: such a bias that is stored, but is no parameter (BART).
        softcap: logits are squashed to ``softcap · tanh(logits / softcap)`` (Gemma).
        input_scale: factor on its input (T5 with a tied table: 1 / sqrt(d_model)).
        loss_in_fp32: the loss converts the logits to fp32 first; costs memory alone.
        streams: copies of every token that have logits (ProphetNet predicts as many tokens at once).
        codebooks: so many tables, one for each codebook, each of which has logits at every position (MusicGen).
        scored: so many rows of the table are chosen for each position, and the others left out (Gemma 4's assistant).
        n_positions: logits are those of this many positions, however many tokens there are (Perceiver).
        scaled: a learned factor on each logit (nGPT).
        barred: so many entries are never predicted: their logits are the lowest number there is (Chameleon's images).
        barred_from: the first of these.
        scale_gain: constant that those factors are multiplied by.
        unused_biases: further biases of the same length that a library stores and never uses.
        unused: the head is stored, but never run.
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
            raise SizeError(f"unused_biases is {self.unused_biases}; it is at most {MOST_UNUSED}", where="head")
        if self.codebooks and any((self.scored, self.streams > 1, self.bias, self.buffer_bias, self.scaled)):
            raise SizeError("codebooks goes with plain tables", where="head")
        if self.d_rest and (self.scored or self.unused):
            raise SizeError("d_rest goes with logits of the whole table", where="head")
        if self.scored and self.scored > self.vocab:
            raise SizeError(f"scored ({self.scored}) is more than vocab ({self.vocab})", where="head")
        if self.barred_from + self.barred > self.vocab:
            last = self.barred_from + self.barred - 1
            raise SizeError(f"the last barred entry is {last}, of {self.vocab} in vocab", where="head")

    def declare(self) -> Declaration:
        """Table ``[vocab, d_model]``, contracted over d_model."""
        declaration = Declaration({"V": self.vocab, "d": self.d_model})
        if self.n_positions:
            declaration.axes["o"] = self.n_positions
        if self.streams > 1:
            declaration.axes |= {"ms": self.streams, "o": "o * ms"}
        many = "nc " if self.codebooks else ""
        declaration.axes |= {"nc": self.codebooks} if self.codebooks else {}
        declaration.weights(f"w[{'nc; ' if many else ''}V; d]", share=self.share, unused=self.unused)
        if self.unused:
            declaration.weights(*(["b[V]"] if self.bias else []), *(["scale[V]"] if self.scaled else []), unused=True)
            return declaration
        rows, chosen = ("Vs", " | V:Vs") if self.scored else ("V", "")
        if self.scored:
            declaration.axes["Vs"] = self.scored
        rows = many + rows
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
