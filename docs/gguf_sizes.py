"""Sizes of published GGUF files, and the sizes of their tensors in ``serve``."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from measurements import Row, Section

import llmcalc
from llmcalc.engines.llama_cpp_weights import placed_tensors
from llmcalc.fitting.memory import serving_weights
from llmcalc.inputs.gguf_names import gguf_name

FILE = "gguf_sizes.csv"
GB = 10**9


def sizes() -> Iterator[Row]:
    """The predictions use the architecture of the preset and the file type that the name states."""
    path = Path(__file__).resolve().parent / "data" / FILE
    for row in csv.DictReader(path.read_text("utf-8").splitlines()[1:]):
        model, name = llmcalc.load(row["model"]), gguf_name(f"{row['repository']}:{row['weights']}")
        formats = serving_weights(model, name.weights(model), "bf16", (), ())
        predicted = sum(tensor.bytes for tensor in placed_tensors(model, formats))
        yield Row(f"{row['repository']}:{row['weights']}", int(row["bytes"]) / GB, predicted / GB, "GB")


SECTIONS = {
    "GGUF files": Section(
        FILE,
        sizes,
        "Dynamic mixtures (UD) differ by model and are not published as rules: they are counted as the file type with "
        "the nearest sizes, and notes state the deviations in this table. The other types are exact up to metadata, "
        "with these exceptions: files of GLM-4.6 and Qwen3.8 contain a layer for multi-token prediction, which is not "
        "counted, newer files of large mixtures of experts follow other rules, such as fewer bits of down-projections "
        "in Q3_K_L, and IQ4_XS of dense models is 1 % smaller.",
        "serve",
        "weights",
        "",
    ),
}
