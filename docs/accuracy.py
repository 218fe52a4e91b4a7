"""Compare predictions with published measurements, in llmcalc/data/evidence.yaml and docs/accuracy.md.

    python docs/accuracy.py          rewrite the data file and the page
    python docs/accuracy.py --check  exit with 1 if one of them is out of date

``llmcalc evidence`` shows the same data. The measurements are in docs/data/, and the first line of each file gives the
source. benchmarks.yaml, times.yaml and doors.yaml in docs/data/ have the last figures of the scripts in benchmarks/.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from accuracy_page import page
from engine_accuracy import sections as refitted_sections
from engine_errors import SECTIONS as ENGINE_SECTIONS
from finetuning_memory import SECTIONS as FINETUNING_SECTIONS
from gguf_sizes import SECTIONS as FILE_SECTIONS
from host_errors import SECTIONS as HOST_SECTIONS
from hybrid_errors import SECTIONS as HYBRID_SECTIONS
from latency_errors import SECTIONS as LATENCY_SECTIONS
from layout_order import SECTIONS as LAYOUT_SECTIONS
from measurements import Row, Section
from optimal_sizes import SECTIONS as SIZES_SECTIONS
from phase_errors import SECTIONS as PHASE_SECTIONS
from serving_errors import SECTIONS as SERVING_SECTIONS
from speculation_errors import SECTIONS as SPECULATION_SECTIONS
from training_hours import SECTIONS as HOURS_SECTIONS
from training_steps import SECTIONS as STEP_SECTIONS

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.fitting.check import allocator_part

FOLDER = Path(__file__).resolve().parent
PAGE, DATA = FOLDER / "accuracy.md", Path(llmcalc.__file__).parent / "data" / "evidence.yaml"
GIB, GB = 2**30, 10**9

SIMUMAX = {
    "deepseekv2": ("deepseek-v2", "n_dense_layers=1"),
    "deepseekv3": ("deepseek-v3", "n_dense_layers=1"),
    "llama3-70b": ("llama3-70b",),
    "llama3-405b": ("llama3.1-405b",),
}
# derived from the parameter counts per module that the source prints; 16 heads of size 128
MIXTRAL = ("n_layers=4", "d_model=2048", "n_heads=16", "n_kv_heads=8", "d_ff=5440", "vocab=32000")
# tools/get_training_info/get_training_info.py and its README in pull request 482
MEGATRON_GPT = {
    "name": "megatron-gpt",
    "base": "gpt3",
    "default": "7b",
    "sizes": {"7b": {"n_layers": 32, "d_model": 4096, "n_heads": 32}},
    "variables": {"d_ff": 10880},
    "architecture": {
        "stacks": {
            "decoder": {
                "blocks": {
                    "block": {"mlp": {"mlp": {"gated": True, "d_ff": "$d_ff", "activation": "silu", "bias": True}}}
                }
            }
        }
    },
}
GPT2_VOCABULARY = 50257
MEGATRON_MULTIPLE = 128  # --make-vocab-size-divisible-by
NODE = 8  # GPUs
DIVISIBLE_LAYERS = 128


def read(name: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a data file."""
    lines = (FOLDER / "data" / name).read_text("utf-8").splitlines()
    yield from csv.DictReader(lines[1:])


def padded(rows: int, multiple: int) -> int:
    """Round the number of rows up to a multiple."""
    return -(-rows // multiple) * multiple


def source(name: str) -> str:
    """Return the source given in the first line of a data file."""
    return (FOLDER / "data" / name).read_text("utf-8").splitlines()[0].removeprefix("# ")


def simumax() -> Iterator[Row]:
    """The predictions assume gradients in a single fp32 buffer with placeholder gradients, a distributed optimizer,
    sequence parallelism whenever tensor parallelism is used, and the loss and the fused activation of Megatron-Core.
    """
    for row in read("simumax_b200.csv"):
        preset, *changes = SIMUMAX[row["model"]]
        sizes = {name: int(row[name]) for name in ("tp", "pp", "ep", "cp", "dp", "seq", "micro_batch", "micro_batches")}
        model = llmcalc.load(preset, overrides=(f"n_layers={row['layers']}", *changes))
        mesh = Mesh(
            dp=sizes["dp"],
            tp=sizes["tp"],
            pp=sizes["pp"],
            ep=sizes["ep"],
            cp=sizes["cp"],
            sp=sizes["tp"] > 1,
            zero=1,
            micro_batches=sizes["micro_batches"],
        )
        memory = llmcalc.memory(
            model,
            mode="training",
            batch=sizes["micro_batch"],
            seq=sizes["seq"],
            loss="parallel",
            fused_activation=True,
            gradients="fp32",
            gradient_buffer=True,
            gradient_placeholders=True,
            mesh=mesh,
        )
        shown = " ".join(f"{name} {row[name]}" for name in ("tp", "pp", "ep", "cp", "dp") if row[name] != "1")
        case = f"{row['model']}, {row['layers']} layers, seq {row['seq']}, {shown}"
        yield Row(case, float(row["allocated_gib"]), memory.peak / GIB, "GiB")


def megatron() -> Iterator[Row]:
    """The source uses FlashAttention, SwiGLU, bf16 and a distributed optimizer, and supports neither sequence
    parallelism nor recomputation. Its example has 32 layers, sequences of 2,048 tokens, learned positions, and GPT-2's
    vocabulary padded to a multiple of 128·tp. Its script uses biases and an FFN width of 10,880. Dropout is enabled by
    default.
    """
    for row in read("megatron_pr482.csv"):
        tensor = int(row["tp"])
        mesh = Mesh(dp=int(row["dp"]), pp=int(row["pp"]), tp=tensor, zero=1)
        memory = llmcalc.memory(
            llmcalc.load(MEGATRON_GPT, overrides=(f"vocab={padded(GPT2_VOCABULARY, MEGATRON_MULTIPLE * tensor)}",)),
            mode="training",
            batch=int(row["micro_batch"]),
            seq=2048,
            dropout=True,
            gradients="fp32",
            gradient_buffer=True,
            mesh=mesh,
        )
        case = f"micro-batch {row['micro_batch']}, dp {row['dp']} pp {row['pp']} tp {row['tp']}"
        yield Row(case, float(row["peak_gib"]), memory.peak / GIB, "GiB")


def mbridge() -> Iterator[Row]:
    """The settings are inferred from the source, which reports 7.5 bytes per parameter. This value implies a
    distributed optimizer across 8 ranks. Every rank stores all experts. Sequence parallelism is enabled because
    Megatron-Core requires it for experts. The table compares model states (weights, gradients, optimizer), saved
    activations, and the sum of the two.
    """
    model = llmcalc.load("mixtral-8x7b", overrides=MIXTRAL)
    for row in read("mbridge_mixtral.csv"):
        tensor = int(row["tp"])
        mesh = Mesh(dp=NODE // tensor, tp=tensor, sp=tensor > 1, zero=1)
        memory = llmcalc.memory(
            model,
            mode="training",
            batch=int(row["micro_batch"]),
            seq=int(row["seq"]),
            gradients="fp32",
            gradient_buffer=True,
            mesh=mesh,
        )
        states, case = (
            memory.weights + memory.gradients + memory.optimizer,
            f"tp {tensor}, micro-batch {row['micro_batch']}",
        )
        yield Row(f"{case}: model", float(row["model_gib"]), states / GIB, "GiB", "weights gradients optimizer")
        yield Row(f"{case}: activations", float(row["activations_gib"]), memory.activations / GIB, "GiB", "activations")
        together = float(row["real_gib"]), (states + memory.activations) / GIB
        yield Row(f"{case}: together", *together, "GiB", "weights gradients optimizer activations")


def torchtitan(file: str, checkpointing: str, recompute: str, loss: str = "eager") -> Iterator[Row]:
    """Predict the torchtitan runs with one kind of checkpointing, using the recomputation policy ``recompute``."""
    names = ("dp", "tp", "pp", "cp", "chunks", "seq", "local_batch")
    for row in read(file):
        if row["checkpointing"] != checkpointing:
            continue
        data, tensor, stages, context, chunks, seq, batch = (int(row[name]) for name in names)
        model = llmcalc.load(row["model"], overrides=[f"n_layers={DIVISIBLE_LAYERS}"] if stages > 1 else [])
        batches = max(batch // (stages * chunks), 1) if stages > 1 else batch
        mesh = Mesh(
            dp=data,
            tp=tensor,
            pp=stages,
            cp=context,
            sp=tensor > 1,
            zero=3,
            virtual_stages=chunks,
            micro_batches=batch // batches if stages > 1 else None,
            vocabulary_multiple=1,
        )
        memory = llmcalc.memory(
            model, mode="training", batch=batches, seq=seq, gradients="fp32", recompute=recompute, loss=loss, mesh=mesh
        )
        sizes = " ".join(f"{name} {row[name]}" for name in ("dp", "tp", "pp", "cp") if row[name] != "1")
        case = f"{row['model']}, {row['technique']}, seq {seq}, {sizes}"
        reserved = memory.peak + allocator_part(memory.worst)
        yield Row(case, float(row["reserved_gib"]), reserved / GIB, "GiB")


def checkpointed() -> Iterator[Row]:
    """Gradients are reduced in fp32. In a pipeline, the number of micro-batches equals the number of stages, or twice
    that number if two virtual stages are interleaved. The 405B model has 128 layers instead of 126 so that the
    layers divide evenly across 8 stages.
    """
    yield from torchtitan("torchtitan_h100.csv", "full", "full")


def checkpointed_by_operation() -> Iterator[Row]:
    """The results of attention and of every other product are saved, which is the recomputation op. Gradients are
    reduced in fp32.
    """
    yield from torchtitan("torchtitan_h100.csv", "per-op", "op")


def compiled() -> Iterator[Row]:
    """The recomputation is op, gradients are reduced in fp32, and the compiled loss stores no logits in fp32."""
    yield from torchtitan("torchtitan_h200.csv", "per-op", "op", "fused")


def adapters() -> Iterator[Row]:
    """The table compares the memory that weights, adapters and optimizer states occupy between steps."""
    for row in read("fms_lora_a100.csv"):
        settings = {"weights": "nf4-double", "lora_rank": 16, "master": False}
        memory = llmcalc.memory(llmcalc.load(row["model"]), mode="training", seq=64, **settings)
        predicted = memory.weights + memory.optimizer
        yield Row(f"{row['model']}, {row['method']}", int(row["allocated_bytes"]) / GB, predicted / GB, "GB")


RESERVED = (
    "The measurements are of reserved memory, so the predictions include what PyTorch's allocator holds: an eighth of "
    "the bytes that come and go, which other tables decided (`allocator_part` in llmcalc/fitting/check.py). "
)
SECTIONS: dict[str, Section] = {
    "Megatron-LM on B200, models with fewer layers": Section(
        "simumax_b200.csv",
        simumax,
        "Transformer Engine adds weight gradients to Megatron-LM's buffer itself, and keeps a placeholder gradient for "
        "each weight shape, which it returns to autograd (`get_dummy_wgrad` in transformer_engine/pytorch/module/"
        "base.py). Together, the placeholders take about as much memory as one layer's weights in bf16: 6 GiB divided "
        "by tp for the 405B model. Communication buffers and temporary tensors of the output layer are not modelled.",
    ),
    "Megatron-LM, a GPT model the size of Llama-2-7B": Section(
        "megatron_pr482.csv",
        megatron,
        "The source doesn't state the settings for its table, but they appear to be those of its example. With these "
        "settings, the formula in the source's script gives 69.0, 55.5, 49.5 and 28.6, and the estimates in the table "
        "are 68.8, 55.5, 49.5 and 28.6. With 4,096 tokens, or with Llama's vocabulary or FFN width, the formula gives "
        "different values. A reviewer quotes the measurement in the first row for pp 2 on two nodes. This is "
        "presumably an error, because a configuration with more ranks than the third row can't need more memory.",
    ),
    "Megatron-Core, Mixtral with fewer and narrower layers": Section(
        "mbridge_mixtral.csv",
        mbridge,
        "The source gives values to one decimal place. It also reports the maximum memory allocated by torch, which "
        "ranges from 7.6 to 13.8 GiB. For the smaller micro-batch, this maximum exceeds the sum of states and "
        "activations and doesn't match any point in the modelled step.",
    ),
    "torchtitan, Llama 3.1 on H100": Section(
        "torchtitan_h100.csv",
        checkpointed,
        f"{RESERVED}The predictions exclude copies for collectives, Float8 casts, and copies of logits when several "
        "ranks share the loss computation. Gathered weights and unsharded "
        "gradients, which stay in memory in a pipeline, account for half of the 405B model's memory.",
    ),
    "torchtitan, selective checkpointing per operation": Section(
        "torchtitan_h100.csv",
        checkpointed_by_operation,
        f"{RESERVED}The predictions are those of eager code, also of the loss. Without what the allocator holds, the "
        "median error is 9.2 %.",
    ),
    "torchtitan, selective checkpointing per operation and a compiled loss": Section(
        "torchtitan_h200.csv",
        compiled,
        f"{RESERVED}The compiler of torch 2.8 computes the loss from the logits in 16 bits (`--cross-entropy fused`). "
        "That of the runs on H100, half a year earlier, stored them in fp32.",
    ),
    "QLoRA, Mixtral-8x7B on one A100": Section(
        "fms_lora_a100.csv",
        adapters,
        "The plugin that loads the model sets `bnb_4bit_use_double_quant`, which stores the scales of NF4 in 8 bits.",
        value="weights optimizer",
    ),
    **FINETUNING_SECTIONS,
    **ENGINE_SECTIONS,
    **HYBRID_SECTIONS,
    **FILE_SECTIONS,
    **refitted_sections(),
    **HOURS_SECTIONS,
    **STEP_SECTIONS,
    **LAYOUT_SECTIONS,
    **LATENCY_SECTIONS,
    **HOST_SECTIONS,
    **SIZES_SECTIONS,
    **SPECULATION_SECTIONS,
    **PHASE_SECTIONS,
    **SERVING_SECTIONS,
}


def tables() -> dict[str, dict[str, Any]]:
    """Return all tables with their measurements and predictions, by title."""
    found: dict[str, dict[str, Any]] = {}
    for title, section in SECTIONS.items():
        rows = list(section.rows())
        found[title] = {
            "quantity": section.quantity, "value": section.value, "mode": section.mode, "in_fit": section.in_fit,
            "bounds": section.bounds, "source": source(section.file),
            "settings": " ".join((section.rows.__doc__ or "").split()), "remark": section.remark, "unit": rows[0].unit,
            "rows": [_plain(row) for row in rows],
        }  # fmt: skip
    for name, entry in yaml.safe_load((FOLDER / "data" / "benchmarks.yaml").read_text("utf-8")).items():
        script = f"benchmarks/{name}.py"
        found[script] = {"mode": "", "in_fit": False, "source": f"llmcalc, {script}", **entry}
    return found


def _plain(row: Row) -> list[Any]:
    figures = [float(f"{value:.5g}") for value in (row.measured, row.predicted)]
    return [row.case, *figures, *([row.value] if row.value else [])]


def data_text(found: dict[str, dict[str, Any]]) -> str:
    """Return the text of the data file."""
    text = yaml.safe_dump(found, width=10**6, allow_unicode=True, sort_keys=False, default_flow_style=None)
    return f"# Written by docs/accuracy.py. rows: case, measured, predicted, attributes if not `value`.\n{text}"


def times(of: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the errors of estimated times of requests, and of decode steps on consumer GPUs."""
    own, batches = of["requests"], of["batches"]
    rows = {row[0]: row[1:] for row in own["rows"]}
    left_out, models = rows["accelerator left out"], rows["model left out"]
    errors = (f"with each {what} left out: median {each[2]} %" for each, what in ((left_out, "GPU"), (models, "model")))
    clean = next(row for row in batches["rows"] if "clean" in row[0])
    return {
        batches["title"]: {
            "quantity": "latency", "value": "seconds", "mode": "", "source": "Users of llama.cpp",
            "compared": "Decode steps that users measured, each GPU left out of the fit", "cases": clean[1],
            "deviation": f"with each GPU left out: median {clean[3]} %",
        },
        own["title"]: {
            "quantity": "serve", "value": "tpot_s", "mode": "requests",
            "source": "Public measurements (vLLM, TensorRT-LLM and SGLang under load)",
            "compared": "Public measurements of serving engines, each left out of the fit", "cases": left_out[0],
            "deviation": "; ".join(errors),
        }
    }  # fmt: skip


if __name__ == "__main__":
    found = tables()
    estimated = yaml.safe_load((FOLDER / "data" / "times.yaml").read_text("utf-8"))
    doors = yaml.safe_load((FOLDER / "data" / "doors.yaml").read_text("utf-8"))
    texts = {DATA: data_text({**found, **times(estimated)}), PAGE: page(found, estimated, doors)}
    if "--check" in sys.argv[1:]:
        old = [file.name for file, text in texts.items() if not file.is_file() or file.read_text("utf-8") != text]
        sys.exit(f"out of date: {', '.join(old)}; run python docs/accuracy.py" if old else 0)
    for file, text in texts.items():
        file.write_text(text, "utf-8")
