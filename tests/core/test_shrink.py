"""Small architectures keep the structure of the large ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

import llmcalc
from llmcalc import layers
from llmcalc.core.layer import Layer
from llmcalc.core.ledger import entries
from llmcalc.core.part import Part, nested_fields
from llmcalc.core.record import fields, record
from llmcalc.core.shrink import SEQ, Sizes, rules
from llmcalc.core.shrink_tower import PATCHES
from llmcalc.layers import Linear

MODELS = ["gpt3", "llama3", "gemma3-27b", "deepseek-v3", "jamba", "t5", "albert", "llama4", "nemotron-h", "qwen3-next"]


@pytest.mark.parametrize("model", MODELS)
def test_kinds_ties_and_switches_are_kept(model: str) -> None:
    large = llmcalc.load(model)
    small = large.shrink()

    def switches(architecture: llmcalc.Architecture) -> set[str]:
        return {
            f"{entry.layer.kind()}.{name}={value}"
            for entry in entries(architecture)
            for name, value in vars(entry.layer).items()
            if isinstance(value, (bool, str)) or value is None
        }

    assert small.name == f"{large.name} (shrunk)"
    assert switches(small) == switches(large)
    assert llmcalc.params(small).total < 10**6


def test_ratios_and_order_are_kept() -> None:
    small = llmcalc.load("deepseek-v3").shrink()
    names = [run.block.name for run in small.stacks[0].runs]
    assert names == [run.block.name for run in llmcalc.load("deepseek-v3").stacks[0].runs]
    moe = next(entry.layer for entry in entries(small) if entry.layer.kind() == "moe")
    assert moe.n_experts % moe.expert_groups.n == 0
    assert moe.top_k < moe.n_experts
    assert moe.expert_groups.top < moe.expert_groups.n


def test_a_window_is_shorter_than_the_test() -> None:
    layers = [
        entry.layer for entry in entries(llmcalc.load("gemma3-27b").shrink()) if entry.layer.kind() == "attention"
    ]
    windows = {layer.window for layer in layers}
    assert None in windows
    assert all(window < SEQ for window in windows if window)


def test_sizes_are_distinct() -> None:
    layer = next(entry.layer for entry in entries(llmcalc.load("llama3").shrink()) if entry.layer.kind() == "attention")
    sizes = [layer.d_model, layer.n_heads, layer.n_kv_heads, layer.d_head]
    assert len(set(sizes)) == len(sizes)


def test_a_large_model_and_its_smaller_sister_shrink_alike() -> None:
    assert llmcalc.load("llama3-8b").shrink().stacks == llmcalc.load("llama3-70b").shrink().stacks


def layers_by_place(architecture: llmcalc.Architecture) -> dict[tuple[str, ...], Layer]:
    found = {}
    for entry in entries(architecture):
        block = "" if entry.run is None else entry.stack.runs[entry.run].block.name
        found[entry.stack.name, entry.section, block, entry.sublayer or "", entry.name] = entry.layer
    return found


@pytest.mark.parametrize("model", [*MODELS, "switch", "mixtral", "deepseek-v4", "kimi-linear", "hyena", "pegasus"])
def test_what_there_is_one_of_stays_one_and_the_rest_is_small(model: str) -> None:
    architecture = llmcalc.load(model)
    large, small = layers_by_place(architecture), layers_by_place(architecture.shrink())
    assert large.keys() == small.keys()
    for place, layer in large.items():
        sizes = {path: value for path, value, *_ in nested_fields(small[place])}
        for name, before, *_ in nested_fields(layer):
            if type(before) is int:
                after = sizes[name]
                assert type(after) is int, (place, name)
                assert (before <= 1) == (after <= 1), (place, name, before, after)
                assert 0 <= after < 400, (place, name, before, after)


RULE = re.compile(r"(always ?)?(keep|related|at most \d+|([a-z_]+)?( ?\d+)*)( if [a-z_]+)?")


def records() -> Iterator[type[Part]]:
    """Yield every kind and every part of one, including inner parts."""
    waiting = [layers.find(kind)[0] for kind in layers.kinds()]
    while waiting:
        found: Any = waiting.pop()
        yield found
        waiting += [part for choices in found.PARTS.values() for part in choices]


@pytest.mark.parametrize("found", sorted(set(records()), key=str), ids=lambda found: found.__name__)
def test_rules_are_valid_and_belong_to_sizes(found: Any) -> None:
    declared = {entry.name: str(entry.type) for entry in fields(found)}
    for name, rule in rules(found).items():
        if name != "d_model" or "d_model" in declared:
            assert declared[name].startswith("int"), f"{found.__name__}.{name} is not a size"
        assert RULE.fullmatch(rule), f"{found.__name__}.{name}: {rule}"
        assert rule.partition(" if ")[2] in {"", *declared}
    for field in filter(None, (getattr(found, "INPUT_WIDTH", ""), getattr(found, "OUTPUT_WIDTH", ""))):
        assert field == "d_model" or field in declared


def test_kinds_agree_on_the_sizes_of_a_role() -> None:
    pools: dict[str, set[str]] = {}
    for found in records():
        for name, rule in rules(found).items():  # type: ignore[arg-type]
            words = rule.removeprefix("always").partition(" if ")[0].split()
            if words and words[0] not in ("keep", "related", "at", "width"):
                role = words.pop(0) if not words[0].isdecimal() else name
                pools.setdefault(role, set()).add(" ".join(words))
    assert {role: sizes for role, sizes in pools.items() if len(sizes) > 1} == {}


@record
class Option(Part):
    """A part with sizes."""

    free: int = 1
    limit: int = 1
    theta: float = 1.0

    SHRINK: ClassVar[dict[str, str]] = {"limit": "chosen 7 5"}


@record
class Sketch(Layer):
    """A kind with a field for each form of rule."""

    d_model: int
    d_other: int
    free: int
    again: int = 1
    usual: int = 6
    kept: int = 1
    low: int = 1
    odd: int = 1
    chosen: int = 1
    shared: int = 1
    needed: int = 6
    switch: bool = False
    dependent: int = 6
    derived: int = 1
    factor: float = 1.0
    option: Option | None = None

    PARTS: ClassVar[dict[str, tuple[type[Part], ...]]] = {"option": (Option,)}
    SHRINK: ClassVar[dict[str, str]] = {
        "d_other": "width",
        "kept": "keep",
        "low odd": "at most 4",
        "chosen": "7 5",
        "shared": "chosen 7 5",
        "needed": "always 3",
        "dependent": "always 3 if switch",
        "derived": "related",
    }

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        return {"derived": 2 * small["free"]}


def shrunk(sizes: Sizes, **values: Any) -> Sketch:
    return sizes.layer(Sketch(**{"d_model": 4096, "d_other": 1024, "free": 600, **values}))  # type: ignore[return-value]


def test_a_field_without_a_rule_becomes_a_new_prime() -> None:
    sizes = Sizes()
    small = shrunk(sizes, again=600)
    assert len({small.d_model, small.d_other, small.free, small.again}) == 4
    assert all(number % divisor for number in (small.free, small.again) for divisor in range(2, number))
    assert shrunk(sizes).free == small.free
    assert shrunk(sizes, free=601).free not in (small.free, small.d_model)


def test_sizes_of_parts_shrink_and_other_numbers_stay() -> None:
    sizes = Sizes()
    small = shrunk(sizes, chosen=500, factor=500, option=Option(free=600, limit=500, theta=10_000))
    assert small.option == Option(free=small.free, limit=7, theta=10_000)
    assert (small.factor, small.chosen) == (500, 7)


def test_equal_widths_stay_equal() -> None:
    sizes = Sizes()
    small = shrunk(sizes, d_other=4096)
    assert small.d_other == small.d_model
    assert shrunk(sizes, d_model=1024, d_other=4096).d_other == small.d_model


def test_each_form_of_rule() -> None:
    sizes = Sizes()
    small = shrunk(sizes, kept=9000, low=3, odd=9001, chosen=50, shared=50, derived=9)
    assert (small.kept, small.low, small.odd) == (9000, 3, 3)
    assert (small.chosen, small.shared) == (7, 7)
    assert (small.usual, small.needed, small.dependent) == (6, 3, 6)
    assert small.derived == 2 * small.free
    assert shrunk(sizes, chosen=51).chosen == 5
    assert shrunk(sizes, switch=True).dependent == 3
    assert shrunk(sizes, odd=9000).odd == 4
    assert shrunk(sizes, usual=7).usual not in (6, 7)


def test_widths_are_multiples_of_the_parts_that_kinds_split_them_into() -> None:
    assert shrunk(Sizes(6)).d_model % 6 == 0
    deberta = llmcalc.load({"model_type": "deberta"}).shrink()
    assert (deberta.main.d_model % 6, layer_of(deberta, "disentangled_attention").n_heads) == (0, 3)


def layer_of(architecture: llmcalc.Architecture, kind: str) -> Any:
    return next(entry.layer for entry in entries(architecture) if entry.layer.kind() == kind)


def small(model_type: str) -> llmcalc.Architecture:
    return llmcalc.load({"model_type": model_type}).shrink()


def test_a_size_of_one_stays_one_and_a_subclass_replaces_a_rule() -> None:
    assert shrunk(Sizes(), free=1).free == 1

    @record
    class Kept(Sketch):
        SHRINK: ClassVar[dict[str, str]] = {"low": "keep"}

    layer = Sizes().layer(Kept(4096, 1024, 600, low=9000, odd=9000))
    assert (layer.low, layer.odd) == (9000, 4)  # type: ignore[attr-defined]


def test_related_sizes_match() -> None:
    attention = layer_of(llmcalc.load("llama3").shrink(), "attention")
    assert (attention.n_kv_heads, attention.n_heads) == (3, 3 * 2)
    assert (attention.rope.dim, attention.d_head_v) == (attention.d_head, attention.d_head)
    partly = layer_of(llmcalc.load("pythia").shrink(), "attention")
    assert partly.rope.dim == partly.d_head // 4 * 2 < partly.d_head
    local = layer_of(small("longformer"), "local_attention")
    assert (local.window % 2, local.padded_to % local.window, local.n_heads) == (0, 0, 3)
    experts = layer_of(llmcalc.load("deepseek-v3").shrink(), "moe")
    assert (experts.expert_groups.n, experts.n_experts, experts.top_k) == (3, 3 * 4, 2)


def test_rotary_factors_have_one_per_pair() -> None:
    factors = " ".join(["1.5"] * 64)
    rope = {"scaling": {"longrope": {"length": 4096, "factors": f"{factors} | {factors}"}}}
    large = layers.find("attention")[0](n_heads=32, d_model=4096, rope=rope)  # type: ignore[call-arg]
    found = Sizes().layer(large).rope  # type: ignore[attr-defined]
    assert [len(part.split()) for part in found.scaling.factors.split("|")] == [found.dim // 2] * 2
    assert found.scaling.length == 8 < SEQ
    learned = layer_of(small("mistral_large4_text"), "mla")
    assert learned.rope_learned == learned.qk_rope_head_dim // 2


def test_concatenated_widths_add_up() -> None:
    zamba = small("zamba")
    assert layer_of(zamba, "attention").inputs.width == 2 * zamba.main.d_model
    mobilebert = small("mobilebert")
    head, stream = layer_of(mobilebert, "head"), mobilebert.main.d_model
    assert (head.d_model, head.d_model + head.d_rest) == (7, stream)
    linear = next(layer for _, layer in mobilebert.main.inputs if isinstance(layer, Linear))
    assert linear.sequence
    assert linear.d_in == linear.sequence.neighbours * head.d_model
    assert linear.sequence.neighbours > 1
    blt = small("blt")
    vectors = max(getattr(entry.layer, "n_vectors", 1) for entry in entries(blt))
    assert vectors > 1
    assert {stack.d_model * vectors for stack in blt.stacks} & {stack.d_model for stack in blt.stacks}
    box = small("layoutlmv2")
    edges = layer_of(box, "box_embedding")
    assert 4 * edges.d_edge + 2 * edges.d_size in {stack.d_model for stack in box.stacks}


def test_models_whose_layers_read_earlier_layers_keep_all_runs() -> None:
    large = llmcalc.load({"model_type": "inkling2_text"})
    assert layer_of(large, "depth_attention")
    assert len(large.shrink().main.runs) == len(large.main.runs)


def test_vision_encoders_fit_the_test_image() -> None:
    """A position table has one row per patch and class token, and merged patches are concatenated."""
    llava, qwen, vip = (small(name).stacks[-1] for name in ("llava", "qwen3_vl", "vipllava"))
    tables = [layer for _, layer in llava.inputs if getattr(layer, "table", "") == "position"]
    assert [table.rows for table in tables] == [PATCHES + 1]  # type: ignore[attr-defined]
    merged = next(layer for _, layer in qwen.outputs if layer.kind() == "linear")
    assert merged.d_in == merged.merge * qwen.d_model  # type: ignore[attr-defined]
    features = layer_of(small("vipllava"), "features")
    linear = next(layer for _, layer in vip.outputs if layer.kind() == "linear")
    assert linear.d_in == features.n_concatenated_streams() * vip.d_model  # type: ignore[attr-defined]
