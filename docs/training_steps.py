"""Published throughput of training steps, and the throughput that the time of the operations gives."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

from measurements import Row, Section

import llmcalc
from llmcalc.core.record import changed
from llmcalc.data import table
from llmcalc.estimate.cost import AS_GIVEN, Machine, Span
from llmcalc.inputs.gpus import read_gpus
from llmcalc.training.kernels import FLASH, STORED
from llmcalc.training.layouts import training_time
from llmcalc.training.programs import program
from llmcalc.training.run import Run
from llmcalc.training.schedule import TrainingCoefficients
from llmcalc.training.step import TrainingLayout
from llmcalc.training.training_time import TrainingTime

FOLDER = Path(__file__).resolve().parent / "data"
MPT = {
    "125m": (768, 12, 12), "350m": (1024, 16, 24), "760m": (1536, 12, 24), "1b": (2048, 16, 24), "3b": (2560, 20, 32),
    "7b": (4096, 32, 32), "13b": (5120, 40, 40), "30b": (7168, 56, 48), "70b": (8192, 64, 80),
}  # fmt: skip
GPT = {"22b": (6144, 64, 48), "175b": (12288, 96, 96), "530b": (20480, 128, 105), "1t": (25600, 160, 128)}
PROGRAMS = {
    "mpt": "llm-foundry", "korthikanti": "megatron-lm-2022", "simumax": "megatron-core", "torchtitan": "torchtitan",
    "automodel": "automodel", "megatron_bridge": "megatron-bridge",
}  # fmt: skip
FEWER = {"deepseekv2": "deepseek-v2-236b", "deepseekv3": "deepseek-v3-671b", "llama3-405b": "llama3.1-405b"}


@cache
def model(name: str) -> llmcalc.Architecture:
    """Return the model of a row: a preset, or one with other sizes."""
    family, _, size = name.partition("-")
    if size in (known := {"mpt": MPT, "gpt": GPT}.get(family, {})):
        d_model, n_heads, n_layers = known[size]
        sizes = [f"d_model={d_model}", f"n_heads={n_heads}", f"n_layers={n_layers}"]
        return llmcalc.load("mpt-7b" if family == "mpt" else "gpt3-175b", overrides=sizes)
    if name.endswith(" layers"):
        base, layers, _ = name.rsplit(maxsplit=2)
        return llmcalc.load(FEWER.get(base, base), overrides=[f"n_layers={layers}"])
    return llmcalc.load(name)


def read(source: str) -> list[dict[str, str]]:
    """Return the rows of a source."""
    return list(csv.DictReader((FOLDER / f"training_steps_{source}.csv").read_text("utf-8").splitlines()[1:]))


def layout_of(row: Mapping[str, str]) -> TrainingLayout:
    """Return the layout of a row."""
    tp, pp, cp, ep, micro, batch = (int(row[name]) for name in ("tp", "pp", "cp", "ep", "micro_batch", "batch"))
    dp = int(row["gpus"]) // (tp * pp * cp)
    mesh = llmcalc.Mesh(
        dp=dp, tp=tp, pp=pp, cp=cp, ep=ep, etp=1 if ep > 1 else None, sp=tp > 1, zero=int(row["zero"]),
        vocabulary_multiple=1, micro_batches=max(batch // (dp * micro), 1), virtual_stages=int(row["virtual_stages"]),
    )  # fmt: skip
    return TrainingLayout(mesh, micro, row["recompute"])


def estimated(source: str, row: Mapping[str, str], coefficients: TrainingCoefficients) -> TrainingTime:
    """Return the time of the step of a row of a source. The factors of its program are not used."""
    gpus, kind = read_gpus(row["gpu"]), {"mxfp8": "fp8", "nvfp4": "fp4"}.get(row["precision"], row["precision"])
    assert gpus.accelerator is not None
    machine = Machine(gpus.accelerator, int(row["gpus"]), kind, Span(1, 1, 1), AS_GIVEN)
    seq, tokens = int(row["seq"]), int(row["batch"]) * int(row["seq"])
    own = changed(program(PROGRAMS[source]), factor=1.0, factors={})
    stored = STORED if source == "korthikanti" else FLASH
    run = Run(
        model(row["model"]), tokens, seq, batch_tokens=tokens, machine=machine, program=own, attention=stored,
        is_compiled=source == "torchtitan",
    )  # fmt: skip
    found = training_time(run, layout_of(row), coefficients)
    assert found is not None
    return found


def steps(source: str) -> Callable[[], Iterator[Row]]:
    """Return a function that yields the measured and estimated throughput of a source."""

    def rows() -> Iterator[Row]:
        """Layouts, micro-batches and recomputation are those of the source. All experts receive equally many tokens."""
        left_out = TrainingCoefficients(**table("training_time")["left_out"][source])
        for row in read(source):
            sizes = " ".join(f"{name} {row[name]}" for name in ("tp", "pp", "cp", "ep") if row[name] != "1")
            again = "" if row["recompute"] == "none" else f", {row['recompute']} recomputation"
            case = (
                f"{row['model']} in {row['precision']} on {row['gpus']} {row['gpu']}, seq {row['seq']}, "
                f"micro-batch {row['micro_batch']}, batch {row['batch']}{', ' if sizes else ''}{sizes}{again}"
            )
            yield Row(case, float(row["tokens_per_s"]), estimated(source, row, left_out).tokens_per_second, "tokens/s")

    return rows


def section(source: str, remark: str) -> Section:
    """Return a table of the throughput per GPU. The coefficients are fitted without the program of the source."""
    return Section(f"training_steps_{source}.csv", steps(source), remark, "train", "step_time", "")


SOURCES = ("mpt", "korthikanti", "simumax", "torchtitan", "automodel", "megatron_bridge")
SECTIONS = {
    "Training steps of llm-foundry": section(
        "mpt",
        "The runs of 2023 use FlashAttention-1, which is slower on H100 than the measured kernels.",
    ),
    "Training steps of Megatron-LM in 2022": section("korthikanti", "These runs store the attention scores."),
    "Training steps of Megatron-LM, models with fewer layers": section(
        "simumax", "The rates of the measured kernels are those of brief measurements."
    ),
    "Training steps of torchtitan": section(
        "torchtitan",
        "The H100s of this source have a power limit of 500 W instead of 700 W and a memory bandwidth of 2.4 TB/s "
        "instead of 3.35 TB/s. Ring attention leaves the visible pairs of a causal mask unequally divided.",
    ),
    "Training steps of NeMo AutoModel": section(
        "automodel", "The exchange of tokens overlaps in part with the computation."
    ),
    "Training steps of Megatron Bridge": section(
        "megatron_bridge",
        "These runs overlap the collectives of tensor parallelism with the computation. Later releases are up to 1.5 "
        "times as fast as earlier ones on the same layout.",
    ),
}
