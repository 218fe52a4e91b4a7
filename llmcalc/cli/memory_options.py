"""Options of every command that knows memory: which speak of training, which of serving, how they become arguments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError
from .options import BATCH, EXTEND, OUTPUT, READING, SEQ, TARGET_SEQ, reading
from .spec import Option
from .step_options import STEP as COMPUTED

if TYPE_CHECKING:
    from ..calc.sharding import Mesh
    from ..core.architecture import Architecture

PLAIN = ("fp32", "bf16", "fp16")

TRAINING = Option("--training", "training", "A training step; without it, serving.", kind=bool, default=False)
DTYPE = Option("--dtype", "dtype", "Number format of the computation.", default="bf16", choices=PLAIN)
WEIGHTS = Option(
    "--weights", "weights", "Format of the weights, such as fp8-block, mxfp4, q4_k_m (default: --dtype); in training "
    "only beside adapters.",
    metavar="FORMAT", complete="formats",
)  # fmt: skip
ONLY = Option(
    "--only", "only", "Store only this component in --weights, such as 'routed experts'. May be repeated.",
    repeatable=True, metavar="COMPONENT",
)  # fmt: skip
KEEP = Option(
    "--keep", "keep", "A component that stays in --dtype, besides tables, head, norms and routers. "
    "May be repeated.", repeatable=True, metavar="COMPONENT",
)  # fmt: skip
CACHE = Option(
    "--cache", "cache", "Serving: format of keys and values, such as fp8 (default: --dtype).",
    metavar="FORMAT", complete="formats",
)  # fmt: skip
PAGED = Option(
    "--paged", "page", "Serving: tokens of a block of a paged cache, of which only whole ones are held.",
    kind=int, metavar="TOKENS",
)  # fmt: skip
PREFILL = Option(
    "--prefill", "prefill", "Serving: tokens of a prompt that are computed at once (default: all of them).",
    kind=int, metavar="TOKENS",
)  # fmt: skip
BEAMS = Option(
    "--beams", "beams", "Serving: continuations of each sequence that beam search keeps.", kind=int, metavar="N"
)
LORA_RANK = Option("--lora-rank", "lora_rank", "Training: adapters of this rank alone.", kind=int, metavar="N")
LORA_TARGETS = Option(
    "--lora-target", "lora_targets", "Training: a matrix that gets an adapter (default: wq, wk, wv and wo). "
    "May be repeated.", repeatable=True, metavar="TENSOR",
)  # fmt: skip
OPTIMIZER = Option("--optimizer", "optimizer", "Training: the optimizer (default: adamw).", metavar="NAME")
ATTENTION = Option("--attention", "attention", "Training: the kernel (default: flash).", choices=("flash", "eager"))
RECOMPUTE = Option(
    "--recompute", "recompute", "Training: what is computed again instead of kept (default: none).",
    choices=("none", "selective", "full"),
)  # fmt: skip
DROPOUT = Option("--dropout", "dropout", "Training: with dropout.", kind=bool, default=False)
LOSS = Option(
    "--loss", "loss", "Training: cross-entropy by operations, or by one kernel that turns logits into their gradient "
    "(default: eager).", choices=("eager", "fused"),
)  # fmt: skip
GRADIENTS = Option("--gradients", "gradients", "Training: format of gradients (default: --dtype).", choices=PLAIN)
BUFFER = Option(
    "--gradient-buffer", "gradient_buffer", "Training: gradients stand in one buffer all the time (Megatron-LM).",
    kind=bool, default=False,
)  # fmt: skip
NO_MASTER = Option("--no-master", "no_master", "Training: no fp32 copy of the weights.", kind=bool, default=False)
CONVENTION = Option("--convention", "convention", "What transformers' eager code holds in torch.", choices=("torch",))
MESH = (
    Option("--dp", "dp", "Data-parallel ranks.", kind=int, metavar="N"),
    Option("--tp", "tp", "Tensor-parallel ranks.", kind=int, metavar="N"),
    Option("--pp", "pp", "Training: pipeline stages.", kind=int, metavar="N"),
    Option("--ep", "ep", "Expert-parallel ranks, part of the data-parallel ones.", kind=int, metavar="N"),
    Option("--etp", "etp", "Tensor-parallel ranks of each expert (default: --tp).", kind=int, metavar="N"),
    Option("--cp", "cp", "Training: context-parallel ranks.", kind=int, metavar="N"),
    Option("--sp", "sp", "Training: sequence parallelism beside tensor parallelism.", kind=bool, default=False),
    Option("--zero", "zero", "Training: ZeRO stage: 1, 2 or 3 (FSDP).", kind=int, metavar="STAGE"),
    Option("--micro-batches", "micro_batches", "Training: micro-batches a step (else --pp).", kind=int, metavar="N"),
    Option(
        "--vocabulary-multiple", "vocabulary_multiple", "Pad the vocabulary to a multiple of this times --tp (default: "
        "128, as Megatron-LM does).", kind=int, metavar="N",
    ),
    Option(
        "--virtual-stages", "virtual_stages", "Training: model chunks per pipeline stage (interleaved).",
        kind=int, metavar="N",
    ),
)  # fmt: skip
STORED = (WEIGHTS, ONLY, KEEP)
SERVING = (CACHE, PAGED, PREFILL, BEAMS)
STEP = (OPTIMIZER, ATTENTION, RECOMPUTE, DROPOUT, LOSS, GRADIENTS, BUFFER, NO_MASTER, LORA_RANK, LORA_TARGETS)
ALL = (TRAINING, DTYPE, *STORED, *SERVING, *STEP, *MESH, CONVENTION)
SIZES = (BATCH, SEQ, TARGET_SEQ, EXTEND)
TABLE = (*SIZES, *ALL, *READING, *OUTPUT)
MEANT = {  # what each quantity depends on
    "params": (),
    "active": (),
    "flops": (*SIZES, *COMPUTED, CONVENTION),
    "state": (*SIZES, DTYPE, CACHE, PAGED, BEAMS, CONVENTION),
    "memory": (*SIZES, *ALL),
}
_ONLY_TRAINING = (*STEP, *(option for option in MESH if option.help.startswith("Training")))


def asked(model: str, given: dict[str, Any]) -> tuple[Architecture, dict[str, Any]]:
    """The model, and the keywords of ``llmcalc.memory``; ``given`` are the options of ``TABLE``.

    Raises:
        InputError: options that contradict each other; no such model.
    """
    from ..api.load import load
    from ..report.workload import usual_seq

    words = arguments(given)
    architecture = load(model, **reading(given))
    seq = given["seq"] if given["seq"] is not None else usual_seq(architecture)
    sizes = {option.name: given[option.name] for option in SIZES}
    return architecture, {**words, **sizes, "seq": seq}


def is_given(option: Option, given: dict[str, Any]) -> bool:
    """Whether an option is not as it is when nobody gives it."""
    return bool(given[option.name] != ([] if option.repeatable else option.default))


def refuse_others(meant: Iterable[Option], given: dict[str, Any], what: str) -> None:
    """See that no size, step or setting of memory is given but those that are ``meant``.

    Raises:
        InputError: one is.
    """
    for option in (*SIZES, *COMPUTED, *ALL):
        if option not in meant and is_given(option, given):
            raise InputError(f"{what} does not depend on it", parameter=option.name, hint="leave it out")


def arguments(given: dict[str, Any]) -> dict[str, Any]:
    """The keywords of ``llmcalc.memory`` for the options that were given.

    Raises:
        InputError: options that contradict each other.
    """
    training = given["training"]
    for option in SERVING if training else _ONLY_TRAINING:
        if is_given(option, given):
            here, there = ("a training step", "leave it out") if training else ("serving", "add --training")
            raise InputError(f"has no meaning in {here}", parameter=option.name, hint=there)
    for option, one in ((PAGED, "one token"), (PREFILL, "one token"), (BEAMS, "1")):
        if given[option.name] is not None and given[option.name] < 1:
            raise InputError(f"give at least {one}", parameter=option.name)
    if given["lora_targets"] and given["lora_rank"] is None:
        raise InputError(
            "says where adapters are, but not how large", parameter="lora_targets", hint="add --lora-rank N"
        )
    if (given["only"] or given["keep"]) and not given["weights"]:
        flag = "only" if given["only"] else "keep"
        raise InputError(
            "says which weights are quantised, but not to what", parameter=flag, hint="add --weights FORMAT"
        )
    if given["sp"] and (given["tp"] or 1) == 1:
        raise InputError("sequence parallelism goes with tensor parallelism", parameter="sp", hint="add --tp N")
    words: dict[str, Any] = {"mode": "training" if training else "inference", "dtype": given["dtype"]}
    serving = tuple(option.name for option in SERVING)
    step = ("optimizer", "attention", "recompute", "loss", "gradients", "lora_rank", "lora_targets")
    names = ("weights", "only", "keep", *(step if training else serving))
    words |= {name: given[name] for name in names if given[name] not in (None, [])}
    if training:
        words |= {"dropout": given["dropout"], "master": not given["no_master"]}
        words["gradient_buffer"] = given["gradient_buffer"]
    return {**words, "mesh": mesh(given), "convention": given["convention"]}


def mesh(given: dict[str, Any]) -> Mesh:
    """The mesh that was asked for."""
    from ..calc.sharding import Mesh

    return Mesh(**{option.name: given[option.name] for option in MESH if given[option.name] is not None})
