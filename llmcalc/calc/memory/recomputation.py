"""Activation recomputation: which layers compute again in the backward pass, and which of their equations.

``none``        nothing
``full``        the layers from their inputs; ``full:K`` saves one input for every K layers (Megatron-LM: ``uniform``)
``layer:N``     every N-th layer from its input (torchtitan, torchtune); ``fraction:P`` of the layers (fms-fsdp)
``blocks:N``    the first N layers of each pipeline stage from their inputs (Megatron-LM: ``block``)
``op``          every equation except attention kernels and every other product (torchtitan); ``op:N`` recomputes every
                N-th product
``selective``   attention between its projections, which is the module ``core_attn``
modules         equations of parts of a layer, such as ``moe_act,layernorm`` (Megatron-Core)
``unknown``     something between ``none`` and ``full`` that is not modelled. Memory is computed without recomputation

Which equations belong to a module follows from the equations of a layer and the traits of its kind. Programs drop the
results of some modules as well, and compute them again when the next equation needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from ...core.declaration import Declaration, Tensor
from ...core.equation import Equation, read
from ...core.errors import InputError, UnknownNameError, short_repr
from ...core.record import NamedTuple, remembered
from ...core.traits import NORM, ROUTER

NONE, FULL, SELECTIVE, OPERATIONS, UNKNOWN = "none", "full", "selective", "op", "unknown"
CORE, EXPERTS, EXPERT_ACTIVATION, NORMS = "core_attn", "moe", "moe_act", "layernorm"
UP_PROJECTIONS, FEED_FORWARD, SHARED_EXPERTS = "mla_up_proj", "mlp", "shared_experts"
MODULES = (CORE, EXPERTS, EXPERT_ACTIVATION, NORMS, UP_PROJECTIONS, FEED_FORWARD, SHARED_EXPERTS)
DISCARDED = frozenset((EXPERT_ACTIVATION, NORMS, UP_PROJECTIONS))  # modules whose results are dropped as well
PRODUCT, EXCHANGE, EXPERT_RESULT = "product", "exchange", "expert result"  # other words of equations
WORDS = (NONE, SELECTIVE, FULL, OPERATIONS, UNKNOWN, "layer:2", *MODULES)  # for completion
SECOND = 2  # product that ``op`` recomputes
MOST_LAYERS = 100_000


class Recomputation(NamedTuple):
    """What the backward pass computes again.

    Attributes:
        words: ``full``, ``op``, modules, or nothing.
        share: share of the layers that are recomputed.
        is_centred: whether these layers are in the middle of equal groups, as in fms-fsdp, and not at their ends.
        first: number of layers of each stage that are recomputed, or None for all.
        group: number of layers with one saved input.
        product: product of a layer that ``op`` recomputes, and its multiples.
    """

    words: frozenset[str] = frozenset()
    share: Fraction = Fraction(1)
    is_centred: bool = False
    first: int | None = None
    group: int = 1
    product: int = SECOND

    @property
    def is_partial(self) -> bool:
        """Whether equations of a layer are recomputed and others are not."""
        return bool(self.words) and FULL not in self.words

    def layers(self, count: int, chunks: int = 1) -> list[bool]:
        """Return for each layer of a stage with ``chunks`` virtual stages whether it is recomputed.

        >>> recomputation("layer:3").layers(7), recomputation("fraction:1/3").layers(5)
        ([False, False, True, False, False, True, False], [False, True, False, False, True])
        """
        if not self.words:
            return [False] * count
        if self.first is not None:
            each = max(-(-count // chunks), 1)
            return [number % each < self.first for number in range(count)]
        whole, part = self.share.denominator, self.share.numerator
        passed = [(2 * number * part + whole * self.is_centred) // (2 * whole) for number in range(count + 1)]
        return [after > before for before, after in pairwise(passed)]


@lru_cache(maxsize=256)
def recomputation(text: str) -> Recomputation:
    """Return what a value of the setting ``recompute`` means.

    >>> recomputation("selective") == recomputation("core_attn"), recomputation("full:3").group
    (True, 3)
    """
    word, _, size = text.partition(":")
    whole = Recomputation(frozenset((FULL,)))
    if size:
        number = _number(text, size, is_share=word == "fraction")
        sized = {
            FULL: whole._replace(group=int(number)), "layer": whole._replace(share=1 / number),
            "fraction": whole._replace(share=number, is_centred=True), "blocks": whole._replace(first=int(number)),
            OPERATIONS: Recomputation(frozenset((OPERATIONS,)), product=int(number)),
        }  # fmt: skip
        if word in sized:
            return sized[word]
    words = {NONE: (), UNKNOWN: (), SELECTIVE: (CORE,), FULL: (FULL,), OPERATIONS: (OPERATIONS,)}.get(
        text, text.split(",")
    )
    for name in words:
        if name not in (*MODULES, FULL, OPERATIONS) or (len(words) > 1 and name not in MODULES):
            hint = f"use none, full, selective, op, layer:N, blocks:N, or modules of {', '.join(MODULES)}"
            raise UnknownNameError("recomputation", name, (*WORDS, "fraction:1/2"), parameter="recompute", hint=hint)
    return Recomputation(frozenset(words))


def check_recomputation(text: object) -> None:
    """Raise an error if a value is not a recomputation."""
    if not isinstance(text, str) or not text:
        raise InputError(f"must be a non-empty string, not {short_repr(text)}", parameter="recompute")
    recomputation(text)


def _number(text: str, size: str, *, is_share: bool) -> Fraction:
    """Return the number after the colon: a whole number of at least 1, or a share of at most 1."""
    try:
        number = Fraction(size) if len(size) <= len(str(MOST_LAYERS)) + 1 else Fraction(0)
    except (ValueError, ZeroDivisionError):
        number = Fraction(0)
    if is_share and 0 < number <= 1:
        return number
    if is_share or not 1 <= number <= MOST_LAYERS or number.denominator > 1:
        wanted = "a share such as 1/2" if is_share else "a whole number of at least 1"
        text = f"invalid recomputation {short_repr(text)}"
        raise InputError(text, parameter="recompute", hint=f"use {wanted} after the colon")
    return number


class Placed(NamedTuple):
    """An equation of a block, with the layer that it is in, and the words that name it."""

    layer: object
    words: frozenset[str]


def recomputed(equations: Sequence[Placed], own: Recomputation, *, is_fused: bool = True) -> list[bool]:
    """Return for each equation of a recomputed block whether the backward pass computes it again.

    ``op`` saves the result of a fused attention kernel.
    """
    if not own.is_partial:
        return [bool(own.words)] * len(equations)
    if OPERATIONS not in own.words:
        return [not own.words.isdisjoint(equation.words) for equation in equations]
    found, products = [], 0
    for equation in equations:
        products += PRODUCT in equation.words
        is_saved = PRODUCT in equation.words and products % own.product != 0
        found.append(not (is_saved or (is_fused and CORE in equation.words)))
    return found


def equation_words(declaration: Declaration, layer: Declaration) -> dict[str, frozenset[str]]:
    """Return the words that name each equation of a declaration.

    ``layer`` is the declaration of the whole layer. It differs from ``declaration`` if that belongs to an inner layer.
    """

    def compute() -> tuple[Declaration, dict[str, frozenset[str]]]:
        equations = [read(line) for line in declaration.lines]
        weights = {tensor.name: tensor for tensor in declaration.tensors}
        found = [frozenset(_words(number, equations, weights, declaration, layer)) for number in range(len(equations))]
        return layer, {each.text: own for each, own in zip(equations, found, strict=True)}  # keeps the identity unique

    return remembered(declaration, "_recomputation_words", id(layer), compute)[1]


def _words(
    number: int, equations: Sequence[Equation], weights: Mapping[str, Tensor], declaration: Declaration,
    layer: Declaration,
) -> Iterator[str]:  # fmt: skip
    equation, traits = equations[number], layer.layer
    is_core, matrices = not equation.tags.isdisjoint(("core", "flash")), _matrices(equation, weights)
    if is_core:
        yield CORE
    elif matrices and declaration.components.get(equation.text) != ROUTER and not any(each.active for each in matrices):
        yield PRODUCT
    if traits is not None and traits.NUMBER_CLASS == NORM:
        yield NORMS
    if layer.routed_experts:
        yield EXPERTS
        if declaration is not layer:
            yield SHARED_EXPERTS
        products = [
            place for place, each in enumerate(equations) if any(own.active for own in _matrices(each, weights))
        ]
        if products and equation.function is not None and products[0] < number < products[-1]:
            yield EXPERT_ACTIVATION
        if products and number in (products[0] - 1, products[-1]):
            yield EXCHANGE  # of tokens with the ranks of the experts
            if number == products[-1]:
                yield EXPERT_RESULT
    elif traits is not None and traits.IS_FEED_FORWARD:
        yield FEED_FORWARD
    if _is_up_projection(number, equations, weights):
        yield UP_PROJECTIONS


def _matrices(equation: Equation, weights: Mapping[str, Tensor]) -> list[Tensor]:
    """Return the weights that a product multiplies, none for a function."""
    read_weights = [weights[operand.name] for operand in equation.operands if operand.name in weights]
    return read_weights if equation.function is None else []


def _is_up_projection(number: int, equations: Sequence[Equation], weights: Mapping[str, Tensor]) -> bool:
    """Return whether an equation makes queries, keys or values of all heads in a layer with latents, or rotates them.

    A latent is the result of a norm that a product with a matrix reads before attention.
    """
    core = next((place for place, each in enumerate(equations) if "core" in each.tags), 0)
    if number >= core:
        return False
    normed = {each.out.name for each in equations[:core] if each.function in ("rmsnorm", "layernorm")}
    products = [each for each in equations[:core] if _matrices(each, weights)]
    if not any(operand.name in normed for each in products for operand in each.operands):
        return False
    equation, heads = equations[number], set(equations[core].out.axes) - {"b", "q", "k"}
    return equation.function == "rope" or bool(_matrices(equation, weights) and heads & set(equation.out.axes))


def regions(equations: Sequence[Placed], own: Recomputation) -> list[tuple[frozenset[int], bool]]:
    """Return the equations that run again together, the modules of one layer, and whether their results are dropped."""
    found: dict[tuple[object, str], set[int]] = {}
    for number, equation in enumerate(equations):
        for word in own.words & equation.words:
            found.setdefault((equation.layer, word), set()).add(number)
    return [(frozenset(numbers), word in DISCARDED) for (_, word), numbers in found.items()]
