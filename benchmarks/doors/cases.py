"""Random deployments about which every door is asked."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import llmcalc
from llmcalc.schema.preset_files import sized_files

LENGTHS = (2048, 32768, 131072)
GPUS = ("h100:8", "h200:8", "b200-180gb:8", "a100-sxm-80gb:8", "mi300x:8", "l40s:4", "h100:2", "rtx4090")
ENGINES = ("vllm", "sglang", "tensorrt-llm", "llama.cpp")
FORMATS = {"llama.cpp": (None, "q4_k_m"), "": (None, "fp8")}
RANKS = (1, 2, 4, 8)


class Case(NamedTuple):
    """A model on GPUs with a layout, formats and a length of requests in tokens."""

    model: str
    gpu: str
    engine: str
    tp: int
    weights: str | None
    length: int

    @property
    def deployment(self) -> dict[str, Any]:
        """What runs where, as arguments of public functions, without the layout."""
        own = {"gpu": self.gpu, "engine": self.engine, "weights": self.weights}
        return {name: value for name, value in own.items() if value is not None}

    @property
    def layout(self) -> dict[str, int]:
        """Tensor-parallel ranks, except in llama.cpp, which divides the layers over all GPUs."""
        return {} if self.engine == "llama.cpp" else {"tp": self.tp}

    @property
    def fit(self) -> dict[str, Any]:
        """The same as arguments of ``fit``, which puts as many replicas as there is room for on the GPUs."""
        name, _, count = self.gpu.partition(":")
        used = self.layout.get("tp", int(count or 1))
        return {**self.deployment, "gpu": f"{name}:{used}", "seq": self.length}

    @property
    def generates(self) -> bool:
        """Whether the model generates text, so that it has requests with outputs."""
        return llmcalc.load(self.model).main.role != "encoder"

    @property
    def title(self) -> str:
        """The case as options of ``llmcalc serve``."""
        formats = f" --weights {self.weights}" if self.weights else ""
        layout = "".join(f" --{name} {size}" for name, size in self.layout.items())
        return f"{self.model} --gpu {self.gpu} --engine {self.engine}{layout}{formats} [{self.length:,} tokens]"


def every_case() -> list[Case]:
    """Return all presets on all GPUs, in all engines, with tensor parallelism over 1 to all GPUs."""
    return [
        Case(f"{Path(file).stem}:{size}", gpu, engine, tp, weights, length)
        for file, size in sized_files()
        for gpu in GPUS
        for engine in ENGINES
        for tp in RANKS
        if tp <= int(gpu.partition(":")[2] or 1) and (engine != "llama.cpp" or tp == 1)
        for weights in FORMATS.get(engine, FORMATS[""])
        for length in LENGTHS
    ]


def draw(count: int, seed: int) -> list[Case]:
    """Return a random sample of the cases that generate text, which is the same for the same seed."""
    found = every_case()
    random.Random(seed).shuffle(found)
    return list(islice((case for case in found if case.generates), count))
