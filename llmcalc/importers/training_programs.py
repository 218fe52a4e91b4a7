"""Training programs and the meanings of their keys, from the tables in ``data/training_files``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from ..core.record import NamedTuple
from ..core.setting import TEXTS, Setting
from ..data import tables

LISTS = ("ignored", "unmodelled", "structural", "saving", "offloading")  # of keys that set nothing
BOUNDED = LISTS[3:]  # keys that save memory
MODEL, MODULES = "model", "lora_modules"
_COUNTS = (
    "seq", "batch", "local_batch", "stage_batch", "accumulation", "global_batch", "steps", "lora_rank", "dp", "tp",
    "pp", "cp", "ep", "etp", "shards", "replicas", "virtual_stages", "stage_layers", "samples", "nodes", "node_gpus",
    "n_layers", "d_model", "d_ff", "n_heads", "n_kv_heads", "d_head", "vocab", "n_positions", "vocabulary_multiple",
    "n_experts", "top_k", "d_ff_expert", "d_ff_shared", "q_lora_rank", "kv_lora_rank", "qk_head_dim", "qk_rope_dim",
    "v_head_dim",
)  # fmt: skip
_CONDITIONS = ("whole", "parts", "selective", "checkpointed", "stored_layers", "fused_loss", "half_moment")
_SETTINGS = (
    Setting("model"), Setting("flavor"), Setting("tokenizer"), Setting("sparse_layers", (int, str, list)),
    Setting(MODULES, TEXTS), *(Setting(name, bool) for name in ("lora", "lora_mlp", "sp", *_CONDITIONS)),
    *(Setting(name, int, least=1) for name in _COUNTS), Setting("zero", int, choices=(0, 1, 2, 3)),
)  # fmt: skip
KINDS = {setting.name: setting for setting in _SETTINGS}
ANY_KIND = Setting("")


class Program(NamedTuple):
    """A training program with the meanings of its keys, including those of the tables that it includes."""

    name: str
    title: str
    version: str
    keys: Mapping[str, Mapping[str, Any]]
    maps: Mapping[str, Mapping[str, Any]]
    usual: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]
    models: Mapping[str, str]
    ignored: tuple[str, ...]
    unmodelled: tuple[str, ...]
    structural: tuple[str, ...]
    saving: tuple[str, ...]
    offloading: tuple[str, ...]
    signature: tuple[str, ...]

    @property
    def model_key(self) -> str:
        """Key by which a program is known and that names the model, or an empty string."""
        return next((key for key in self.signature if self.keys.get(key, {}).get("to") == MODEL), "")

    def is_listed(self, key: str, kind: str) -> bool:
        """Return whether a key, or one of the DeepSpeed file that it contains, is in a list such as ``saving``."""
        name, inner = key.partition(" ")[0], programs()["deepspeed"]
        return matches(name, getattr(self, kind)) or matches(name.partition(".")[2], getattr(inner, kind))

    def is_known(self, key: str) -> bool:
        """Return whether the table has a key."""
        return key in self.keys or matches(key, self.ignored) or matches(key, self.unmodelled)


@cache
def programs() -> dict[str, Program]:
    """Return the programs whose files can be read, by name."""
    entries = tables("training_files")
    return {name: _program(name, entries) for name, entry in entries.items() if entry.get("signature")}


def _program(name: str, entries: Mapping[str, Any]) -> Program:
    entry = entries[name]
    before = f"{entry['under']}." if "under" in entry else ""
    keys, maps = dict(entry.get("keys") or {}), dict(entry.get("maps") or {})
    lists = {name: entry.get(name, "").split() for name in LISTS}
    for part in [_program(each, entries) for each in entry.get("include", ())]:
        keys = {**{f"{before}{key}": rule for key, rule in part.keys.items()}, **keys}
        maps = {**part.maps, **maps}
        for kind, found in lists.items():
            found += [f"{before}{key}" for key in getattr(part, kind)]
    ignored, unmodelled, structural, saving, offloading = map(tuple, lists.values())
    unmodelled = (*unmodelled, *structural, *saving, *offloading)
    return Program(
        name, entry["title"], entry["version"], keys, maps, entry.get("usual", {}), entry.get("files", {}),
        entry.get("models", {}), ignored, unmodelled, structural, saving, offloading,
        tuple(entry.get("signature", ())),
    )  # fmt: skip


def matches(key: str, patterns: Iterable[str]) -> bool:
    """Return whether a key, or the mapping that contains it, is one of the patterns."""
    return any(fnmatchcase(key, each) or key.startswith(f"{each}.") for each in patterns)


def meanings(program: Program, rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the meanings of the values of a key."""
    values = rule.get("values") or {}
    return program.maps[values] if isinstance(values, str) else values
