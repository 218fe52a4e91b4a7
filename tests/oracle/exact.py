"""Classes of transformers that compute all in float64, also what they would convert to float32 on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from . import reference

BATCH, TOKENS, TARGET = 2, 24, 17
SPREAD = 0.15  # of random weights
OWN_IDS = {  # of tables that have ids of their own: what switches these on, and how many there are
    "task_type_ids": (("use_task_id",), "task_type_vocab_size"),
    "input_shape_ids": (("concat_input", "enable_shape"), "shape_vocab_size"),
    "input_pronunciation_ids": (("concat_input", "enable_pronunciation"), "pronunciation_vocab_size"),
}
LOWEST = np.finfo(float).min
MARGIN = 8  # by which the scores of experts lie further apart
SPECIAL = ("A_log", "dt_bias", "time_decay", "time_first", "time_mix_key")  # kept near what the class sets
BOXED = ("bros", "layoutlm", "layoutlmv3", "lilt", "udop")
PAGE = 100
SCORES = ("gate.weight", "classifier.weight", "router.weight", "router.layer.weight")


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """Whatever asks for float32 by name gets float64; of equal scores the first is chosen, which torch leaves open."""
    single, cast, usual = torch.float32, torch.Tensor.float, torch.get_default_dtype()
    best, best_of = torch.topk, torch.Tensor.topk
    torch.topk = torch.Tensor.topk = _topk
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.float32 = torch.float = single
        torch.Tensor.float = cast  # type: ignore[method-assign]
        torch.topk, torch.Tensor.topk = best, best_of  # type: ignore[method-assign]
        torch.set_default_dtype(usual)


def _topk(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    values, places = torch.sort(x, dim=dim, descending=largest, stable=True)
    return torch.return_types.topk((values.narrow(dim, 0, k), places.narrow(dim, 0, k)))


def model(class_name: str, model_type: str, changes: dict[str, Any], attention: str = "eager") -> Any:
    """A model of a class with random weights; call it within ``float64``."""
    built = reference.build(class_name, model_type, changes, device="cpu").double()
    built.config._attn_implementation = attention
    generator = torch.Generator().manual_seed(5)
    for name, parameter in built.named_parameters():
        noise = SPREAD * torch.randn(parameter.shape, generator=generator)
        kept = parameter.ndim == 1 or name.endswith(SPECIAL)
        parameter.data = parameter.data.double() + noise if kept else noise
        if name.endswith(SCORES):
            parameter.data *= MARGIN  # no token stands between two experts
    return built


def inputs(built: Any, padding: int | None) -> dict[str, Any]:
    """Token ids, none of them special but for some at the end of the second text, if ``padding`` is given."""
    behind, each = reference.has_two_sides(built), reference.codebooks(built)
    rows = BATCH * (1 if behind else each)
    ids = torch.randint(10, 60, (rows, TOKENS), generator=torch.Generator().manual_seed(7))
    found = {"input_ids": ids}
    if behind:
        found["decoder_input_ids"] = torch.cat([ids.flip(1).roll(number, 1) for number in range(each)])[:, :TARGET]
    elif padding is not None:
        ids[-1, -3:] = padding
    if built.config.model_type in BOXED:  # boxes within the smallest table that is drawn
        upper_left = ids[..., None] // torch.tensor([2, 3])
        found["bbox"] = torch.cat([upper_left, upper_left + ids[..., None] % torch.tensor([7, 11])], dim=-1)
    if built.config.model_type == "udop":  # shares of the page
        found["bbox"] = found["bbox"] / PAGE
    for name, (switches, rows) in OWN_IDS.items():
        if all(getattr(built.config, switch, False) for switch in switches):
            found[name] = (ids * 7 + 3) % getattr(built.config, rows)
    if built.config.model_type == "tapas":  # cells of a few tokens each, in a table of two columns and two rows
        column, row = torch.arange(TOKENS) // 3 % 2 + ids * 0, torch.arange(TOKENS) // 6 % 2 + ids * 0
        found["token_type_ids"] = torch.stack([ids % 3 % 2, column, row, *[ids % 2] * 4], dim=-1)
        return found
    segments = getattr(built.config, "type_vocab_size", 0) or 0
    return found if segments < 2 else {**found, "token_type_ids": ids % segments}


def results(built: Any, given: dict[str, Any]) -> Any:
    """What a class gives."""
    with torch.no_grad():
        try:
            return built(**given)
        except (TypeError, ValueError):  # some classes know of segments, and of none here
            given.pop("token_type_ids", None)
            return built(**given)


def alike(results: Any, found: Any) -> Any:
    """What of a class's results is the same as a twin's: logits, or of a class without a head what it gives of all
    tokens [b q d], or of the one that it pools [b 1 d] where its last layer is a pooler.
    """
    if getattr(results, "logits", None) is not None:
        return results.logits.double().numpy()
    if getattr(results, "embeddings", None) is not None:
        return results.embeddings.double().numpy()
    if found.shape[1] > 1:
        return results.last_hidden_state.double().numpy()
    embedded = getattr(results, "text_embeds", None)
    return (results.pooler_output if embedded is None else embedded)[:, None].double().numpy()


def weights(built: Any) -> dict[str, Any]:
    """Everything that the class stores."""
    return {name: tensor.numpy() for name, tensor in built.state_dict().items()}


def difference(found: Any, wanted: Any) -> float:
    """The largest one, relative to the largest logit; what a class never predicts has the lowest number in both."""
    never = wanted == LOWEST
    if found.shape != wanted.shape or (found[never] != LOWEST).any():
        return float("inf")
    return float(np.abs(found - wanted)[~never].max() / np.abs(wanted)[~never].max())
