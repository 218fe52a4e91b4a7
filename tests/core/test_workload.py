"""Workloads: unsupported lengths are errors."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.core.errors import InputError
from llmcalc.core.workload import Workload, positions


@pytest.mark.parametrize(
    ("name", "limit"),
    [("gpt3", 2048), ("bert", 512), ("opt-6.7b", 2048), ("roberta", 512), ("llama3-8b", None), ("t5-small", None)],
)
def test_a_learned_table_is_a_limit(name: str, limit: int | None) -> None:
    model = llmcalc.load(name)
    assert positions(model) == limit
    if limit is None:
        assert llmcalc.flops(model, seq=10**6).total > 0
        return
    assert llmcalc.flops(model, seq=limit).total > 0
    for answer in (llmcalc.flops, llmcalc.state, llmcalc.memory):
        with pytest.raises(
            InputError, match=f"{limit + 1} tokens exceed the {limit} learned positions.*\n.*extend=True"
        ):
            _ = answer(model, seq=limit + 1).to_dict()
        assert answer(model, seq=limit + 1, extend=True).to_dict()


def test_cached_tokens_have_positions_too() -> None:
    model = llmcalc.load("gpt3")
    assert llmcalc.flops(model, mode="decode", seq=1, context=2047).total
    with pytest.raises(InputError, match="context: 2049 tokens"):
        _ = llmcalc.flops(model, mode="decode", seq=1, context=2048).total


@pytest.mark.parametrize("sizes", [{"batch": 0}, {"batch": -1}, {"seq": 0}, {"seq": 1.5}, {"context": 3}])
def test_what_is_no_workload(sizes: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Workload(**sizes)  # type: ignore[arg-type]


def test_what_is_left_out_is_one_prompt_of_text() -> None:
    told = Workload()
    assert (told.batch, told.seq, told.mode, told.context, told.patches) == (1, 2048, "forward", 0, 0)
    assert told == Workload(batch=1, seq=2048)


def test_patches_and_frames_need_an_encoder_that_reads_them() -> None:
    vision, audio = ({"model_type": name} for name in ("llava", "qwen2_audio"))
    for model, name in (("gpt2", "patches"), ("gpt2", "frames"), (vision, "frames"), (audio, "patches")):
        with pytest.raises(InputError, match=f"{name}: .* has no encoder"):
            _ = llmcalc.flops(model, seq=1000, **{name: 144}).total
    assert llmcalc.flops(vision, seq=1000, patches=576).total > llmcalc.flops(vision, seq=1000).total
