"""Every preset that ships: it loads, and gives the counts that are published for it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

import llmcalc
from llmcalc.core.architecture import Expectation
from llmcalc.schema import preset_files
from llmcalc.schema.yaml_reader import read_yaml

FOLDER = Path(preset_files.shipped_folder())
FILES = {file.stem: preset_files.read_preset(file) for file in sorted(FOLDER.glob("*.yaml"))}
MODELS = [f"{stem}-{size}" for stem, data in FILES.items() for size in data["sizes"]]
SOURCES = Path(llmcalc.__file__).parent / "data" / "sources.yaml"
QUANTITIES = {"params": "total", "active": "active", "embedding": "embedding", "non_embedding": "non_embedding"}


class Figure(NamedTuple):
    """A published figure of a model."""

    model: str
    expected: Expectation

    def __str__(self) -> str:
        return f"{self.model} {self.expected.quantity} {self.expected.printed or self.expected.value}"

    @property
    def holds(self) -> bool:
        """Whether the preset gives the figure within its rounding."""
        counted: int = getattr(llmcalc.params(llmcalc.load(self.model)), QUANTITIES[self.expected.quantity])
        return abs(counted - self.expected.value) <= self.expected.tolerance * self.expected.value


FIGURES = [Figure(model, expected) for model in MODELS for expected in llmcalc.load(model).expect]


@pytest.mark.parametrize("model", MODELS)
def test_every_size_loads_under_its_own_name(model: str) -> None:
    architecture = llmcalc.load(model)
    assert architecture.name == model
    assert llmcalc.params(architecture).total > 0


@pytest.mark.parametrize("figure", [figure for figure in FIGURES if not figure.expected.note], ids=str)
def test_a_published_figure_is_reproduced(figure: Figure) -> None:
    assert figure.holds


@pytest.mark.parametrize("figure", [figure for figure in FIGURES if figure.expected.note], ids=str)
def test_a_note_explains_a_difference_that_exists(figure: Figure) -> None:
    assert not figure.holds


def test_every_tolerance_can_tell_a_wrong_count() -> None:
    """At most half a unit of a single digit from 3 on: half a unit of ``1B``, ±50 %, holds for nearly any count."""
    assert [str(figure) for figure in FIGURES if figure.expected.tolerance > 0.16667] == []


@pytest.mark.parametrize("stem", FILES)
def test_a_file_is_called_like_its_family_and_says_where_it_comes_from(stem: str) -> None:
    data = FILES[stem]
    assert data["name"] == stem
    assert data["title"]
    assert data["default"] in data["sizes"]
    assert set(data.get("expect") or {}) <= set(data["sizes"])
    assert set(data.get("notes") or {}) <= {"all", *data["sizes"]}


def test_every_name_means_one_model() -> None:
    given = [*FILES, *MODELS, *(alias for data in FILES.values() for alias in data.get("aliases") or {})]
    assert sorted(given) == sorted(set(given))


def test_every_citation_is_known() -> None:
    known = read_yaml(SOURCES.read_text("utf-8"), SOURCES.name).data
    cited = {str(data["source"]) for data in FILES.values() if data.get("source")}
    cited |= {figure.expected.source.split()[0].rstrip(",:") for figure in FIGURES}
    assert sorted(cited - set(known)) == []


# Exact counts: of the checkpoints where there are any, otherwise of the sizes that the papers print.
EXACT = """
transformer-base       63_045_632
gpt-1                 116_534_784
gpt2-small            124_439_808
gpt2-xl             1_557_611_200
gpt3-small            125_226_240
gpt3-xl             1_315_723_264
gpt3-13b           12_853_386_240
gpt3              174_604_259_328
bert-base             109_482_240
bert-large            335_141_888
bert-large-cased      333_579_264
roberta-large         355_359_744
albert-xxlarge        222_595_584
t5-small               60_506_624
t5-11b             11_307_321_344
t5-v1.1-xxl        11_135_332_352
bart-base             139_420_416
bart-large            406_291_456
switch-base-8         619_339_008
switch-base-128     7_415_217_408
switch-large-128   26_309_291_008
palm-8b             8_631_877_632
palm-62b           62_495_129_600
palm              540_354_281_472
mamba-130m            129_135_360
mamba-2.8b          2_768_345_600
mamba2-2.7b         2_702_599_680
hyena-125m-slim       126_162_048
hyena-355m            359_519_488
rwkv4-169m            169_342_464
rwkv4-14b          14_148_597_760
opt-350m              331_196_416
opt-175b          174_604_468_224
bloom-560m            559_214_592
bloom             176_247_271_424
gpt-neox-20b       20_554_567_680
pythia-6.9b         6_857_302_016
gpt-j-6b            6_050_882_784
falcon-7b           6_921_720_704
falcon-180b       178_557_088_768
"""


@pytest.mark.parametrize(("model", "count"), [line.split() for line in EXACT.strip().splitlines()])
def test_exact_counts(model: str, count: str) -> None:
    assert llmcalc.params(llmcalc.load(model)).total == int(count)


def test_switch_routes_a_token_to_one_expert() -> None:
    sparse, dense = (llmcalc.params(llmcalc.load(name)) for name in ("switch-base-128", "t5-base"))
    n_sparse_layers, d_model, n_experts = 12, 768, 128
    assert sparse.active == dense.total + n_sparse_layers * d_model * n_experts


def test_pretraining_heads_stand_beside_the_total() -> None:
    bert = llmcalc.params(llmcalc.load("bert-base"))
    assert bert.total + sum(count for _, count in bert.extras) == 110_106_428
    roberta = llmcalc.params(llmcalc.load("roberta"))
    assert [extra.name for extra, _ in roberta.extras] == ["masked language model head"]


def test_one_albert_block_is_stored_and_many_are_applied() -> None:
    albert = llmcalc.load("albert-large")
    assert albert.main.n_layers == 24
    counts = llmcalc.params(albert).by_layer
    assert counts[0] > 0
    assert set(counts[1:]) == {0}
