"""The files with the closed forms of all presets, which a wheel contains and a checkout compiles once.

Each file describes one quantity of all models, because this takes fewer bytes than one file per model:

- ``first.json.gz``: parameters
- ``flops.json.gz``: FLOPs of matrix products and of other operations, in a prefill and in a decode step
- ``memory.json.gz``: weights, state and activations on one GPU
- ``catalogue.json.gz``: models, GPUs and number formats
- ``names.json.gz``: what names of models and GPUs mean
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..schema.preset_files import files_in, read_preset, shipped_folder
from .bundle import packed
from .cache import Files, cache_folder, cached, read_folder

if TYPE_CHECKING:
    from ..core.architecture import Architecture
    from .forms import ModelForms

Note = Callable[[str], None]
SOURCES = ("forms.py", "form_files.py", "catalogue.py")
WITHOUT_EFFECT = (
    "llmcalc/web/", "llmcalc/cli/", "llmcalc/lint/", "llmcalc/importers/", "llmcalc/zoo/", "llmcalc/kernels/",
    "llmcalc/serving/", "llmcalc/training/", "llmcalc/search/",
    "llmcalc/estimate/scaling/", "llmcalc/data/engines/", "llmcalc/data/efficiency/", "llmcalc/data/training_files/",
    "yaml/",
)  # fmt: skip
FOLDER = "forms"  # of the page
SHIPPED = "compiled_forms"  # folder beside this module in a wheel
NOTE = "compiling the closed forms of all presets, which takes some seconds ..."
INPUTS = {
    "prefill": "b=batch;q=seq;k=seq;c=0;s=seq;n=seq;",
    "decode": "b=batch;q=1;k=seq+1;c=seq;s=seq;n=0;",
}
TOTALS = {"peak": "weights+state+activations", "needed": "weights+state+activations-host"}


def form_files(package: Mapping[str, str], note: Note) -> Files:
    """Return the files by path in the page: those of the wheel, or those that the texts of ``package`` decide.

    ``note`` is called before they are compiled.
    """

    def compiled() -> Files:
        note(NOTE)
        return compile_files()

    shipped = Path(__file__).with_name(SHIPPED)
    found = read_folder(shipped) if shipped.is_dir() else cached(cache_folder() / f"forms-{_key(package)}", compiled)
    return {f"{FOLDER}/{name}": content for name, content in found.items()}


def _key(package: Mapping[str, str]) -> str:
    sources = [Path(__file__).with_name(name).read_text("utf-8") for name in SOURCES]
    sources += [text for name, text in sorted(package.items()) if not name.startswith(WITHOUT_EFFECT)]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def compile_files() -> Files:
    """Return the compressed files of all shipped presets by name. All processors compile."""
    from .catalogue import catalogue, name_table

    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=gc.disable) as pool:
        rows = [row for found in pool.map(_forms_of_family, sorted(files_in(shipped_folder()))) for row in found]
    found = contents(rows) | {"catalogue": catalogue(), "names": name_table()}
    return {f"{name}.json.gz": packed(content) for name, content in found.items()}


def _forms_of_family(family: str) -> list[ModelForms]:
    from .forms import forms_of

    return list(map(forms_of, shipped_models(family)))


def shipped_models(*families: str) -> Iterator[Architecture]:
    """Yield the models of the presets in the package, or only of some presets."""
    from ..schema.preset import load_file

    for family, file in sorted(files_in(shipped_folder()).items()):
        if not families or family in families:
            for size in read_preset(file).get("sizes") or [None]:
                yield load_file(file, None if size is None else str(size))


def contents(rows: Iterable[ModelForms]) -> dict[str, Any]:
    """Return the contents of the files, as columns of all models because equal texts should stand near each other.

    Models have the same order in each file.
    """
    from .forms import CACHES, STEPS, WEIGHTS, MemoryForms

    names, total, active, matmul, other, memory = (list(column) for column in zip(*rows, strict=True))
    matmul, other, memory = (list(zip(*column, strict=True)) for column in (matmul, other, memory))
    own = dict(zip(MemoryForms._fields, memory, strict=True))
    return {
        "first": {"models": names, "total": total, "active": active},
        "flops": {"inputs": INPUTS, "matmul": matmul, "other": other},
        "memory": {"formats": WEIGHTS, "steps": STEPS, "caches": CACHES, "totals": TOTALS, **own},
    }
