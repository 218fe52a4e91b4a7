"""Models from presets, configs, checkpoints and descriptions in memory."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.architecture import Architecture
from ..inputs.models import Overrides, Source, read_model


def load(
    source: Source,
    *,
    overrides: Overrides = (),
    as_: str | None = None,
    allow_unknown: Sequence[str] = (),
    strict: bool = False,
    extras: Sequence[str] = (),
) -> Architecture:
    """Load an architecture from ``source``.

    >>> import llmcalc
    >>> llmcalc.load("gpt3", overrides=["n_layers=48"]).main.n_layers
    48
    >>> model = llmcalc.load("deepseek-v3", extras=["mtp"])
    >>> llmcalc.params(model).total - llmcalc.params("deepseek-v3").total
    11610067968

    Args:
        source: one of: a preset's name or alias (``"gpt3"``, ``"bert-large"``); the name of a model with the
            architecture of a preset (``"Qwen/Qwen3-8B"``, ``"llama3.2:3b"``), which a note in the result states; a path
            of a preset YAML file, a Hugging Face ``config.json``, a ``.safetensors`` file or folder with its
            ``config.json``, or a ``.gguf`` file; ``"hf:org/name@revision"`` for a repository of the Hub; ``"-"`` for
            standard input; a config or preset as a mapping; an architecture, which is returned unchanged.
        overrides: ``path=value`` strings that change variables or keys of the model, or a mapping of paths to values.
        as_: ``model_type`` to read a config as, overriding its own. Results carry a warning.
        allow_unknown: unknown config keys to ignore. Results carry a warning for each.
        strict: whether every unknown config key is an error. By default, only a key that may change a size is an
            error, and results carry a warning about keys that may change the computation.
        extras: modules outside the totals that are counted with the model, such as ``mtp`` for multi-token prediction.

    Raises:
        InputError: the source cannot be read.
    """
    return read_model(source, overrides=overrides, as_=as_, allow_unknown=allow_unknown, strict=strict, extras=extras)
