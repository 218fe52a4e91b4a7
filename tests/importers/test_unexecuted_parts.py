"""The files that list tensors of modules that no text step executes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import llmcalc
from llmcalc.core.errors import SizeError, UnsupportedError
from llmcalc.core.zoo_search import PACKAGE
from llmcalc.data import read_table
from llmcalc.importers.hf.config import Config
from llmcalc.zoo.unexecuted_parts import FUNCTIONS, TENSORS, read_parts

FILES = sorted(Path(PACKAGE).glob("zoo/*/unexecuted_parts/*.yaml"))
SECTIONS = ["keys", "choices", "words", "ignored", "functions", "values", "checks", "include", "modules", "parts"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_declared_name_is_used(file):
    data = read_table(file.with_suffix(""))
    assert set(data) <= set(SECTIONS)
    including = [other.read_text() for other in FILES if f"include: {file.stem}\n" in other.read_text()]
    included = [file.with_stem(data["include"]).read_text()] if "include" in data else []
    text = "".join([file.read_text(), *including, *included])
    signatures = [*data.get("functions", {}), *data.get("modules", {})]
    keys = [key for names in data.get("keys", {}).values() for key in names.split()]
    for name in (*keys, *data.get("values", {}), *(signature.partition("(")[0] for signature in signatures)):
        assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{name} is declared and never used"


def test_every_function_is_used():
    text = "".join(file.read_text() for file in FILES)
    assert [name for name in (*FUNCTIONS, *TENSORS) if f"{name}(" not in text] == []


@pytest.mark.parametrize("model_type", ["encodec", "mimi", "wavtokenizer_encoder", "janus_vqgan", "emu3_vqgan"])
def test_the_defaults_of_a_class_are_a_part(model_type):
    stacks = read_parts(Config({}, model_type, ""), "codec")
    assert all(stack.unused and stack.outputs for stack in stacks)


def test_errors_name_the_part():
    with pytest.raises(UnsupportedError, match="modules of type 'dac' are not supported"):
        read_parts(Config({}, "dac", "here"), "codec")
    with pytest.raises(SizeError, match="hidden_size \\(7\\) must be the width"):
        read_parts(Config({"hidden_size": 7}, "emu3_vqgan", "here"), "codec")
    with pytest.raises(SizeError, match="the sizes of encodec are inconsistent"):
        read_parts(Config({"codebook_size": 1}, "encodec", "here"), "codec")
    with pytest.raises(SizeError, match="repeated modules exceed the limit"):
        read_parts(Config({"target_bandwidths": [1e9]}, "encodec", "here"), "codec")


def test_a_part_has_a_largest_number_of_tensors():
    with pytest.raises(SizeError, match="more than 20,000 tensors"):
        llmcalc.load({"model_type": "evolla", "resampler_depth": 5000})
