"""Language-model head that computes logits over the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.declaration import Declaration
from ..core.description.part_family import PartFamily
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.part import Part
from ..core.record import record
from ..core.traits import HEAD, Parallel
from ..core.type_names import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from ..core.shrink import Sizes
    from .parts.logits import LogitScale, MaskedLogits
    from .parts.sequence import LogitRows

MOST_UNUSED = 8  # libraries store one or two


@record
class Head(Layer):
    """Logits ``x wᵀ + b`` for all positions or only the last position.

    Attributes:
        vocab: vocabulary size.
        d_model: input width, equal to the token table width.
        d_rest: width of an additional input with a separate matrix (MobileBERT).
        share: name of the shared table if the head is tied, usually ``token_embedding``.
        bias: whether there is a bias per vocabulary entry.
        buffer_bias: whether a bias per vocabulary entry is stored as a buffer (BART).
        softcap: bound of the soft cap ``softcap · tanh(logits / softcap)`` (Gemma).
        input_scale: scaling factor for the input (T5 with a tied table: 1 / sqrt(d_model)).
        loss_in_fp32: whether the loss converts the logits to fp32 first (affects memory only).
        sequence: positions with logits instead of one position per token.
        codebooks: number of codebooks. Logits are computed for each codebook at every position (MusicGen).
        scored: number of vocabulary entries per position for which logits are computed (Gemma 4 assistant).
        logit_scale: learned scaling factor of each logit (nGPT).
        masked: entries whose logit is always -inf (image tokens in Chameleon).
        unused_biases: number of additional biases that are stored but never used.
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
    sequence: LogitRows | None = None
    codebooks: int | None = None
    scored: int | None = None
    logit_scale: LogitScale | None = None
    masked: MaskedLogits | None = None
    unused_biases: int = 0
    unused: bool = False

    AXES: ClassVar[str] = """
    Vs  n_scored  rows of the token table for which logits are computed
    dr  d_rest    output columns beyond those of the token table
    """
    PARALLEL: ClassVar[Parallel] = Parallel(vocabulary="V", whole="nc dr")
    NUMBER_CLASS: ClassVar[str] = HEAD
    IN_ANY_BLOCK: ClassVar[bool] = False

    ZERO_ALLOWED = frozenset({"unused_biases"})
    SHRINK: ClassVar[dict[str, str]] = {"vocab": "97 101 103 107", "codebooks unused_biases": "keep"}
    PARTS: ClassVar[Mapping[str, Sequence[type[Part]]]] = {
        "sequence": PartFamily("parts", "sequence.LogitRows"),
        "logit_scale": PartFamily("parts", "logits.LogitScale"),
        "masked": PartFamily("parts", "logits.MaskedLogits"),
    }

    def _complete(self) -> None:
        if self.unused_biases > MOST_UNUSED:
            raise self.size_error("unused_biases", f"must be at most {MOST_UNUSED}, not {self.unused_biases}")
        streams = self.sequence.streams if self.sequence else 1
        if self.codebooks and any((self.scored, streams > 1, self.bias, self.buffer_bias, self.logit_scale)):
            other = "scored, streams, bias, buffer_bias or logit_scale"
            raise self.size_error("codebooks", f"cannot be combined with {other}")
        if self.d_rest and (self.scored or self.unused):
            raise self.size_error("d_rest", "cannot be combined with scored or unused")
        if self.scored:
            self.must_not_exceed("scored", "vocab")
        if self.masked and self.masked.first + self.masked.n > self.vocab:
            last = self.masked.first + self.masked.n - 1
            text = f"the last masked entry ({last}) must be less than vocab ({self.vocab})"
            raise SizeError(text, field="masked", where="head")

    def shrink_field(self, field: str, sizes: Sizes) -> int | None:
        """Return the additional input width in the small test model. This is the stream width minus the input
        width.
        """
        if field == "d_rest" and self.d_rest:
            return sizes.width(self.d_model + self.d_rest) - sizes.width(self.d_model)
        return None

    def reserve_sizes(self, sizes: Sizes, stream: int) -> None:
        """For heads with an additional input, reserve a small test input width that is less than the stream width."""
        if self.d_rest and self.d_model != stream:
            sizes.set_width(self.d_model, 7)

    def declare(self) -> Declaration:
        """Declare the table ``[vocab, d_model]`` and the equations for the logits."""
        declaration = Declaration({"V": self.vocab, "d": self.d_model})
        declaration.logits = "fp32" if self.loss_in_fp32 else "compute"
        if self.sequence and self.sequence.n_positions:
            declaration.axes["o"] = self.sequence.n_positions
        if self.sequence and self.sequence.streams > 1:
            declaration.axes |= {"ms": self.sequence.streams, "o": "o * ms"}
        many, rows, chosen, scale = "", "V", "", self.logit_scale
        if self.codebooks:
            declaration.axes["nc"] = self.codebooks
            many, rows = "nc ", "nc V"
        declaration.weights(f"w[{'nc; ' if many else ''}V; d]", share=self.share, unused=self.unused)
        if self.unused:
            declaration.weights(*["b[V]"] * self.bias, *(scale.tensors() if scale else []), unused=True)
            return declaration.only_stored()
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
        for number in range(int(self.unused_biases)):
            declaration.weights(f"unused_b{number}[V]", unused=True)
        if scale:
            declaration.weights(*scale.tensors())
            declaration.equations(*scale.lines(rows))
        if self.softcap:
            declaration.equations(f"logits[b o {rows}] = softcap(logits)")
        return declaration
