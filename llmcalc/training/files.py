"""Models and settings from files of training programs, such as Axolotl, torchtitan and Megatron-LM."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from math import prod
from typing import Any

from ..calc.memory.recomputation import FULL, NONE, UNKNOWN, recomputation
from ..core.architecture import Architecture
from ..core.errors import InputError, SizeError, UnknownNameError, short_repr, spelled
from ..core.printable import printable
from ..core.record import NamedTuple, changed, record
from ..core.setting import CONVENTION, SIZES, Setting
from ..estimate.cost import SIXTEEN_BIT
from ..fitting.memory import ALL_LINEAR, linear_modules, target_matrices
from ..importers.megatron_model import described_model, has_sizes
from ..importers.training_files import ParsedFile, TrainingValues, named, parse_training_file, read_values
from ..importers.training_programs import BOUNDED, matches
from ..inputs.effects import Case
from ..inputs.models import Source, read_model
from ..inputs.settings import MEMORY, memory_settings, read_settings
from .run import vocabulary

SETTINGS = (*SIZES, *MEMORY, CONVENTION)
SHOWN = ("batch",)  # settings that are stated even if they have their default
MISSPELT = 0.85  # similarity of an unknown key to one that is read
DIRECT = (
    "seq", "batch", "dtype", "weights", "optimizer", "recompute", "attention", "loss", "gradients", "gradient_buffer",
    "gradient_placeholders", "dropout", "master", "offload", "offload_activations", "optimizer_in_backward", "fp8",
    "fused_activation", "lora_dropout",
    "convention", "lora_rank", "vocabulary_multiple", "tp", "pp", "cp", "ep", "etp", "sp", "zero", "virtual_stages",
)  # fmt: skip
MLP_MODULES = ("gate_proj", "up_proj", "down_proj")
OTHER_NAMES = {"output_proj": "o_proj"}  # of torchtune
# modules to which PEFT adds adapters if none are named; the first that a model has (peft/utils/constants.py)
PEFT_MODULES = (("q_proj", "v_proj"), ("c_attn",), ("query_key_value",), ("qkv_proj",))
READING = (Setting("gpus", int, least=1), Setting("strict", bool, False))


@record
class TrainingFile:
    """What the file of a training program says.

    Attributes:
        path: path of the file.
        program: name and version of the program.
        model: model as the file names it, or an empty string.
        architecture: the model, with warnings about keys that are not computed or unknown.
        options: settings of ``fit``, with ``training`` and the fields of the mesh.
        defaults: keys that the file lacks, with the values that the program uses.
        ignored: keys without effect on memory and time.
        unmodelled: keys whose effect is not computed.
        unknown: keys that the program does not have.
        steps: number of optimizer steps, or None.
        step_sequences: number of sequences in an optimizer step over all ranks.
    """

    path: str
    program: str
    model: str
    architecture: Architecture
    options: dict[str, Any]
    defaults: dict[str, Any]
    ignored: tuple[str, ...] = ()
    unmodelled: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    steps: int | None = None
    step_sequences: int = 1

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of ``memory``."""
        sizes = {each.name: self.options[each.name] for each in SIZES if each.name in self.options}
        return {**memory_settings(self.options), **sizes}


def read_file(
    path: str | os.PathLike[str],
    model: Source | None,
    gpus: int | None,
    allowed: tuple[str, ...],
    strict: bool,
    reading: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> TrainingFile:
    """Return what a file says, with the arguments of ``read_training_file``.

    Args:
        path: YAML, JSON or TOML file.
        model: model to use in place of the one that the file names, or None.
        gpus: number of GPUs, or None.
        allowed: unknown keys of the file or of the model's config to ignore.
        strict: whether every unknown key of the file is an error.
        reading: other arguments of ``load``.
        settings: settings that replace those of the file.
    """
    given = read_settings("a training file", SETTINGS, settings)
    if not isinstance(path, str | os.PathLike) or "\0" in os.fspath(path):
        raise InputError(f"must be a file name, not {short_repr(path)}", parameter="path")
    file = parse_training_file(os.fspath(path))
    found = read_values(file)
    for name, error in found.refused.items():
        if name not in given:
            raise error
    _check_unknown(file, found.unknown, strict, allowed)
    _check_recomputation(found)
    values = {**found.values, **given}
    ignored = [key for key in allowed if key not in found.unknown]
    architecture = _load(file, found, values, model, **reading, allow_unknown=ignored)
    batches = _batches(file, values, gpus)
    accumulation = None if batches.accumulation == values.get("pp", 1) else batches.accumulation  # None: the default
    whole = {**values, "dp": batches.dp, "batch": batches.batch, "micro_batches": accumulation}
    steps = values["samples"] // batches.sequences if values.get("samples") else values.get("steps")
    options, remarks = _effective(
        {**_resolved(file, architecture, whole, given), **given}, given, file.program.usual, architecture
    )
    information: dict[str, Any] = {
        "path": file.path, "program": f"{file.program.title} {file.program.version}",
        "model": " ".join(found.values[name] for name in ("model", "flavor") if name in found.values),
        "settings": {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()},
        "defaults": found.defaults, "ignored": found.ignored, "not_computed": found.unmodelled,
        **{kind: [key for key in found.unmodelled if file.program.is_listed(key, kind)] for kind in BOUNDED},
        "unknown": found.unknown,
    }  # fmt: skip
    architecture = changed(
        architecture, warnings=(*architecture.warnings, *_warnings(file, found), *remarks),
        inputs={**architecture.inputs, "training_file": information},
    )  # fmt: skip
    return TrainingFile(
        file.path, information["program"], information["model"], architecture, options, found.defaults,
        tuple(found.ignored), tuple(found.unmodelled), tuple(found.unknown), steps,
        batches.sequences,
    )  # fmt: skip


def _check_unknown(file: ParsedFile, unknown: list[str], strict: bool, allowed: tuple[str, ...]) -> None:
    """Raise an error for unknown keys, or only for those that resemble a key that is read."""
    read = tuple(file.program.keys)
    left = [key for key in unknown if key not in allowed]
    wrong = left if strict else [key for key in left if get_close_matches(key, read, 1, cutoff=MISSPELT)]
    if wrong:
        hint = f"to ignore {'them' if len(wrong) > 1 else 'it'}, use {{allow_unknown={printable(','.join(wrong))}}}"
        raise UnknownNameError(
            f"{file.program.title} key", wrong[0], read, where=file.path, hint=hint, others=wrong[1:]
        )


def _check_recomputation(found: TrainingValues) -> None:
    """Replace a recomputation that is not modelled, such as that of an unknown module."""
    asked = found.values.get("recompute", NONE)
    try:
        if recomputation(asked) == recomputation(FULL):
            found.values["recompute"] = FULL  # also of one layer at a time
    except InputError:
        found.values["recompute"] = UNKNOWN
        found.unmodelled.append(f"recomputation of {printable(asked)}")


def _load(
    file: ParsedFile, found: TrainingValues, values: Mapping[str, Any], model: Source | None, **reading: Any
) -> Architecture:
    """Load the given model, or the one that a file names, such as a preset, a repository with its architecture or a
    local folder.
    """
    if model is not None:
        return read_model(model, **reading)
    name = _named_model(file, values)
    if not name and has_sizes(values):
        wrong = [key for key in found.unmodelled if matches(key, file.program.structural)]
        if wrong:
            text, hint = f"its sizes do not describe a model with {named(wrong)}", "name a model, and the file with"
            raise InputError(text, where=file.path, hint=f"{hint} {{training_file={file.path}}}")
        stem = os.path.splitext(os.path.basename(file.path))[0]
        described = described_model({"vocab": _vocabulary(values), **values}, stem, file.path)
        return read_model(described, overrides=reading["overrides"])
    if not name:
        key = file.program.model_key
        hint = (
            f"{f'add {key}, or ' if key else ''}name the model as well, and the file with {{training_file={file.path}}}"
        )
        raise InputError(f"looks like a file of {file.program.title}, but names no model", where=file.path, hint=hint)
    try:
        return read_model(name, **reading)
    except InputError as error:
        error.hint = f"{error.hint}; or name another model, and the file with {{training_file={file.path}}}"
        raise


def _vocabulary(values: Mapping[str, Any]) -> int | None:
    """Return the vocabulary size of the model whose tokenizer is named, or None if it is unknown."""
    from ..inputs.repository_names import find_model

    same = find_model(values.get("tokenizer", ""))
    return vocabulary(read_model(same.preset)) if same else None


def _named_model(file: ParsedFile, values: Mapping[str, Any]) -> str:
    """Return the model that a file names, or the preset of a model and its flavor."""
    name: str = values.get("model", "")
    if "flavor" not in values:
        return name
    flavor = f"{name} {values['flavor']}"
    if flavor.lower() not in file.program.models:
        hint = f"name a model, and the file with {{training_file={file.path}}}"
        raise UnknownNameError(f"{file.program.title} model", flavor, file.program.models, where=file.path, hint=hint)
    return file.program.models[flavor.lower()]


class _Batches(NamedTuple):
    """How the sequences of a step are divided: ranks, micro-batches of each rank, and sequences of a micro-batch."""

    dp: int
    accumulation: int
    batch: int

    @property
    def sequences(self) -> int:
        """Sequences of a step over all ranks."""
        return self.batch * self.accumulation * self.dp


def _batches(file: ParsedFile, values: Mapping[str, Any], gpus: int | None) -> _Batches:
    """Return the data-parallel ranks, the micro-batches of a rank and their sequences."""
    total, accumulation, batch = values.get("global_batch"), values.get("accumulation"), values.get("batch")
    dp = _data_ranks(values, gpus)
    if local := values.get("local_batch"):
        batch = batch or local
        if values.get("pp", 1) > 1:
            batch = min(values.get("stage_batch", 1), batch)
            accumulation = accumulation or (None if total else local // batch)
    if total:
        batch = batch or max(1, total // (dp * (accumulation or 1)))
        if total % (batch * dp) or (accumulation and total != batch * dp * accumulation):
            steps = f" · {accumulation} micro-batches" if accumulation else ""
            text = f"the global batch size ({total}) is not batch ({batch}){steps} · dp ({dp})"
            raise SizeError(text, where=file.path, hint="change {dp=N}, or the batch sizes in the file")
        accumulation = total // (batch * dp)
    return _Batches(dp, values.get("micro_batches") or accumulation or 1, batch or 1)


def _data_ranks(values: Mapping[str, Any], gpus: int | None) -> int:
    """Return the number of data-parallel ranks: as stated, or what the GPUs or the batch sizes leave."""
    if values.get("dp"):
        return int(values["dp"])
    sharded: list[int] = [values[name] for name in ("shards", "replicas") if values.get(name)]
    others: int = values.get("tp", 1) * values.get("pp", 1) * values.get("cp", 1)
    gpus = gpus or values.get("node_gpus", 0) * values.get("nodes", 1)
    if sharded and (values.get("shards") or not gpus):
        return prod(sharded)
    if gpus:
        return max(1, gpus // others)
    total, batch, accumulation = (int(values.get(name) or 0) for name in ("global_batch", "batch", "accumulation"))
    return max(1, total // (batch * accumulation)) if total and batch and accumulation else 1


def _resolved(
    file: ParsedFile, architecture: Architecture, values: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings of ``fit`` that the values of a file mean for a model."""
    found = {name: values[name] for name in (*DIRECT, "dp", "micro_batches") if values.get(name) is not None}
    has_adapters = bool(values.get("lora"))
    if has_adapters and "lora_rank" not in found:
        raise InputError("has adapters without a rank", where=file.path, hint="add {lora_rank=N}")
    if has_adapters and "lora_targets" not in given:
        found["lora_targets"] = _targets(architecture, _adapted(values))
    has_adapters = has_adapters or "lora_rank" in given
    if not has_adapters:
        found.pop("lora_rank", None)
    dtype = values.get("dtype", "bf16")
    stored = values.get("stored", values.get("loaded"))
    if dtype in SIXTEEN_BIT and has_adapters:  # programs train adapters in fp32
        found.setdefault("gradients", "fp32")
        if values.get("loaded") == "fp32":
            found.setdefault("weights", "fp32")
    elif dtype in SIXTEEN_BIT and not values.get("engine"):
        if stored == "fp32":  # 16-bit copies for the computation
            found.setdefault("gradients", "fp32")
        elif stored:
            found.setdefault("convention", "torch")
    if values.get("stage_layers") and values.get("n_layers"):
        found["virtual_stages"] = max(1, values["n_layers"] // (values.get("pp", 1) * values["stage_layers"]))
    return {"training": True, **found}


def _adapted(values: Mapping[str, Any]) -> Any:
    """Return the names of the modules with adapters. A flag of its own adds those of the feed-forward layers."""
    modules = values.get("lora_modules")
    return [*modules, *MLP_MODULES] if values.get("lora_mlp") and isinstance(modules, list) else modules


def _targets(architecture: Architecture, modules: Any) -> tuple[str, ...]:
    """Return the matrices of the named modules, or those that PEFT adapts."""
    known = linear_modules(architecture)
    names = [modules] if isinstance(modules, str) else list(dict.fromkeys(modules or ()))
    if names and not known:
        names = [*ALL_LINEAR[:1]]
    names = names or next((list(each) for each in PEFT_MODULES if set(each) <= known.keys()), [])
    names = [OTHER_NAMES.get(name, name) for name in names]
    if not names:
        hint = f"modules: {', '.join(sorted(known))}"
        raise InputError("no modules with adapters", parameter="lora_targets", hint=hint)
    return target_matrices(architecture, names)


def _effective(
    options: dict[str, Any], given: Mapping[str, Any], usual: Mapping[str, Any], architecture: Architecture
) -> tuple[dict[str, Any], list[str]]:
    """Return the options that have an effect, and a remark for each other one that the program does not always set.

    Given options are not removed.
    """
    remarks = []
    for setting, value in list(Case(SETTINGS, options, architecture).given()):
        error = None if setting.name in given else Case(SETTINGS, options, architecture).unmet(setting)
        if error:
            del options[setting.name]
            is_off = value == 1 and setting.name != "zero"  # a number of ranks, or a permission
            if not (is_off or value == usual.get(setting.name)):
                remarks.append(f"{setting.name} {value} {error.message}; {spelled(error.hint)}")
    kept = {each.name: options[each.name] for each in SETTINGS if each.name in options}
    for setting in SETTINGS:
        if setting.name not in (*SHOWN, *given) and setting.is_default(kept.get(setting.name)):
            kept.pop(setting.name, None)
    return kept, remarks


def _warnings(file: ParsedFile, found: TrainingValues) -> list[str]:
    warnings = []
    if found.unmodelled:
        warnings.append(f"the effect of these keys is not computed: {named(found.unmodelled)}")
    if found.unknown:
        warnings.append(f"unknown keys of {file.program.title}: {named(found.unknown)}")
    return warnings
