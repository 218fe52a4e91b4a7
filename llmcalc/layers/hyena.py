"""Hyena operator with gates and implicitly parametrised long convolutions [poli2023, Section 3]."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel


@record
class Hyena(Layer):
    """Operator ``y = x_N ⊙ (h_N * ( ... x_1 ⊙ (h_1 * v)))`` using ``order`` gates and ``order - 1`` long filters.

    Attributes:
        d_model: input and output width.
        order: number of gates (2 in the paper's models).
        filter_length: filter length in positions.
        d_filter: hidden width of the network that generates the filters.
        n_filter_layers: number of hidden layers of the filter network.
        d_position: width of the learned position encoding that the filter network reads.
        d_conv: kernel size of the short convolution on each stream.
    """

    d_model: int
    filter_length: int
    order: int = 2
    d_filter: int = 64
    n_filter_layers: int = 2
    d_position: int = 33
    d_conv: int = 3

    AXES: ClassVar[str] = """
    O   order            order of a Hyena operator, which is its number of gates
    Y   n_projections    order + 1 projections of a Hyena operator
    M   n_filters        order - 1 long filters of a Hyena operator
    ft  n_fft            points of a padded FFT: twice the tokens
    D   d_position       features of a filter's position encoding
    B   n_filter_layers  hidden layers of a filter network
    L   filter_length    positions covered by a long filter
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="i", whole="K Y M F Fo D B L")
    IS_RECURRENT: ClassVar[bool] = True
    SHRINK: ClassVar[dict[str, str]] = {
        "filter_length": "47 53",
        "order": "at most 3",
        "d_filter d_position": "always",
        "n_filter_layers": "at most 2",
        "d_conv": "at most 4",
    }

    def _complete(self) -> None:
        if self.order < 2:
            raise self.size_error("order", f"must be at least 2, not {self.order}")

    def declare(self) -> Declaration:
        """Declare the input projection, short convolutions, filters, FFTs and output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "i": self.d_model, "Y": self.order + 1, "O": self.order}
        axes |= {"M": self.order - 1, "K": self.d_conv, "F": self.d_filter, "Fo": self.d_filter}
        axes |= {"B": self.n_filter_layers, "D": self.d_position, "L": self.filter_length}
        axes |= {"ft": "2 * q", "keep": "c + q", "Kt": "K - 1"}
        declaration = Declaration(axes)
        declaration.weights("win[d | Y i]", "bin[Y i]", "short[Y i; K]", "short_b[Y i]", "wo[i | d]", "bo[d]")
        declaration.weights("position[L; D]", "f_in[D | F]", "f_in_b[F]", "f_hidden[B; F | Fo]", "f_hidden_b[B; Fo]")
        declaration.weights("f_out[F | M i]", "frequency[F]", "f_bias[M; i]")
        declaration.equations(*_LINES)
        declaration.state("streams[b keep M i]", "recurrent")
        declaration.state("short[b Y i Kt]", "conv")
        return declaration


_LINES = [
    "u[b q Y i] = x[b q d] win[d Y i]",
    "u[b q Y i] = add(u, bin)",
    "u[b q Y i] = u[b q Y i] short[Y i K]",
    "u[b q Y i] = add(u, short_b)",
    "f[q F] = position[q D] f_in[D F]",
    "f[q F] = add(f, f_in_b)",
    "f[q F] = sin(f, frequency)",
    "fi[B q F] = copy(f)",  # each hidden layer reads the result of the previous one
    "fh[B q Fo] = fi[B q F] f_hidden[B F Fo]",
    "fh[B q Fo] = add(fh, f_hidden_b)",
    "fh[B q Fo] = sin(fh, frequency)",
    "fl[q F] = copy(fh)",  # the result of the last one
    "h[q M i] = fl[q F] f_out[F M i]",
    "h[q M i] = scale(h, window)",
    "v[b q M i] = mul(u, v)",
    "skip[b q M i] = mul(v, f_bias)",
    "V[b ft M i] = fft(v) | over:ft",
    "Hf[ft M i] = fft(h) | over:ft",
    "V[b ft M i] = mul(V, Hf)",
    "v[b ft M i] = fft(V) | over:ft",
    "v[b q M i] = add(v, skip)",
    "v[b q i] = mul(u, v)",
    "y[b q d] = v[b q i] wo[i d]",
    "y[b q d] = add(y, bo)",
]
