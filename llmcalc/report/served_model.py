"""Memory and time of a served model, alone or on GPUs, as a report shows them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ..api.fit import fit
from ..api.latency import latency
from ..api.memory import memory
from ..calc.memory.inference import InferenceMemory
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import record
from ..fitting.fit import FitResult
from ..inputs.defaults import STEP_TOKENS
from ..serving.latency_times import Latency
from .fit import memory_parts


@record
class ServedModel:
    """A model with the workload, the weights and the GPUs of a report.

    Attributes:
        model: the model.
        batch: number of sequences.
        seq: tokens in a sequence.
        gpu: GPUs, such as ``h100:4`` or ``24GB``, or None.
        weights: number format of the weights (default: as published).
    """

    model: Architecture
    batch: int
    seq: int
    gpu: str | None = None
    weights: str | None = None

    def fit(self, seq: int | None = None) -> FitResult | None:
        """Return the fit check for a sequence length, or None without GPUs."""
        if self.gpu is None:
            return None
        return fit(self.model, self.gpu, seq=seq or self.seq, batch=self.batch, weights=self.weights)

    def parts(self, seq: int | None = None) -> dict[str, int]:
        """Return the bytes of each part of the memory of one GPU, or of a device that holds the whole model."""
        found = self.fit(seq)
        if found is not None:
            return memory_parts(found)
        own = memory(self.model, batch=self.batch, seq=seq or self.seq, weights=self.weights)
        assert isinstance(own, InferenceMemory)
        return {"weights": own.weights, "state": own.state, "transient": own.activations}

    @cached_property
    def time(self) -> Latency | str | None:
        """Time of a decode step or of an encoder's forward pass, the reason why it is unknown, or None without GPUs."""
        if self.gpu is None:
            return None
        length = "seq" if self.model.main.role == "encoder" else "context"
        given: dict[str, Any] = {"batch": self.batch, "weights": self.weights, length: self.seq}
        try:
            return latency(self.model, self.gpu, **given)
        except InputError as error:
            return error.message

    @property
    def formats(self) -> str:
        """Number formats and the size of a step, in words."""
        weights = f"weights {self.weights}" if self.weights else "weights as published or in bf16"
        return f"{weights} · KV cache in bf16 · at most {STEP_TOKENS:,} tokens in a step"
