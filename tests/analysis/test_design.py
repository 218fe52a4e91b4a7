"""Shapes for a target: counted exactly, proportioned as the family, and honest where nothing comes near."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.core.architecture import Architecture
from llmcalc.core.errors import InputError, UnknownNameError
from llmcalc.core.record import by_layer, forget
from llmcalc.schema import shape_search
from llmcalc.schema.shape_search import search
from llmcalc.schema.shapes import Design, Rules

PRESET = """\
name: own
title: Own
variables: {vocab: 1009, n_layers: 3, d_model: 256, n_heads: 4, n_kv_heads: 2, d_ff: 512}
architecture:
  stacks:
    decoder:
      d_model: $d_model
      norms: {pre: {rmsnorm: {}}}
      inputs: {token: {embedding: {rows: $vocab, share: token_embedding}}}
      blocks:
        block:
          attention: {gqa: {n_heads: $n_heads, n_kv_heads: $n_kv_heads}}
          mlp: {swiglu: {d_ff: $d_ff}}
      order: [{block: block, times: $n_layers}]
      outputs: {norm: {rmsnorm: {}}, head: {head: {vocab: $vocab, share: token_embedding}}}
"""
Capture = pytest.CaptureFixture[str]


def total(model: Architecture) -> int:
    return llmcalc.params(model).total


LIKE_LLAMA = search("llama3", 13 * 10**9, total)


def test_a_published_size_is_found_again() -> None:
    """The target is a size that exists: it comes first, to the last parameter."""
    for name in ("llama3-70b", "gpt3-13b", "mamba2-2.7b"):
        model = llmcalc.load(name)
        found = search(name.rpartition("-")[0], total(model), total, Rules(ranks=1))
        assert found.base == name
        assert found.candidates[0].off == 0
        assert found.candidates[0].architecture.stacks == model.stacks


def test_candidates_keep_the_rules() -> None:
    for rules in (Rules(), Rules(multiple=64, ranks=16), Rules(multiple=256, ranks=4, within=0.05)):
        found = search("llama3", 13 * 10**9, total, rules)
        assert found.near
        for candidate in found.candidates:
            sizes = candidate.sizes
            assert sizes["d_model"] % rules.multiple == sizes["d_ff"] % rules.multiple == 0
            assert sizes["n_heads"] % rules.ranks == 0
            assert sizes["n_heads"] % sizes["n_kv_heads"] == 0
            assert sizes["d_model"] == 128 * sizes["n_heads"], "heads are as wide as the family's"
            assert candidate.value == total(candidate.architecture)
            assert abs(candidate.off) <= rules.within


def test_the_overrides_make_the_model() -> None:
    best = LIKE_LLAMA.candidates[0]
    again = llmcalc.load(LIKE_LLAMA.base, overrides=best.overrides)
    assert again.stacks == best.architecture.stacks


def test_the_first_is_proportioned_most_like_the_family() -> None:
    unusual = [candidate.unusual for candidate in LIKE_LLAMA.candidates]
    assert unusual == sorted(unusual)
    assert LIKE_LLAMA.candidates[0].sizes["d_model"] == 5120  # as Llama-2-13B


@pytest.mark.parametrize("target", [5 * 10**9, 20 * 10**9, 40 * 10**9])
def test_leaving_a_rule_out_never_makes_it_worse(target: int) -> None:
    found = search("llama3", target, total)
    first = found.candidates[0]
    for label, best in found.without:
        if "the family's ratio" in label:
            assert abs(best.off) <= abs(first.off)
        else:
            assert best.unusual <= first.unusual or abs(best.off) <= found.rules.within < abs(first.off)


@pytest.mark.parametrize("family", ["deepseek-v3", "nemotron-h", "t5", "qwen3-moe", "jamba", "rwkv4", "switch", "bert"])
def test_every_sort_of_family_has_shapes(family: str) -> None:
    target = total(llmcalc.load(family)) // 2
    found = search(family, target, total, Rules(within=0.1))
    assert isinstance(found, Design)
    assert found.candidates
    assert all(candidate.value == total(candidate.architecture) for candidate in found.candidates)


def test_what_is_far_from_everything_is_said_to_be(capsys: Capture) -> None:
    assert main(["design", "nemotron-nas", "--params", "1B"]) in (0, 2)
    capsys.readouterr()
    assert main(["design", "llama3", "--params", "13B", "--within", "0.0001%", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert result["near"] is False
    offs = [abs(candidate["off"]) for candidate in result["candidates"]]
    assert offs == sorted(offs)


def test_an_unknown_family_is_an_error() -> None:
    with pytest.raises(UnknownNameError):
        search("lama33", 10**9, total)
    with pytest.raises(InputError):
        search("llama3", 10**9, total, Rules(ranks=10**6))


@pytest.mark.parametrize("words", [["--active", "3B"], ["--flops", "5e9", "--seq", "512"], ["--memory", "24GiB"]])
def test_other_targets(words: list[str], capsys: Capture) -> None:
    assert main(["design", "qwen3-moe", *words, "--within", "5%", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["result"]["near"]
    assert abs(data["result"]["candidates"][0]["value"] / data["inputs"]["target"] - 1) <= 0.05


def test_every_quantity_with_a_target_can_be_aimed_at() -> None:
    """The value of the first shape is that of the quantity's function, with the settings of the design."""
    found = llmcalc.design("llama3", state="1GiB", cache="fp8", seq=8192, within="20%").candidates[0]
    assert found.value == llmcalc.state(found.architecture, cache="fp8", seq=8192).bytes
    trained = llmcalc.design("llama3", memory="70GB", training=True, dp=8, zero=3, seq=128, within="9%").candidates[0]
    mesh = llmcalc.Mesh(dp=8, zero=3)
    assert trained.value == llmcalc.memory(trained.architecture, mode="training", mesh=mesh, seq=128).peak
    sent = llmcalc.design("llama3", communication="1GB", tp=4, seq=128, within="20%").candidates[0]
    assert sent.value == llmcalc.communication(sent.architecture, tp=4, seq=128).sent
    moved = llmcalc.design("llama3", traffic="8GB", mode="decode", context=99, seq=1, within="20%").candidates[0]
    assert moved.value == llmcalc.traffic(moved.architecture, mode="decode", context=99, seq=1).total
    with pytest.raises(InputError, match="quantity is 0"):
        llmcalc.design("bert", state="1GiB", seq=64)
    with pytest.raises(InputError, match="prefill: has no effect on state"):
        llmcalc.design("llama3", state="1GiB", prefill=5)
    with pytest.raises(TypeError, match="colour"):
        llmcalc.design("llama3", params="1B", colour=5)


def test_a_preset_file_of_ones_own_is_scaled(tmp_path: Path) -> None:
    """A file without sizes is a family with one size."""
    file = tmp_path / "own.yaml"
    file.write_text(PRESET, "utf-8")
    found = llmcalc.design(str(file), params="100M", tp=2, within="5%")
    best = found.candidates[0]
    assert found.near
    assert best.value == llmcalc.params(llmcalc.load(file, overrides=best.overrides)).total
    assert not found.unscaled


def test_sizes_that_do_not_grow_are_named(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(PRESET.replace("d_ff: 512", "").replace("$d_ff", "1009"), "utf-8")
    assert llmcalc.design(str(file), params="1B", tp=1, within="50%").unscaled == ("d_ff 1009",)
    assert not llmcalc.design("llama3", params="1B", within="50%").unscaled
    main(["design", str(file), "--params", "1B", "--tp", "1"])
    assert "! d_ff 1009 does not scale with d_model" in capsys.readouterr().out


def test_limits_of_every_quantity() -> None:
    checked = llmcalc.check("gpt2", select=["HW005"], max_state="1MiB", max_flops="1T", seq=64)
    sizes = {limit.name: (limit.ours, limit.kept) for limit in checked.limits}
    assert sizes["state"] == (llmcalc.state("gpt2", seq=64).bytes, False)
    assert sizes["FLOPs per token"] == (llmcalc.flops("gpt2", seq=64).total // 64, True)
    with pytest.raises(TypeError, match="max_colour"):
        llmcalc.check("gpt2", max_colour=5)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "one target"),
        (["--params", "1B", "--active", "1B"], "one target"),
        (["--params", "-1"], "--params"),
        (["--params", "many"], "--params"),
        (["--memory", "0GiB"], "--memory"),
        (["--params", "1B", "--tp", "0"], "--tp"),
        (["--params", "1B", "--multiple", "0"], "--multiple"),
        (["--params", "1B", "--within", "200%"], "--within"),
    ],
)
def test_bad_input_is_one_message(words: list[str], told: str, capsys: Capture) -> None:
    assert main(["design", "llama3", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert told in captured.err
    assert "Traceback" not in captured.err


def test_overrides_do_not_vary() -> None:
    fixed = ("vocab=64000", "n_kv_heads=4")
    found = llmcalc.design("llama3", params="3B", overrides=fixed, within="5%")
    assert found.near
    for candidate in found.candidates:
        assert not candidate.sizes.keys() & {"vocab", "n_kv_heads"}
        model = llmcalc.load(found.base, overrides=candidate.overrides)
        assert llmcalc.params(model).total == candidate.value
        assert model.stacks[0].runs[0].block.sublayers[0].branches[0].layer.n_kv_heads == 4  # type: ignore[attr-defined]
    deep = llmcalc.design("llama3", params="3B", overrides=["n_layers=50"], within="20%").candidates[0]
    assert deep.proportion == deep.sizes["d_model"] / 50
    assert deep.overrides[0] == "n_layers=50"
    with pytest.raises(InputError, match="cannot set d_model"):
        llmcalc.design("llama3", params="3B", overrides=["d_model=1024"])


def test_settings_meshes_and_variables_vary() -> None:
    over = {"weights": ["bf16", "nf4"], "tp": [1, 2], "vocab": [32000, 64000]}
    found = llmcalc.design("llama3", memory="24GiB", seq=64, over=over, within="9%")
    assert [tuple(settings.values()) for settings, _ in found.variants] == [*product(*over.values())]
    assert found.variants[0][1] == found.candidates[0]
    settings, best = found.variants[-2]
    assert settings == {"weights": "nf4", "tp": 2, "vocab": 32000}
    assert best.overrides[0] == "vocab=32000"
    mesh = llmcalc.Mesh(tp=2)
    assert best.value == llmcalc.memory(best.architecture, weights="nf4", mesh=mesh, seq=64).peak
    alone = llmcalc.design(
        "llama3", memory="24GiB", seq=64, weights="nf4", mesh=mesh, overrides=["vocab=32000"], within="9%"
    )
    assert alone.candidates[0] == best
    assert alone.variants == ()
    with pytest.raises(InputError, match="weights: cannot be both fixed and varied"):
        llmcalc.design("llama3", memory="24GiB", weights="nf4", over="weights=bf16,nf4")
    with pytest.raises(UnknownNameError, match="colour"):
        llmcalc.design("llama3", memory="24GiB", over="colour=1,2")


def test_the_best_shape_of_each_setting_is_printed(capsys: Capture) -> None:
    line = [
        "design",
        "llama3",
        "--traffic",
        "9GB",
        "--seq",
        "16",
        "--over",
        "kernels=fused,unfused",
        "--set",
        "vocab=999",
    ]
    assert main([*line, "--json"]) == 0
    variants = json.loads(capsys.readouterr().out)["result"]["variants"]
    assert [each["settings"] for each in variants] == [{"kernels": "fused"}, {"kernels": "unfused"}]
    assert main([*line, "--format", "plain"]) == 0
    text = capsys.readouterr().out
    assert "best shape by setting" in text
    assert "kernels=unfused" in text


def test_key_heads_resemble_those_of_the_family() -> None:
    """A shape changes the number of key heads, or the query heads for each, but not both."""
    found = llmcalc.design("llama3", params="13B")
    for sizes in (best.sizes for best in (*found.candidates, *(best for _, best in found.without))):
        n_keys, group = sizes["n_kv_heads"], sizes["n_heads"] / sizes["n_kv_heads"]
        assert 8 / 1.5 < n_keys < 8 * 1.5 or 4 / 1.5 < group < 4 * 1.5


def test_measured_shapes_keep_no_remembered_values() -> None:
    found = llmcalc.design("gpt-oss", memory="24GiB").candidates
    assert all(vars(each.architecture).keys() <= set(Architecture.__match_args__) for each in found[1:])


def test_shapes_that_share_layers_have_the_values_of_models_read_alone():
    published = llmcalc.latency("gpt-oss-20b", "h100:4").model.mesh
    found = llmcalc.design("gpt-oss-20b", latency="7ms", gpu="h100:4")
    layout = {name: getattr(published, name) for name in ("tp", "dp", "ep")}
    for shape in found.candidates:
        alone = llmcalc.latency(llmcalc.load("gpt-oss-20b", overrides=shape.overrides), "h100:4", **layout)
        assert shape.value == round(alone.seconds * 1e9)
    assert len({shape.sizes["n_layers"] for shape in found.candidates}) > 1


def test_shapes_of_another_depth_share_layers_of_other_runs():
    """The blocks of Gemma 3n differ, so that the runs of a deeper model have other numbers."""
    deep, shallow = llmcalc.load("gemma3n-e4b"), llmcalc.load("gemma3n-e4b", overrides=["n_layers=25"])
    alone = llmcalc.latency(shallow, "h100:4").seconds
    llmcalc.latency(deep, "h100:4")
    forget(shallow)
    shallow.__dict__.update(by_layer(deep))
    assert llmcalc.latency(shallow, "h100:4").seconds == alone


def test_a_width_is_left_out_after_one_depth_if_the_ranks_do_not_divide_it(monkeypatch):
    depths: dict[tuple[str, ...], list[str]] = {}
    build = shape_search.build_preset

    def counted(data, size, overrides, file, known):
        widths = tuple(each for each in overrides if not each.startswith("n_layers="))
        depths.setdefault(widths, []).append(next(each for each in overrides if each.startswith("n_layers=")))
        return build(data, size, overrides, file, known)

    monkeypatch.setattr(shape_search, "build_preset", counted)
    llmcalc.design("gpt-oss-20b", latency="10ms", gpu="h100:8")
    assert 10 < max(int(each[9:]) for own in depths.values() for each in own) < shape_search.DEEPEST
    once = [widths for widths, own in depths.items() if len(own) == 1]
    assert len(once) > 10
    for widths in once[:3]:
        with pytest.raises(InputError, match="does not divide"):
            llmcalc.latency(llmcalc.load("gpt-oss-20b", overrides=widths), "h100:8", tp=8)
