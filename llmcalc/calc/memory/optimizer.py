"""Training storage per parameter, including gradients, master weights, optimizer states and low-rank adapters."""

from __future__ import annotations

from ...core.ledger import Row
from ...core.record import record
from .number_formats import shape
from .weight_formats import RequestedFormats

SCALE_BYTES = 4  # one fp32 maximum per block of quantised states


@record
class StateRule:
    """An optimizer state and the tensors to which it applies.

    Attributes:
        of: tensors that have this state (``all``, ``matrices`` for weights multiplied by an input, or ``others``).
        factored: whether matrices store row and column sums instead of one value per element (Adafactor).
        block: number of elements that share a maximum (8-bit states), or 0 if there are no blocks.
    """

    bytes: int
    of: str = "all"
    factored: bool = False
    block: int = 0

    def bytes_of(self, row: Row, elements: int) -> int:
        """Return the state size in bytes for ``elements`` elements of a tensor on one rank."""
        if (self.of == "matrices" and not row.tensor.linear) or (self.of == "others" and row.tensor.linear):
            return 0
        if self.factored and len(row.tensor.groups) > 1:
            copies, rows, columns = shape(row)
            return -(-copies * (rows + columns) * elements * self.bytes // (copies * rows * columns))
        return elements * self.bytes + (-(-elements // self.block) * SCALE_BYTES if self.block else 0)


@record
class Adapters:
    """Low-rank adapters that add trainable factors to the target matrices [hu2021]. All other weights are frozen.

    Attributes:
        bytes: bytes per adapter weight (0: those of a weight in the forward pass). PEFT keeps adapters in fp32 and
            casts them for each product (``autocast_adapter_dtype`` in peft/mapping_func.py).
    """

    rank: int
    targets: tuple[str, ...]
    bytes: int = 0

    def elements(self, row: Row) -> int:
        """Return the number of adapter elements for a tensor, ``rank · (in + out)``."""
        if not row.tensor.linear or row.tensor.name not in self.targets or row.tensor.active:
            return 0
        copies, rows, columns = shape(row)
        return copies * self.rank * (rows + columns)


@record
class Recipe:
    """Number formats and optimizer of a training run.

    Attributes:
        weight_bytes: bytes per weight in the forward pass.
        gradient_bytes: bytes per accumulated gradient element.
        master_weight_bytes: bytes per weight in the higher-precision master copy, or 0 if there is no master copy.
        n_temporaries: number of temporary copies of the largest tensor in an optimizer step.
        contiguous_gradient_buffer: whether one buffer stores all gradients throughout the step (Megatron-LM's
            distributed data parallel) instead of allocating gradients in the backward pass (PyTorch).
        gradient_placeholders: whether the matrix kernels of the blocks add to that buffer themselves and keep one
            unused gradient of each matrix shape, which they return to autograd (``get_dummy_wgrad`` in NVIDIA's
            TransformerEngine, transformer_engine/pytorch/module/base.py).
        frozen_weights: number formats of frozen weights if adapters are used (None: ``weight_bytes`` per weight).
        offload: what host memory holds: nothing, ``optimizer`` (its states) or ``weights`` (weights, gradients and
            optimizer states).
        offload_activations: whether host memory holds what blocks save. One block's is on the GPU, as it is copied.
        in_backward: whether the optimizer updates each weight once its gradient is complete, and frees the gradient
            (``register_post_accumulate_grad_hook`` in PyTorch).
        fp8_copies: whether matrices of the blocks also have FP8 copies for the products, one of them transposed
            (``get_weight_workspace`` in transformer_engine/pytorch/module/base.py).
    """

    name: str
    weight_bytes: int
    gradient_bytes: int
    master_weight_bytes: int
    states: tuple[StateRule, ...]
    n_temporaries: int = 0
    contiguous_gradient_buffer: bool = False
    gradient_placeholders: bool = False
    adapters: Adapters | None = None
    frozen_weights: RequestedFormats | None = None
    offload: str = ""
    offload_activations: bool = False
    in_backward: bool = False
    fp8_copies: bool = False


def trainable(row: Row, own: int, recipe: Recipe) -> tuple[int, int]:
    """Return the number of trainable elements of one copy of a tensor on one rank, and the size of their optimizer
    states in bytes.

    With adapters, only the adapter elements are trained. A frozen stack has no trainable elements.
    """
    if row.entry.stack.frozen:
        return 0, 0
    if recipe.adapters is None:
        return own, sum([rule.bytes_of(row, own) for rule in recipe.states])
    elements = recipe.adapters.elements(row)
    return elements, sum(rule.bytes * elements for rule in recipe.states)
