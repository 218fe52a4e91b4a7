"""Facts about an eager implementation that determine which tensors autograd saves.

The facts of a model type are measured in transformers (``data/eager.yaml``). They name number formats and saved tensors
in the words of ``core/functions.py``, so they don't depend on the sizes of a model.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...core.declaration import Declaration
from ...core.equation import Equation, read
from ...core.record import record
from ...core.traits import HEAD, NORM, ROUTER, ModuleTensors, Traits

FP32, FP32_BYTES = "fp32", 4
SOFTMAX = {"softmax", "softmax_fp32"}
SCORES = {"softmax", "sigmoid", "sqrt_softplus"}  # of routers
STREAMS = "hs"  # axis of parallel residual streams
SIGMOID = "sigmoid"
UNIT = "l2norm"  # of queries and keys in a recurrence
NORMS = {"rmsnorm", "layernorm"}
ACTIVATIONS = {"relu", "relu2", "gelu", "gelu_tanh", "gelu_new", "quick_gelu", "silu", "xielu"}


@record
class EagerCode:
    """How an eager implementation computes its modules. Empty values mean that nothing is known.

    Attributes:
        scores: number format of queries and keys in their product: ``fp32`` or ``compute``, the format of the model.
        scan: number format of a chunked recurrence.
        loss: number format of the logits in the loss.
        softcap: number format of the soft cap of the logits.
        softmax: tensors saved between the two products of attention.
        block_softmax: tensors saved there for queries in blocks, if these differ.
        output_gate: tensors saved by a sigmoid in fp32 and by its product with the input, in attention or after a norm.
        combine: tensors saved when a loop over experts adds their outputs. Grouped kernels save none.
        experts: ``loop`` if transformers has no grouped kernel for the experts.
        norm, plain_norm: tensors saved by a norm between layers, with and without a weight.
        qk_norm, plain_qk_norm: tensors saved by a norm within an attention layer.
        stream_norm: tensors saved by a norm of parallel residual streams, if they are mixed in fp32. They include the
            result, unless it is a factor of each row that multiplies the product with a matrix.
        mixer_norm: tensors saved by a norm of a recurrent model.
        gated_norm: tensors saved by a norm within a recurrent layer, including those of the output gate.
        activation: tensors saved by the activation function of a feed-forward layer or a head.
        gate: tensors saved when the gate of experts multiplies their hidden values. The input is the projection.
        router: tensors saved by a router. ``score`` and ``score32`` have the size of its scores.
        noise: random factors of a router's input, of the same size, which training saves.
    """

    scores: str = ""
    scan: str = ""
    loss: str = ""
    softcap: str = ""
    softmax: str = ""
    block_softmax: str = ""
    output_gate: str = ""
    combine: str = ""
    experts: str = ""
    norm: str = ""
    plain_norm: str = ""
    qk_norm: str = ""
    plain_qk_norm: str = ""
    stream_norm: str = ""
    mixer_norm: str = ""
    gated_norm: str = ""
    activation: str = ""
    gate: str = ""
    router: str = ""
    noise: str = ""

    def words(self, equation: Equation, declaration: Declaration) -> str:
        """Return what autograd saves for a function of a layer, or an empty string if nothing is known."""
        found = self._words_of_module(equation, declaration)
        return self._words_of_function(equation, declaration) if found is None else found

    def _words_of_module(self, equation: Equation, declaration: Declaration) -> str | None:
        """Return what a router, a gated norm, mixed residual streams or an output gate saves, or None outside them."""
        function = equation.function or ""
        if is_router(equation, declaration):
            return self._router_scores() if function in SCORES and self.router else ""
        if self.gated_norm and is_gated_norm(equation, declaration):
            return self.gated_norm if function in NORMS else "nothing"
        if self.stream_norm and STREAMS in declaration.axes:
            return self.stream_norm if function in NORMS else ""
        if self.output_gate and function in (SIGMOID, "mul") and is_output_gate(equation, declaration):
            saved = [word for word in self.output_gate.split() if word.startswith("output") == (function == SIGMOID)]
            return " ".join(saved)
        return None

    def _words_of_function(self, equation: Equation, declaration: Declaration) -> str:
        """Return what autograd saves for a function that no module computes in its own way."""
        function, layer = equation.function or "", declaration.layer
        if function in NORMS or function == UNIT:
            return self._norm(equation, layer)
        if function in SOFTMAX and ("core" in equation.tags or "h" in equation.out.axes):
            is_block = "q" not in equation.out.axes
            return (is_block and self.block_softmax) or self.softmax
        if self.gate and is_gating(equation, declaration):
            hidden = [word for word in self.gate.split() if word != "input"]
            is_product = hidden and equation.out.name == module_tensors(declaration).gated
            return " ".join(hidden) if is_product else "nothing"
        if function in ACTIVATIONS and layer is not None and not layer.IS_RECURRENT:
            return self.activation
        if function == "add" and declaration.routed_experts and "j" in equation.operands[0].axes:
            return {"output": "inputs", "output32": "input32"}.get(self.combine, "")
        return self._logits(function) if layer is not None and layer.NUMBER_CLASS == HEAD else ""

    def _logits(self, function: str) -> str:
        """Return what autograd saves for the learned scales of the logits, or for their soft cap."""
        if function == "mul":
            return "input32" if self.loss == FP32 else ""
        return {FP32: "output32", "compute": "output"}.get(self.softcap, "") if function == "softcap" else ""

    def _router_scores(self) -> str:
        """Return what autograd saves for the scores of a router."""
        words = {"score": "hidden", "score32": "hidden32", "row": "row"}
        return " ".join(words[word] for word in self.router.split() if word in words) or "nothing"

    def _norm(self, equation: Equation, layer: Traits | None) -> str:
        """Return what autograd saves for a norm, which is between layers or within attention or a recurrence."""
        is_between = layer is not None and layer.NUMBER_CLASS == NORM
        plain, norm = (self.plain_norm, self.norm) if is_between else (self.plain_qk_norm, self.qk_norm)
        if equation.function in NORMS:
            return (len(equation.operands) == 1 and plain) or norm or self.mixer_norm
        if layer is None or layer.IS_RECURRENT:
            return "input row" if layer is not None and self.scan == FP32 else ""
        return plain

    def is_saved_by_norm(self, equation: Equation, declaration: Declaration) -> bool:
        """Return whether a norm of residual streams already saves the operand of an equation."""
        return bool(self.stream_norm) and STREAMS in declaration.axes and {STREAMS, "d"} <= set(equation.contracted)

    def saved_besides(
        self, equation: Equation, declaration: Declaration, usual: int
    ) -> Iterator[tuple[str, tuple[str, ...], int]]:
        """Yield the tensors that autograd saves besides the operands of a product: name, axes and bytes per element.

        The gate of experts saves the result, whose name is empty, and a router the random factors of its input.
        """
        if equation.function is not None:
            return
        if "input" in self.gate and is_gating(equation, declaration):
            yield "", equation.out.axes, usual
        for number, word in enumerate(self.noise.split() if is_router(equation, declaration) else ()):
            yield f".noise{number}", equation.operands[0].axes, FP32_BYTES if word.endswith("32") else usual

    def has_fp32_operands(self, equation: Equation, declaration: Declaration, *, before_softmax: bool) -> bool:
        """Return whether the code converts the operands of an equation to fp32."""
        layer = declaration.layer
        is_recurrent = layer is not None and layer.IS_RECURRENT
        is_decay = any(operand.name == module_tensors(declaration).decay for operand in equation.operands)
        if self.scan == FP32 and (
            "scan" in equation.tags or (is_recurrent and (equation.function == UNIT or is_decay))
        ):
            return True
        if self.stream_norm and STREAMS in declaration.axes:
            return all(operand.name != declaration.input for operand in equation.operands)
        if equation.function is not None:
            return "score32" in self.router and is_router(equation, declaration)
        is_score = before_softmax and "core" in equation.tags
        return (is_score and self.scores == FP32) or (is_router(equation, declaration) and "input32" in self.router)


def is_router(equation: Equation, declaration: Declaration) -> bool:
    """Return whether an equation is part of a router."""
    return declaration.components.get(equation.text) == ROUTER


def module_tensors(declaration: Declaration) -> ModuleTensors:
    """Return the tensors of a layer that belong to modules of eager code."""
    return declaration.layer.MODULE_TENSORS if declaration.layer is not None else ModuleTensors()


def is_gating(equation: Equation, declaration: Declaration) -> bool:
    """Return whether an equation computes the gate or the up-projection of experts, or multiplies them."""
    names, lines = module_tensors(declaration), declaration.lines
    if not names.gate or is_router(equation, declaration):
        return False
    if equation.out.name not in (names.gate, names.up, names.activated, names.gated):
        return False
    has_gate = any(line.startswith(f"{names.gate}[") for line in lines)
    return has_gate and bool(declaration.routed_experts or any("clamp(" in line for line in lines))


def is_output_gate(equation: Equation, declaration: Declaration) -> bool:
    """Return whether an equation computes a gate by a sigmoid, or multiplies a tensor by it."""
    if declaration.layer is None or declaration.layer.IS_RECURRENT or is_router(equation, declaration):
        return False
    gates = {each.out.name for each in map(read, declaration.lines) if each.function == SIGMOID}
    return equation.function == SIGMOID or equation.operands[-1].name in gates


def is_gated_norm(equation: Equation, declaration: Declaration) -> bool:
    """Return whether an equation is part of the norm or the output gate of a recurrent layer."""
    tensors = module_tensors(declaration)
    norm, gate = tensors.output_norm, tensors.output_gate
    names = {equation.out.name, *(operand.name for operand in equation.operands)}
    return any(tensor.name == norm for tensor in declaration.tensors) and not names.isdisjoint((gate, norm))
