"""FLOPs of elementwise functions, and the tensors saved for their backward passes.

Each arithmetic operation, comparison or transcendental function on one element counts as 1 FLOP. Totals are
written as sums so that they can be verified. The figures are *modelled* because kernels differ. Matmul FLOPs do
not depend on these figures.

``saves`` lists what autograd saves:

    inputs, input     all inputs, or the first input
    output            the result
    hidden            an intermediate tensor of the same size as the result
    row               one fp32 value per row (a norm statistic or a softmax sum)
    mask              one byte per element
    input32, output32 an fp32 copy of the input or result (omitted if the computation is already in fp32)
    nothing           no tensor (the derivative is constant or can be recomputed)

``torch`` lists what transformers' eager code saves for functions that it implements as several operations.
``statistics`` is the number of sums over a whole row that each row requires. ``is_recurrence`` states that a function
computes a state of each token from that of the token before.
"""

from __future__ import annotations

from .record import NamedTuple


class Function(NamedTuple):
    """FLOPs per element, tensors saved for the backward pass, sums over each row, and whether it is a recurrence."""

    flops: int
    saves: str = "input"
    meaning: str = ""
    torch: str | None = None
    statistics: int = 0
    is_recurrence: bool = False


_SIGMOID = 3  # exp, add, divide
_TANH = 1
_ERF = 1

FUNCTIONS: dict[str, Function] = {
    # arithmetic
    "add": Function(1, "nothing", "sum"),
    "mul": Function(1, "inputs", "product"),
    "scale": Function(1, "nothing", "product with a constant"),
    "copy": Function(0, "nothing", "a view, a concatenation or a permutation"),
    "gather": Function(0, "nothing", "a table look-up"),
    "cast": Function(0, "nothing", "conversion to another number format"),
    "keep": Function(0, "output", "a tensor that is always saved"),
    "dropout": Function(1, "mask", "product with a mask"),
    "log_sum_exp": Function(0, "input output32", "tensors saved by fused attention: the output and the softmax sums"),
    # activations
    "relu": Function(1, "output", "max"),
    "relu2": Function(1 + 1, "input", "max, square"),
    "gelu": Function(1 + _ERF + 1 + 1 + 1, "input", "divide, erf, add, two products"),
    "gelu_tanh": Function(3 + 1 + 1 + _TANH + 1 + 2, "input", "cube, two products and a sum, tanh, sum, two products"),
    "gelu_new": Function(
        3 + 1 + 1 + _TANH + 1 + 2, "input", "gelu_tanh, composed of elementary functions", "input hidden hidden hidden"
    ),
    "quick_gelu": Function(1 + _SIGMOID + 1, "input", "scale, sigmoid, product"),
    "silu": Function(_SIGMOID + 1, "input", "sigmoid, product"),
    "situ": Function(1 + _TANH + 1 + _SIGMOID + 1, "input", "divide, tanh, product; sigmoid, product"),
    "sigmoid": Function(_SIGMOID, "output", "exp, add, divide"),
    "tanh": Function(_TANH, "output", "tanh"),
    "softplus": Function(3, "input", "exp, add, log"),
    "sqrt_softplus": Function(3 + 1, "input", "exp, add, log, root"),
    "exp": Function(1, "output", "exp"),
    "sin": Function(1 + 1, "input", "product with the frequency, sine"),
    "xielu": Function(2 + 2 + 1 + 2, "inputs", "square and product, or expm1, difference and product; two sums"),
    "cutoff": Function(
        1 + 1 + 1 + 1 + 1 + 1, "input", "mean, difference, square, sum; difference with the bound, max", statistics=2
    ),
    "abs": Function(1, "input", "absolute value"),
    "identity": Function(0, "nothing", "none"),
    # normalisation
    "softmax": Function(1 + 1 + 1 + 1 + 1, "output", "maximum, difference, exp, sum, divide", statistics=2),
    "logsumexp": Function(1 + 1 + 1 + 1 + 1, "output", "maximum, difference, exp, sum, log"),
    "softmax_fp32": Function(1 + 1 + 1 + 1 + 1, "output", "softmax, computed in fp32", "output32"),
    "rmsnorm": Function(
        1 + 1 + 1 + 1,
        "input row",
        "square, sum, product with the root, product with the weight",
        "input32 row hidden",
        statistics=1,
    ),
    "layernorm": Function(
        1 + 1 + 1 + 1 + 1 + 2, "input row row", "mean, difference, square, sum, divide, weight, bias", statistics=2
    ),
    "groupnorm": Function(
        1 + 1 + 1 + 1 + 1 + 2, "input", "layernorm over a whole sequence, with negligible statistics"
    ),
    "shares": Function(1 + 1, "input", "sum, divide: normalisation of a row", statistics=1),
    "doubly_stochastic": Function(
        2 * (1 + 1), "input", "rows, then columns: sum, divide; a kernel saves its input (xie2025, Section 4.3)"
    ),
    "l2norm": Function(1 + 1 + 1, "input", "square, sum, product with the root", statistics=1),
    "rescaled": Function(
        2 * (1 + 1) + 1 + 1, "inputs", "squares and sums of two vectors; product with a root, divide", statistics=2
    ),
    "shortened": Function(1 + 1 + 1 + 1, "input", "square, sum, minimum of two factors; product", statistics=1),
    "mean": Function(1, "nothing", "mean of several tokens"),
    "pooled": Function(1, "input", "maximum of several tokens"),
    "softcap": Function(1 + _TANH + 1, "output", "divide, tanh, product"),
    "collected": Function(1, "inputs", "sum over the matching hash buckets of keys, averaged over hashes"),
    "collision": Function(1 + 1 + 1 + 1, "output", "arc cosine, scale, difference, power"),
    "clamp": Function(1 + 1, "input", "two comparisons"),
    # positions and routing
    "rope": Function(1 + 1 + 1, "nothing", "two products and a sum with the tables of sines and cosines"),
    "top_k": Function(1, "nothing", "at least one comparison per entry"),
    # recurrences, per element of the state and token
    "selective_scan": Function(
        2 + 2 + 2 + 2,
        "inputs",
        "exp(ΔA), ΔB·x, state·Ā + input, state·C summed",
        "inputs input32 hidden32 hidden32 hidden32",
        is_recurrence=True,
    ),
    "gated_delta": Function(1 + 2 + 2 + 2, "inputs", "decay, read, outer-product write, read"),
    "rg_lru": Function(
        3 + 1 + 2,
        "inputs",
        "root of 1 - a², product with the input, state·a + input",
        "inputs hidden hidden hidden hidden32 hidden32",
        is_recurrence=True,
    ),
    "cumulative_sum": Function(1 + 1, "inputs", "product with a decay, sum over the tokens so far", is_recurrence=True),
    "decayed_state": Function(1 + 2 + 2, "inputs", "decay, outer-product write, read; yang2023gla", is_recurrence=True),
    "matrix_wkv": Function(
        1 + 2 + 1 + 2,
        "inputs",
        "k·v, bonus and sum with the state, times r, decay and sum; peng2024",
        is_recurrence=True,
    ),
    "wkv": Function(
        12 + 11,
        "inputs",
        "the stable recurrence of RWKV-4: 12 for the output, 11 for the state",
        "input" + 12 * " hidden32",
        is_recurrence=True,
    ),
    # transforms: FLOPs per point and stage
    "fft": Function(5, "nothing", "5·n·log2(n) for n complex points"),
}
RECURRENCES = frozenset(name for name, function in FUNCTIONS.items() if function.is_recurrence)


def is_activation(name: str | None) -> bool:
    """Return whether a function is computed element by element and saves its input.

    >>> is_activation("silu"), is_activation("softmax"), is_activation(None)
    (True, False, False)
    """
    return name is not None and FUNCTIONS[name].saves == "input" and not FUNCTIONS[name].statistics
