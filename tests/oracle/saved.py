"""What autograd saves in one forward pass of a model in eval mode: bytes of floating-point storages, each once."""

from __future__ import annotations

from typing import Any

import torch

from . import reference


def saved_bytes(model: Any, batch: int, seq: int) -> int:
    """Bytes that autograd keeps of a forward pass with labels; parameters and buffers don't count."""
    known = {each.untyped_storage().data_ptr() for each in (*model.parameters(), *model.buffers())}
    found: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        pointer = tensor.untyped_storage().data_ptr()
        if tensor.is_floating_point() and pointer not in known:
            found.setdefault(pointer, tensor)  # the tensor stays, so that its address is not used again
        return tensor

    runs = reference.Runs(model)
    inputs: dict[str, Any] = {"input_ids": runs.ids(batch, seq), "labels": runs.labels(batch, seq)}
    inputs |= runs.places(batch, seq)
    if runs.seq2seq:
        inputs["decoder_input_ids"] = runs.targets(batch, seq)
    else:
        inputs["use_cache"] = False
    with reference.quiet(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(**inputs)
    del output
    return sum(tensor.untyped_storage().nbytes() for tensor in found.values())
