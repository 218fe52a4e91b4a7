"""FLOPs of elementwise functions, compared with their definitions."""

from __future__ import annotations

import pytest

from llmcalc.core.functions import FUNCTIONS

# An operator, comparison or function name is one operation on one element; what a row shares costs nothing an element,
# but for the sums that it takes to get there (max, mean, sum).
DEFINITIONS = {
    "add": "+",
    "mul": "*",
    "scale": "*",
    "dropout": "*",
    "relu": "max",
    "relu2": "max *",
    "gelu": "/ erf + * *",
    "gelu_tanh": "* * * + * tanh + * *",
    "gelu_new": "* * * + * tanh + * *",
    "quick_gelu": "* exp + / *",
    "silu": "exp + / *",
    "situ": "/ tanh * exp + / *",
    "sigmoid": "exp + /",
    "tanh": "tanh",
    "softplus": "exp + log",
    "sqrt_softplus": "exp + log sqrt",
    "exp": "exp",
    "sin": "* sin",
    "xielu": "* * expm1 - * + +",
    "cutoff": "mean - * sum - max",
    "abs": "abs",
    "softmax": "max - exp sum /",
    "logsumexp": "max - exp sum log",
    "softmax_fp32": "max - exp sum /",
    "rmsnorm": "* sum * *",
    "layernorm": "mean - * sum / * +",
    "groupnorm": "mean - * sum / * +",
    "shares": "sum /",
    "doubly_stochastic": "sum / sum /",
    "l2norm": "* sum *",
    "rescaled": "* sum * sum * /",
    "shortened": "* sum min *",
    "mean": "mean",
    "pooled": "max",
    "softcap": "/ tanh *",
    "collected": "mean",
    "collision": "arccos * - power",
    "clamp": "max min",
    "rope": "* * +",
    "top_k": "<",
    "selective_scan": "* exp * * * + * +",
    "gated_delta": "* * + * + * +",
    "rg_lru": "* - sqrt * * +",
    "cumulative_sum": "* +",
    "decayed_state": "* * + * +",
    "matrix_wkv": "* * + * * +",
}
# Papers give these as a number: RWKV-4 for its output and its state, a transform for an entry and stage.
COUNTED = {"wkv": 12 + 11, "fft": 5}
FREE = {"copy", "gather", "cast", "keep", "log_sum_exp", "identity"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_costs_what_its_definition_has_operations(name: str) -> None:
    expected = 0 if name in FREE else COUNTED.get(name) or len(DEFINITIONS[name].split())
    assert FUNCTIONS[name].flops == expected


# What the derivative reads, from calculus: of e^x, a root, a quotient or a maximum the result does.
BY_RESULT = {"relu", "sigmoid", "tanh", "exp", "softmax", "logsumexp", "softmax_fp32", "softcap", "collision", "keep"}
OF_NOTHING = {"add", "scale", "copy", "gather", "cast", "identity", "mean", "rope", "top_k", "fft"}
OF_ALL = {
    "mul", "xielu", "rescaled", "collected", "selective_scan", "gated_delta", "rg_lru", "cumulative_sum",
    "decayed_state", "matrix_wkv", "wkv",
}  # fmt: skip
MORE = {
    "dropout": "mask",
    "log_sum_exp": "input output32",
    "rmsnorm": "input row",
    "layernorm": "input row row",
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_keeps_what_its_derivative_reads(name: str) -> None:
    sets = ((BY_RESULT, "output"), (OF_NOTHING, "nothing"), (OF_ALL, "inputs"))
    assert FUNCTIONS[name].saves == next((word for names, word in sets if name in names), MORE.get(name, "input"))


def test_what_transformers_composes_keeps_more() -> None:
    composed = {name: function.torch for name, function in FUNCTIONS.items() if function.torch is not None}
    assert composed == {
        "gelu_new": "input hidden hidden hidden",
        "softmax_fp32": "output32",
        "rmsnorm": "input32 row hidden",
        "selective_scan": "inputs input32 hidden32 hidden32 hidden32",
        "rg_lru": "inputs hidden hidden hidden hidden32 hidden32",
        "wkv": "input" + 12 * " hidden32",
    }
