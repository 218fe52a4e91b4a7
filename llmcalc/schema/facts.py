"""Published figures that presets must reproduce, training facts, formats and encoders of checkpoints, and notes.

expect: {175b: [{quantity: total, value: 174.6e9, tolerance: 0.03%, source: "brown2020 Table D.1"}]}
facts: {all: [{quantity: training_tokens, value: 300e9, source: "brown2020 Table 2.1"}]}
checkpoint: {all: {source: ..., quantization_config: {quant_method: mxfp4}}}
encoder: {all: {source: ..., config: {model_type: gemma3, vision_config: {...}}}}
notes: {all: shown with every result}
remarks: {all: an explanation of the structure or of a published figure}

``models/preset.py`` defines and validates these keys before this module reads them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.architecture import PREDICTION_LAYERS, Expectation, TrainingFact
from ..core.record import fields
from ..core.type_names import Any
from .plain_data import mapping_at

STATUSES = ("published", "rumoured")
DTYPES = ("bfloat16", "float16", "float32")
# units of training facts; facts without a unit are strings
TRAINING_UNITS = {
    "training_tokens": "tokens",
    "training_flops": "FLOPs",
    "accelerator": "",
    "accelerators": "accelerators",
    "accelerator_hours": "hours",
    "training_days": "days",
}
_REQUIRED = ("quantity", "value", "source")


def expectations(data: dict[str, Any], size: str | None) -> tuple[Expectation, ...]:
    """Return the published figures for a model size."""
    items = mapping_at(data, "expect").get(size or "") or []
    return tuple(
        Expectation(value=item["value"], tolerance=_ratio(item.get("tolerance", 0)), **_texts(item)) for item in items
    )


def training_facts(data: dict[str, Any], size: str | None) -> tuple[TrainingFact, ...]:
    """Return the published training facts for a size. Size-specific facts override facts for all sizes."""
    found: dict[tuple[str, str], TrainingFact] = {}
    for key in ("all", size or ""):
        items = mapping_at(data, "facts").get(key) or []
        facts = [
            TrainingFact(value=item["value"], confirmed=item.get("confirmed", True), **_texts(item)) for item in items
        ]
        own = {fact.quantity for fact in facts}
        found = {place: fact for place, fact in found.items() if fact.quantity not in own}
        found |= {(fact.quantity, fact.source): fact for fact in facts}
    return tuple(found.values())


def lines(data: dict[str, Any], key: str, size: str | None) -> tuple[str, ...]:
    """Return the ``notes`` or ``remarks`` for all sizes, followed by those for this size."""
    found: list[str] = []
    for name in ("all", size or ""):
        value = mapping_at(data, key).get(name) or []
        found += [value] if isinstance(value, str) else value
    return tuple(found)


def checkpoint_inputs(data: Mapping[str, Any], size: str | None) -> dict[str, Any]:
    """Return the dtype and quantisation of the checkpoint of a size, the config of its image encoder, and the number of
    its modules for multi-token prediction, if stated.
    """
    stated = [mapping_at(data, key) for key in ("checkpoint", "encoder", "prediction")]
    formats, encoder, number = (own[size] if size in own else own.get("all") for own in stated)
    found: dict[str, Any] = {}
    if formats:
        found |= {"dtype": formats.get("dtype", "bfloat16"), "quantization": formats["quantization_config"]}
    found |= {"encoder": encoder["config"]} if encoder else {}
    return found | ({PREDICTION_LAYERS: number} if number else {})


def to_entry(entry: Expectation | TrainingFact) -> dict[str, Any]:
    """Return a published figure or fact as a preset file entry without default values."""
    return {
        field.name: getattr(entry, field.name)
        for field in fields(entry)
        if field.name in _REQUIRED or getattr(entry, field.name) != field.default
    }


def _ratio(tolerance: float | str) -> float:
    """Return a tolerance, which may be a percentage, as a ratio."""
    return float(tolerance[:-1]) / 100 if isinstance(tolerance, str) else tolerance


def _texts(item: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(item.get(key) or "") for key in ("quantity", "source", "printed", "note")}
