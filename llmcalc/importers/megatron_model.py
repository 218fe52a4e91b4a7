"""Models described by sizes, as in the arguments of Megatron-LM and the configs of NeMo, which name no model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..core.errors import DescriptionError, InputError

REQUIRED = ("n_layers", "d_model", "n_heads", "vocab")
MOST_LAYERS = 5000
DIVISOR = 64  # of the width of a gated layer that is not given
_REPEATED = re.compile(r"\(*\[([01])\]\*(\d{1,5})\)*|\[([01](?:,[01])*)\]")


def has_sizes(values: Mapping[str, Any]) -> bool:
    """Return whether values describe a model."""
    return "n_layers" in values and "d_model" in values


def described_model(values: Mapping[str, Any], name: str, where: str = "") -> dict[str, Any]:
    """Return a model with the given sizes in the preset language.

    >>> sizes = {"n_layers": 2, "d_model": 8, "n_heads": 2, "vocab": 11, "positions": "rope", "norm": "rmsnorm"}
    >>> described_model(sizes, "small")["architecture"]["stacks"]["decoder"]["norms"]
    {'pre': {'rmsnorm': {}}}
    """
    missing = [size for size in REQUIRED if not values.get(size)]
    if missing:
        raise InputError(f"does not state {', '.join(missing)}", where=where or name, hint="state it, or name a model")
    norm: dict[str, Any] = {values.get("norm", "layernorm"): {}}
    multiple = values.get("vocabulary_multiple", 1) * values.get("tp", 1)
    vocab = -(-values["vocab"] // multiple) * multiple
    is_tied, positions = values.get("tied", True), values.get("positions", "learned")
    inputs: dict[str, Any] = {"token": {"embedding": {"rows": vocab, "share": "token_embedding"}}}
    if positions == "learned":
        rows = values.get("n_positions") or values.get("seq")
        if not rows:
            raise InputError("does not state n_positions", where=where or name, hint="state it, or name a model")
        inputs["position"] = {"embedding": {"rows": rows, "table": "position"}}
    attention, dense = _attention(values, positions), _dense(values)
    blocks: dict[str, Any] = {"dense": {"attention": attention, "mlp": {"mlp": dense}}}
    pattern = _pattern(values.get("sparse_layers", 1), values["n_layers"], where) if values.get("n_experts") else ""
    if pattern:
        blocks["sparse"] = {"attention": attention, "mlp": {"moe": _sparse(values, dense)}}
    order = [
        {"block": "sparse" if run[0] == "1" else "dense", "times": len(run)} for run in re.findall("0+|1+", pattern)
    ]
    order = order or [{"block": "dense", "times": values["n_layers"]}]
    used = {entry["block"] for entry in order}
    return {
        "name": name,
        "architecture": {"stacks": {"decoder": {
            "d_model": values["d_model"], "norms": {"pre": norm}, "inputs": inputs,
            "blocks": {block: layers for block, layers in blocks.items() if block in used}, "order": order,
            "outputs": {"norm": norm,
                        "head": {"head": {"vocab": vocab, **({"share": "token_embedding"} if is_tied else {})}}},
        }}},
    }  # fmt: skip


def _attention(values: Mapping[str, Any], positions: str) -> dict[str, Any]:
    own: dict[str, Any] = {"n_heads": values["n_heads"]}
    if values.get("latent"):
        own |= {"kv_lora_rank": values["kv_lora_rank"], "qk_nope_head_dim": values["qk_head_dim"],
                "qk_rope_head_dim": values["qk_rope_dim"], "v_head_dim": values["v_head_dim"]}  # fmt: skip
        return {"mla": own | ({"q_lora_rank": values["q_lora_rank"]} if values.get("q_lora_rank") else {})}
    has_bias = values.get("bias", True)
    projected = has_bias or values.get("qkv_bias", False)
    own |= {name: values[name] for name in ("n_kv_heads", "d_head") if values.get(name)}
    own |= dict.fromkeys(("q_bias", "k_bias", "v_bias"), projected) | {"o_bias": has_bias}
    own |= {"rope": {}} if positions == "rope" else {}
    own |= {"qk_norm": "head"} if values.get("qk_norm") else {}
    return {"gqa": own}


def _dense(values: Mapping[str, Any]) -> dict[str, Any]:
    is_gated, width = values.get("gated", False), values["d_model"]
    usual = 4 * width * 2 // 3 // DIVISOR * DIVISOR if is_gated else 4 * width
    return {
        "d_ff": values.get("d_ff") or usual, "activation": values.get("activation", "gelu"), "gated": is_gated,
        "bias": values.get("bias", True),
    }  # fmt: skip


def _sparse(values: Mapping[str, Any], dense: Mapping[str, Any]) -> dict[str, Any]:
    shared = {"shared": {"d_ff": values["d_ff_shared"]}} if values.get("d_ff_shared") else {}
    return {
        "n_experts": values["n_experts"], "top_k": min(values.get("top_k", 2), values["n_experts"]),
        "d_ff": values.get("d_ff_expert") or dense["d_ff"], "activation": dense["activation"], "gated": dense["gated"],
        "routing": {"renormalise": True}, **shared,
    }  # fmt: skip


def _pattern(text: Any, n_layers: int, where: str) -> str:
    """Return a digit for each layer, 1 for a layer with experts: every n-th layer, or a list such as [0]*3+[1]*58."""
    if n_layers > MOST_LAYERS:
        raise DescriptionError(f"more than {MOST_LAYERS:,} layers", where=where)
    text = re.sub(r"\s", "", json.dumps(text) if isinstance(text, list) else str(text))
    if text.isdigit() and len(text) < 6 and int(text):
        return "".join("0" if number % int(text) else "1" for number in range(n_layers))
    parts = [_REPEATED.fullmatch(part) for part in text.strip("()").split("+")]
    found = "".join(
        (part[1] * min(int(part[2]), MOST_LAYERS) if part[1] else part[3].replace(",", "")) for part in parts if part
    )
    if not all(parts) or len(found) != n_layers:
        raise DescriptionError(f"invalid pattern of layers with experts {text[:60]!r}", where=where)
    return found
