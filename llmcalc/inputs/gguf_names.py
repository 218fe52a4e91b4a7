"""Names of GGUF files and their repositories, which name a model and usually the format of its weights."""

from __future__ import annotations

import re

from ..core.architecture import Architecture
from ..core.record import NamedTuple
from ..data import table, tables
from .number_formats import mixture_name

USUAL_GGUF, GGUF_ENGINE = "q4_k_m", "llama.cpp"
FILE_FORMAT = "file_format"  # input of an architecture: weight format of the file that the user names
MUCH_LARGER = 0.15  # than counted, from which on a size is warned of
LONGEST = 500  # characters
_QUANT = r"((?:UD-)?(?:I?Q\d\w*|TQ\d\w*|BF16|F16|F32|MXFP4(?:_MOE)?))"
# org/Qwen3-8B-GGUF:Q4_K_M, and the path of Qwen3-8B-Q4_K_M.gguf or of a part of it; compiled when first used
_GGUF = (
    rf"((?:[^/]*/)*([^/:]+?))(?:[-.]i1)?(?:[-.]{_QUANT})?(?:[-_.]GGUF(?:[:](?:i1-)?{_QUANT})?|(?:-\d+-of-\d+)?\.gguf)"
)
_TYPES = {"q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m"}  # names of llama-quantize for file types
_SAME = r"(?i)[-.](qat|128k|1m)(?=[-.]|$)"  # trained for a format, or with more positions
_REPACKED = r"(q4_0|iq4_nl)_\d_\d"  # the same formats in another order


class GgufName(NamedTuple):
    """Names under which a model may be known, the name in the file, and the weight format, empty if not stated."""

    models: tuple[str, ...]
    model: str
    stated: str

    def weights(self, architecture: Architecture) -> str:
        """Return the weight format, which is the published or usual one if the name states none."""
        own = self.stated or usual_format(architecture)
        kinds: dict[str, str] = tables("engines")[GGUF_ENGINE]["published"]
        if own == "bf16" and published_format(architecture, GGUF_ENGINE):
            own = "f16"  # of the same size, and quantised tensors stay as they are
        return kinds.get(own, own)

    def notes(self, name: str, architecture: Architecture) -> tuple[str, ...]:
        """Return a note on the weight format if the name states none."""
        if self.stated:
            return dynamic_notes(self.stated)
        return (f"weights in {usual_format(architecture)} are assumed, since the name {name} states no format",)


def gguf_name(name: str) -> GgufName | None:
    """Read the name of a GGUF file or of its repository, or return None for another name.

    >>> gguf_name("unsloth/Qwen3-30B-A3B-GGUF:Q4_K_M")
    GgufName(models=('Qwen3-30B-A3B', 'unsloth/Qwen3-30B-A3B', ''), model='Qwen3-30B-A3B', stated='q4_k_m')
    """
    match = re.fullmatch(_GGUF, name, re.IGNORECASE) if len(name) <= LONGEST else None
    if match is None:
        return None
    stated = (match[4] or match[3] or "").lower()
    stated = _TYPES.get(stated, re.sub(_REPACKED, r"\1", stated))
    if match[1].lower().startswith("unsloth/") and f"ud-{stated}" in table("mixtures"):
        stated = f"ud-{stated}"  # -hf finds a file by the end of its name
    models = (match[2], match[1], match[2].partition("_")[2])
    same = tuple(each for name in models if (each := re.sub(_SAME, "", name)) not in models)
    return GgufName((*models, *same), match[2], stated)


def dynamic_notes(weights: str) -> tuple[str, ...]:
    """Return a note on the size of a dynamic mixture, which differs by model.

    >>> dynamic_notes("UD-Q4_K_XL")[0]
    'weights in UD-Q4_K_XL differ by model, and are counted as q4_k_m: published files are 6 % smaller to 8 % larger'
    """
    if not weights.lower().startswith("ud-") or (name := mixture_name(weights)) is None:
        return ()
    entry = table("mixtures")[name]
    text = f"weights in {weights} differ by model, and are counted as {entry.get('like', name)}"
    if "published" in entry:
        low, high = (round(100 * each) for each in entry["published"])
        span = f"{-low} % smaller to {high} % larger" if low < 0 else f"{low} to {high} % larger"
        text += f": published files are {span}"
    return (text,)


def usual_format(architecture: Architecture) -> str:
    """Return the format of GGUF files whose name states none: that of the checkpoint, or the most common one."""
    return published_format(architecture, GGUF_ENGINE) or USUAL_GGUF


def dynamic_warnings(weights: str | None) -> tuple[str, ...]:
    """Return a warning if published files of a dynamic mixture are much larger than counted."""
    name = mixture_name(weights) if weights else None
    high = table("mixtures")[name].get("published", (0, 0))[1] if name else 0
    if high < MUCH_LARGER:
        return ()
    return (f"published files in {weights} are up to {100 * high:.0f} % larger than is counted here",)


def file_format(architecture: Architecture, engine: str) -> str | None:
    """Return the format of the file that the user names, or the engine's format of a quantised checkpoint, or None."""
    return architecture.inputs.get(FILE_FORMAT) or published_format(architecture, engine)


def published_format(architecture: Architecture, engine: str) -> str | None:
    """Return the engine's format of a checkpoint with quantised weights, if the engine has such a format."""
    method = (architecture.inputs.get("quantization") or {}).get("quant_method")
    published = tables("engines").get(engine, {}).get("published", {})
    found = published.get(method) if isinstance(method, str) else None  # configs are not checked
    return str(found) if found else None
