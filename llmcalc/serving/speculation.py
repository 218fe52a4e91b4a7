"""Speculative decoding as settings of an engine ask for it: the draft, its tokens, and the accepted ones."""

from __future__ import annotations

from collections.abc import Mapping

from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import record, remembered
from ..core.setting import check_values
from ..core.type_names import TYPE_CHECKING, Any
from ..data import table, tables
from ..engines.lengths import served_length
from ..engines.profile import read_profile
from ..inputs.serving_settings import SERVE
from .start.asked_drafts import HEADS, MODEL, NONE, asked_draft, drafted_tokens
from .start.models import step_sizes
from .start.predict import find_draft
from .step.draft_steps import Speculation, accepted_tokens
from .step.step import StepModel
from .step.step_models import step_model

if TYPE_CHECKING:
    from .start.drafts import Draft

MOST_DRAFTED = 64
LOOKUP = "n-gram lookup"


@record
class Drafting:
    """Speculative decoding of an engine.

    Attributes:
        title: what drafts tokens.
        speculation: passes of the draft, and the accepted tokens.
        drafted: tokens of the longest drafted chain.
        accepted_range: lowest and highest published mean number of tokens per step, or None if it was given.
        source: source of the published number, or empty.
        notes: assumptions.
    """

    title: str
    speculation: Speculation
    drafted: int
    accepted_range: tuple[float, float] | None
    source: str
    notes: tuple[str, ...]

    @property
    def accepted(self) -> float:
        """Mean number of tokens by which a sequence advances in a step."""
        return float(self.speculation.accepted)


def find_drafting(
    steps: StepModel,
    settings: Mapping[str, Any],
    acceptance_length: float | None = None,
    acceptance_rate: float | None = None,
) -> Drafting | None:
    """Return the speculative decoding that the settings of an engine ask for, or None.

    Args:
        steps: steps of the target.
        settings: settings of the engine, with its defaults.
        acceptance_length: mean number of tokens of a step, with the one that verification adds.
        acceptance_rate: share of the drafted tokens that are accepted.
    """
    given = {"acceptance_length": acceptance_length, "acceptance_rate": acceptance_rate}
    asked = None if (settings.get("draft_method") or "").lower() == NONE else asked_draft(settings)
    if asked is None:
        name = next((name for name, value in given.items() if value is not None), "")
        if name:
            hint = "add {draft=MODEL}, or a method such as {draft_method=mtp}"
            raise InputError("needs speculative decoding", parameter=name, hint=hint)
        return None
    check_values(SERVE, given)
    published = table("speculation")[asked.method]
    passes, width, verified, is_assumed = _sizes(steps, settings, asked.method, published["tokens"])
    notes = [f"{passes} drafted tokens per step are assumed: {{draft_tokens}} sets them"] if is_assumed else []
    draft, model = _draft(steps, settings), None
    if draft is None:
        notes.append("the time to look tokens up is not counted")
        passes, width = verified - 1, 1
    else:
        notes += draft.notes
        model = _draft_steps(steps, settings, draft)
    drafted = passes
    if acceptance_rate is not None and acceptance_rate > 1:
        raise InputError(f"must be at most 1, not {acceptance_rate:g}", parameter="acceptance_rate")
    if acceptance_length is not None and acceptance_rate is not None:
        hint = "omit one of them"
        raise InputError("cannot be combined with acceptance_length", parameter="acceptance_rate", hint=hint)
    accepted = acceptance_length if acceptance_rate is None else 1 + acceptance_rate * drafted
    if accepted is not None and accepted > drafted + 1:
        hint = f"{drafted} drafted tokens give at most {drafted + 1} tokens per step"
        raise InputError(f"must be at most {drafted + 1}, not {accepted:g}", parameter="acceptance_length", hint=hint)
    low, best, high = (accepted_tokens(published[name], drafted) for name in ("low", "best", "high"))
    title = LOOKUP if draft is None else draft.title
    return Drafting(
        title, Speculation(passes, width, verified, best if accepted is None else accepted, model), drafted,
        (low, high) if accepted is None else None, published["source"] if accepted is None else "", tuple(notes),
    )  # fmt: skip


def _sizes(steps: StepModel, settings: Mapping[str, Any], method: str, usual: int) -> tuple[int, int, int, bool]:
    """Return the passes of the draft, the tokens of a pass, the verified tokens, and whether the number is assumed.

    SGLang counts the verified tokens, and drafts trees by default.
    """
    number, passes, width = drafted_tokens(settings), settings.get("draft_steps"), settings.get("draft_width")
    trees = tables("engines").get(steps.engine.name, {}).get("draft_trees")
    if trees and method != NONE and number is None and passes is None:
        own = trees.get(method, trees["others"])
        return own["steps"], own["width"], own["verified"], True
    if trees:
        verified = (usual if passes is None else passes) + 1 if number is None else number
        passes, width = passes or max(verified - 1, 1), width or 1
    else:
        passes, width = number or usual, 1
        verified = passes + 1
    if max(passes, width, verified) > MOST_DRAFTED:
        raise InputError(f"must be at most {MOST_DRAFTED}", parameter="draft_tokens")
    if verified < 2:
        raise InputError("must be at least 2, which counts the token before the drafted ones", parameter="draft_tokens")
    return passes, width, verified, number is None and settings.get("draft_steps") is None


def _draft(steps: StepModel, settings: Mapping[str, Any]) -> Draft | None:
    entries, mesh = tables("engines"), steps.mesh
    name = steps.engine.name if steps.engine.name in entries else next(iter(entries))
    card = steps.accelerator
    profile = read_profile(name, entries[name], settings.get("engine_version"), card.name, card.usable_bytes)
    own = {**profile.settings, **settings, "tp": mesh.tp, "dp": mesh.dp}
    if not isinstance(own.get("max_model_len"), int):
        own["max_model_len"] = served_length(steps.architecture, name)
    return find_draft(steps.architecture, profile, {**own, **step_sizes(own, own)})


def _draft_steps(steps: StepModel, settings: Mapping[str, Any], draft: Draft) -> StepModel:
    """Return the steps of a draft. Heads are in 16 bits, and a layer of the target has the formats of the target."""
    assert draft.steps is not None
    mesh, cache = steps.mesh, settings.get("cache")
    weights = settings.get("weights")
    if draft.method == MODEL:
        mesh = Mesh(dp=mesh.dp, tp=draft.settings.get("tp", mesh.tp))
        weights = draft.settings.get("weights")
    elif draft.method in HEADS:
        weights = settings.get("dtype", "bf16")
    known = remembered(steps.architecture, "_drafts", None, list[Architecture])
    model = next((each for each in known if each == draft.steps), draft.steps)  # layouts share what a draft computes
    known += [model] if model is draft.steps else []
    is_eager, engine = steps.engine.is_eager, steps.engine.name
    return step_model(model, steps.accelerator, mesh, engine, weights=weights, cache=cache, enforce_eager=is_eager)
