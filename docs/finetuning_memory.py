"""Published longest contexts and peaks of LoRA and QLoRA, and their predictions, for ``docs/accuracy.py``."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measurements import Row, Section

import llmcalc
from llmcalc import Mesh

GIB, GB = 2**30, 10**9
TORCHTUNE_TARGETS = ["q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
QUANTISED = {"qlora": {"weights": "nf4-double"}, "lora": {}}


def read(name: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a data file, after its line with the source."""
    with (Path(__file__).parent / "data" / name).open(encoding="utf-8") as file:
        next(file)
        yield from csv.DictReader(file)


def contexts() -> Iterator[Row]:
    """Longest contexts on one GPU. Rows in which no context fits have no number and are not listed."""
    settings: dict[str, Any] = {
        "lora_rank": 32, "weights": "nf4-double", "optimizer": "adam-8bit", "recompute": "full", "loss": "shifted",
        "mesh": Mesh(micro_batches=4),
    }  # fmt: skip
    for row in read("finetuning_contexts.csv"):
        if row["context"] != "oom":
            size = f"{row['gpu_gb']}GiB"
            found = llmcalc.fit(row["model"], size, mode="training", solve="seq", **settings).solution
            yield Row(f"{row['model']}, {size}", int(row["context"]), found.value or 0, "tokens")


def peak(model: str, **settings: Any) -> int:
    """Return the peak of a step with full recomputation in bytes."""
    return int(llmcalc.memory(model, mode="training", recompute="full", **settings).peak)


def fms() -> Iterator[Row]:
    """Runs out of memory have no peak and are not listed."""
    for row in read("finetuning_peaks_fms.csv"):
        if row["peak_bytes"]:
            gpus, is_plain = int(row["gpus"]), row["framework"] == "accelerated-peft-bnb"
            settings: dict[str, Any] = {} if row["framework"] == "lora" else {"weights": "nf4-double"}
            settings |= {"mesh": Mesh(dp=2, zero=3)} if gpus > 1 else {"master": not is_plain}
            targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
            found = peak(
                row["model"],
                batch=int(row["batch"]),
                seq=4096,
                lora_rank=16,
                lora_targets=targets,
                loss="shifted",
                **settings,
            )
            case = f"{row['model']}, {row['framework']}, {gpus} × batch {row['batch']}"
            yield Row(case, int(row["peak_bytes"]) / GB, found / GB, "GB")


def answerai() -> Iterator[Row]:
    """Measured values include memory that the allocator reserves. The predictions do not."""
    for row in read("finetuning_peaks_answerai.csv"):
        is_offloaded = row["offload"] == "yes"
        found = peak(
            row["model"], batch=int(row["batch"]), seq=int(row["seq"]), lora_rank=64,
            weights="nf4" if row["method"] == "qlora" else None, offload="weights" if is_offloaded else None,
            loss="shifted", mesh=Mesh(dp=2, zero=0 if row["ddp"] == "yes" else 3),
        )  # fmt: skip
        words = [row["method"], "DDP" if row["ddp"] == "yes" else "FSDP", "offload" if is_offloaded else ""]
        case = f"{row['model']}, {' '.join(filter(None, words))}, batch {row['batch']}, {row['seq']} tokens"
        yield Row(case, float(row["peak_gib"]), found / GIB, "GiB")


def torchtune() -> Iterator[Row]:
    """Torchtune keeps everything in bf16 and computes logits in chunks."""
    for row in read("finetuning_peaks_torchtune.csv"):
        gpus = int(row["gpus"])
        found = peak(
            row["model"], batch=int(row["batch"]), seq=int(row["seq"]), lora_rank=int(row["rank"]), master=False,
            lora_targets=TORCHTUNE_TARGETS, loss="chunked", **QUANTISED[row["method"]],
            offload_activations=row["offload"] == "yes",
            mesh=Mesh(dp=gpus, zero=3) if gpus > 1 else None,
        )  # fmt: skip
        yield Row(f"{row['model']}, {row['method']}, {gpus} GPUs", float(row["peak_gib"]), found / GIB, "GiB")


def peft() -> Iterator[Row]:
    """Llama-2-70B on two GPUs. The text does not say which tool shows the memory."""
    for row in read("finetuning_peaks_peft.csv"):
        offload = "weights" if row["offload"] == "yes" else None
        found = peak(
            row["model"],
            batch=2,
            seq=2048,
            lora_rank=8,
            weights="nf4-double",
            mesh=Mesh(dp=2, zero=3),
            offload=offload,
            loss="shifted",
        )
        case = f"{row['model']}, {row['engine']}{', offload' if offload else ''}"
        yield Row(case, float(row["peak_gb"]), found / GB, "GB")


SECTIONS: dict[str, Section] = {
    "QLoRA in transformers, longest contexts": Section(
        "finetuning_contexts.csv",
        contexts,
        "The predictions are those of `fit --training --lora-rank 32 --weights nf4-double --optimizer adam-8bit "
        "--recompute full --cross-entropy shifted --micro-batches 4 --solve seq`: Unsloth's page about these runs "
        "states 4 gradient accumulation steps, between which gradients stay in memory. "
        "Of the two rows in which no context fits, `fit` finds none for Llama-3.1-8B on "
        "8 GB, and 6 tokens for Llama-3.3-70B on 48 GB. The allocator's part was chosen with this table at hand.",
        in_fit=True,
    ),
    "LoRA and QLoRA in transformers 4.48, allocated peaks": Section(
        "finetuning_peaks_fms.csv",
        fms,
        "On one GPU, TRL prepares the model of `baseline-peft-bnb` with PEFT, which makes norms and the residual "
        "stream fp32, and casts embeddings and head back to bf16; `accelerated-peft-bnb` leaves all in bf16 "
        "(`--no-master`). "
        "With FSDP, Llama-2-70B needs as much as a residual stream in fp32 needs, but Mistral-7B less. The loss is "
        "that of transformers before 4.49 (`--cross-entropy shifted`). "
        "The allocator's part, and the residual stream with FSDP, were chosen by this table.",
        in_fit=True,
    ),
    "LoRA and QLoRA with FSDP, reserved peaks": Section(
        "finetuning_peaks_answerai.csv",
        answerai,
        "The measurements include what the allocator reserves. With offload, weights, gradients and optimizer states "
        "are in host memory (`--cpu-offload weights`). The format of the residual stream with FSDP was chosen by this "
        "table.",
        in_fit=True,
    ),
    "LoRA and QLoRA in torchtune": Section(
        "finetuning_peaks_torchtune.csv",
        torchtune,
        "The table does not state the settings of its rows. The second row of the 8B model appears to be without "
        "recomputation, and the 405B model's recipe has batch 1.",
    ),
    "QLoRA of Llama-2-70B on two GPUs, in PEFT's documentation": Section(
        "finetuning_peaks_peft.csv", peft, "The text gives one number for each run and no method of measurement."
    ),
}
