"""``llmcalc explain MODEL QUANTITY``: how a number is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..memory_options import CACHE, DTYPE, MEANT, SIZES, TABLE, arguments, is_given, refuse_others
from ..options import EXTEND, MODEL, SEQ, TARGET_SEQ, reading
from ..spec import Argument, Command, Option
from ..step_options import PAIRS, STEP, step
from .train import TOKENS

if TYPE_CHECKING:
    from ...core.architecture import Architecture
    from ...core.tree import Node
    from ...core.workload import Workload

QUANTITY = Argument(
    "quantity", "What to explain: params, active, flops, state, memory or train.", complete="quantities"
)
DEPTH = Option("--depth", "depth", "Go down to this level of the tree only.", kind=int, metavar="N")
SELECT = Option("--select", "select", "Show only the parts whose path contains this text.", metavar="TEXT")
QUANTITIES = ("params", "active", "flops", "state", "memory", "train")


def run(
    model: str,
    quantity: str,
    depth: int | None,
    select: str | None,
    form: str | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Derive, and print."""
    from ...api.load import load
    from ...core.errors import InputError, UnknownNameError
    from ...report.explain import explain_document
    from ..output import chosen_format, write

    if quantity not in QUANTITIES:
        raise UnknownNameError("quantity", quantity, QUANTITIES, hint=f"(explained are: {', '.join(QUANTITIES)})")
    if depth is not None and depth < 0:
        raise InputError(f"--depth is {depth}", hint="give 0 for the total alone, 1 for its parts, and so on")
    of_bytes = (DTYPE, CACHE) if quantity == "state" else ()  # its elements are explained
    meant = (SEQ, TARGET_SEQ, EXTEND, PAIRS) if quantity == "train" else MEANT[quantity]
    refuse_others([option for option in meant if option not in of_bytes], given, quantity)
    if quantity != "train" and is_given(TOKENS, given):
        raise InputError(f"{quantity} does not depend on it", parameter=TOKENS.name, hint="leave it out")
    chosen = chosen_format(form, as_json)
    architecture = load(model, **reading(given))
    tree, workload = derive(architecture, quantity, given)
    write(explain_document(architecture, quantity, tree, depth, select, workload), chosen)
    return 0


def derive(architecture: Architecture, quantity: str, given: dict[str, Any]) -> tuple[Node, Workload | None]:
    """The tree of a quantity, and the workload that it belongs to."""
    if quantity in ("params", "active"):
        from ...calc.params import params

        counted = params(architecture)
        return (counted.tree if quantity == "params" else counted.active_tree), None
    from ...calc import explain as trees
    from ...report.workload import usual_seq

    usual = 1 if given["mode"] == "decode" else usual_seq(architecture)
    sizes = {option.name: given[option.name] for option in SIZES}
    sizes["seq"] = usual if given["seq"] is None else given["seq"]
    words, convention = arguments(given), {"convention": given["convention"]}
    if quantity == "train":
        from ...api.train import train
        from .train import published_tokens, whole

        asked = given["tokens"]
        tokens = whole(asked, "tokens") if asked is not None else published_tokens(architecture)
        of_run = {name: sizes[name] for name in ("seq", "target_seq", "extend")}
        run = train(architecture, tokens, **of_run, attention=given["pairs"])
        return trees.flops_tree(run.step), run.step.workload
    if quantity == "flops":
        from ...calc.flops import flops

        computed = flops(architecture, **sizes, **step(given), **convention)
        return trees.flops_tree(computed), computed.workload
    if quantity == "state":
        from ...calc.kv_cache import state

        cache = {name: words[name] for name in ("beams", "page") if name in words}
        held = state(architecture, **sizes, **cache, **convention)
        return trees.state_tree(held), held.workload
    from ...api.memory import memory

    result = memory(architecture, **words, **sizes)
    return trees.memory_tree(result), result.workload


COMMAND = Command(
    "explain",
    "Show how a number is made: formulas, values, sources.",
    (MODEL, QUANTITY, DEPTH, SELECT, TOKENS, *STEP, *TABLE),
    run,
    "llmcalc explain gpt3 params --depth 2",
)
