"""Models, GPUs and number formats that the page offers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ..api.load import load
from ..calc.memory.fit import read_size
from ..core.errors import InputError
from ..data import table, tables
from ..estimate.hardware import Accelerator
from ..fitting.formats import FORMATS, weight_bits
from ..inputs.defaults import RESERVE
from ..inputs.gpus import accelerator, accelerators
from ..inputs.number_formats import aliases_of, number_format, weight_formats
from ..report.preset_summaries import summary
from ..report.search import search
from ..schema.preset_files import files_in, shipped_folder
from .answers.case import titled

FIGURES = (
    "name", "title", "year", "generation", "memory_bytes", "usable_bytes", "node", "bandwidth", "peak", "checked",
)  # fmt: skip
USUAL_MODEL = "llama3.1-8b"  # for the bits of file types, as in llama-quantize
COMMON = (
    "h100-sxm", "h200", "b200-180gb", "b300", "a100-sxm-80gb", "l40s", "l4", "rtx-5090", "rtx-4090", "rtx-3090",
    "rtx-pro-6000", "mi300x", "m4-max-40c-128gb",
)  # fmt: skip  # GPUs that the list begins with


def catalogue() -> dict[str, Any]:
    """Return the models, the GPUs with the figures that the page shows, and the common weight formats."""
    return {
        "models": list(_models()),
        "gpus": list(map(_gpu, accelerators().values())),
        "common": COMMON,
        "gpu_aliases": dict(_gpu_aliases()),
        "reserve": read_size(RESERVE, "reserve"),
        "formats": list(map(_format, FORMATS)),
    }


def _gpu(one: Accelerator) -> dict[str, Any]:
    """Return the figures of a GPU. The prices are those on demand, from the lowest to the highest."""
    offers = sorted(offer for offer in one.offers if offer.kind == "on demand")
    figures = {name: getattr(one, name) for name in FIGURES}
    return {**figures, "link": one.link[1], "offers": [[offer.usd, offer.seller, offer.date] for offer in offers]}


def _format(name: str) -> dict[str, Any]:
    """Return the bits of a weight, whether llama.cpp runs the format, and the GPU generations that it needs.

    A file type of llama.cpp stores tensors in several formats, so its bits are the average over a usual model.
    """
    entry, is_mixture = tables("formats").get(name, {}), name in table("mixtures")
    main = weight_formats(name, number_format("bf16")).main.bits_per_weight
    return {
        "name": name,
        "bits": round(weight_bits(load(USUAL_MODEL), name, "bf16").average if is_mixture else main, 1),
        "is_llama_cpp": is_mixture,
        "generations": entry.get("generations", []),
    }


def name_table() -> dict[str, dict[str, str]]:
    """Return the model and the GPU that usual names mean, in lower case. The page asks Python for any other name."""
    repositories = {name.lower(): load(name).name for name in table("repositories").values()}
    models = {name.lower(): each["name"] for each in _models() for name in (each["name"], *each["aliases"])}
    return {"model": repositories | models, "gpu": {each: each for each in accelerators()} | dict(_gpu_aliases())}


def _models() -> Iterator[dict[str, Any]]:
    """Yield the models of all shipped presets, ordered by preset. The first alias of a default size is its family."""
    for stem, file in sorted(files_in(shipped_folder()).items()):
        preset = summary(stem, file)
        for model in search((), [preset]):
            is_default = model.name == f"{stem}-{preset['default']}"
            yield {
                "name": model.name, "title": titled(load(model.name)), "family": model.family, "year": model.year,
                "kind": model.kind, "aliases": [*([stem] if is_default else []), *model.aliases],
            }  # fmt: skip


def _gpu_aliases() -> Iterator[tuple[str, str]]:
    """Yield the other names of GPUs that are unambiguous."""
    for key, entry in tables("hardware").items():
        for alias in aliases_of({key: entry}):
            with suppress(InputError):
                name = accelerator(alias).name
                if name != alias:
                    yield alias, name
