"""The state of the page: what the user chose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import InputError, SizeError, UnknownNameError
from ...core.record import fields, record
from ...core.setting import Setting, read_length

USUAL_GPU = "h100-sxm"
MOST_COMPARED = 3  # models beside the first
LARGEST = {"n": 2**14, "users": 2**20, "context": 2**30, "osl": 2**30, "batch": 2**20}
CHOICES = {"task": ("", "train"), "method": ("", "lora", "qlora"), "recompute": ("", "selective", "op", "full"),
           "loss": ("", "fused")}  # fmt: skip
TEXTS = ("optimizer", "tokens", "mfu")
SIZES = (
    Setting("n", int, 1, least=1), Setting("users", int, 1, least=1), Setting("context", int, least=1),
    Setting("osl", int, least=1), Setting("batch", int, 1, least=1),
)  # fmt: skip


@record
class State:
    """What the user chose. Empty number formats mean those in which the model is published.

    Attributes:
        model: name of a model, or path of a file.
        gpu: name of a GPU.
        n: number of GPUs.
        weights: number format of the weights.
        kv: number format of keys and values.
        context: tokens of a request and its answer, or None for a usual number.
        osl: tokens of an answer, or None for a usual number.
        users: requests at any time.
        compare: further models.
        task: ``train``, or empty for serving.
        method: ``lora`` or ``qlora``, or empty to train all parameters.
        optimizer: optimizer, or empty for AdamW.
        recompute: recomputation of activations, or empty for none.
        loss: ``fused`` for one kernel of the cross-entropy, or empty.
        batch: sequences of a training step on each GPU.
        tokens: training tokens, such as ``1B``.
        mfu: model FLOPs utilisation in percent, or empty for the published one.
    """

    model: str
    gpu: str = USUAL_GPU
    n: int = 1
    weights: str = ""
    kv: str = ""
    context: int | None = None
    osl: int | None = None
    users: int = 1
    compare: tuple[str, ...] = ()
    task: str = ""
    method: str = ""
    optimizer: str = ""
    recompute: str = ""
    loss: str = ""
    batch: int = 1
    tokens: str = ""
    mfu: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the state as a plain dictionary."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"compare": list(self.compare)}


def read_state(data: Mapping[str, Any]) -> State:
    """Read a state, in which numbers may be texts such as ``8k``.

    >>> read_state({"model": "gpt2", "context": "1k"}).context
    1024
    """
    model, gpu, weights, kv = (_text(data, name) for name in ("model", "gpu", "weights", "kv"))
    if not model:
        raise InputError("missing model", parameter="model", hint="choose a model")
    sizes: dict[str, Any] = {}
    for setting in SIZES:
        value = data.get(setting.name)
        size = sizes[setting.name] = setting.default if value in (None, "") else read_length(value, setting.name)
        setting.check(size)
        if (size or 1) > LARGEST[setting.name]:
            raise SizeError(f"must be at most {LARGEST[setting.name]:,}", parameter=setting.name)
    others = tuple(filter(None, listed(data, "compare")))
    if len(others) > MOST_COMPARED:
        raise InputError(f"compare at most {MOST_COMPARED + 1} models", parameter="compare", hint="remove a model")
    chosen: dict[str, Any] = {name: _text(data, name) for name in (*CHOICES, *TEXTS)}
    for name, allowed in CHOICES.items():
        if chosen[name] not in allowed:
            raise UnknownNameError(name, chosen[name], allowed[1:], parameter=name)
    return State(model, gpu or USUAL_GPU, weights=weights, kv=kv, compare=others, **sizes, **chosen)


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if value is not None and not isinstance(value, str):
        raise InputError("must be a text", parameter=name)
    return (value or "").strip()


def listed(data: Mapping[str, Any], name: str) -> list[str]:
    """Return a list of names, which is empty if it is not given."""
    names = data.get(name) or []
    if not isinstance(names, (list, tuple)) or not all(isinstance(each, str) for each in names):
        raise InputError("must be a list of names", parameter=name)
    return list(names)
