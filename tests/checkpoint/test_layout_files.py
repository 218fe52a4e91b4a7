"""The text format of layouts, its errors, and the consistency of the shipped files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmcalc.checkpoint import layouts
from llmcalc.checkpoint.layouts import reader
from llmcalc.core.errors import DescriptionError

MARKS = {"i", "s", "t", "x", "a", "side", "block", "n"}
BASE = "# Comment\n[base]\na.{weight,bias} <- x.{w,b}\nc <- y.w | tied\n"


@pytest.fixture
def read(monkeypatch, tmp_path):
    """Reads a section of a text."""

    def read(text, name="case", file="case"):
        path = tmp_path / f"{file}.layout"
        path.write_text(text, "utf-8")
        monkeypatch.setattr(reader, "data_files", lambda *_, **__: (path,))
        return reader.rules_of(name)

    caches = (reader._texts, reader.find_section, reader.rules_of)
    for cached in caches:
        cached.cache_clear()
    yield read
    for cached in caches:
        cached.cache_clear()


def test_groups_of_equal_length_are_matched_and_others_combined(read):
    assert read("[case]\n{q,k,v}.{weight,bias} <- {w,b}{q,k,v}\n") == (
        "q.weight <- wq", "q.bias <- bq", "k.weight <- wk", "k.bias <- bk", "v.weight <- wv", "v.bias <- bv",
    )  # fmt: skip
    assert read("[case]\nx{0..2} <- y{1..3}\n") is not None


def test_indented_lines_continue_a_name(read):
    assert read("[case]\nm.{i}:\n  a <- x\n  b.c <- y | tied\nd <- z\n") == (
        "m.{i}.a <- x", "m.{i}.b.c <- y | tied", "d <- z",
    )  # fmt: skip


def test_an_include_replaces_adds_a_prefix_and_conditions(read):
    text = "[case]\n+ base | encoder  a. => b.\nm:\n  + base\n    c <- => d <-\n    weight => kernel\n"
    assert read(BASE + text) == (
        "b.weight <- x.w | encoder", "b.bias <- x.b | encoder", "c <- y.w | tied encoder",
        "m.a.kernel <- x.w", "m.a.bias <- x.b", "m.d <- y.w | tied",
    )  # fmt: skip


def test_an_include_in_braces_is_several_includes(read):
    assert read(BASE + "[case]\n+ base | {one,two}  c <- => {d,e} <-  a => {f,g}\n")[::3] == (
        "f.weight <- x.w | one", "g.weight <- x.w | two",
    )  # fmt: skip


def test_a_section_may_have_several_names_and_is_none_if_unknown(read):
    text = "[case\n other]  # comment\na <- x\n"
    assert read(text) == read(text, "other") == ("a <- x",)
    assert read(text, "another") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[case]\n+ nothing\n", "case:2: included section [nothing] is not defined"),
        ("[case]\n+ case\n", "case:2: included section [case] includes itself"),
        ("[case]\n+ part\n[part]\n+ case\n", "case:4: included section [case] includes itself"),
        (BASE + "[case]\n+ base  z => y\n", "case:6: no rule in section [base] contains 'z'"),
        ("[case]\nprefixes model.\n", "case:2: cannot parse 'prefixes model.'"),
        ("[case]\na <- x\nb => c\n", "case:3: cannot parse 'b => c'"),
        ("[case]\n{a,b} <- {x,y,z}\n", "case:2: brace groups differ in length: '{a,b} <- {x,y,z}'"),
        ("[case]\n{a,b} <- x\n", "case:2: brace groups differ in length: '{a,b} <- x'"),
        (BASE + "[case]\n+ base  {a,c} => {d,e,f}\n", "case:6: brace groups differ in length"),
        ("[case]\na <- x\n[part]\n[case]\n", "case:4: section [case] is defined twice"),
    ],
)
def test_mistakes_are_errors(read, text, message):
    with pytest.raises(DescriptionError, match=re.escape(message)):
        read(text)


def test_a_setting_may_precede_rules(read):
    read("[case]\nprefix model.\nrename a => b\nrename c => d\na <- x\n")
    assert reader.find_section("case").settings == {"prefix": ("model.",), "rename": ("a => b", "c => d")}


def test_every_shipped_section_is_read_and_defined_once():
    names = [name for name, _ in reader.sections()]
    assert len(names) == len(set(names)) + len(_in_several_rooms(names))
    for name in names:
        assert reader.rules_of(name) is not None


def _in_several_rooms(names):
    """Published names may be needed by families of several rooms; nothing else is defined twice."""
    return [name for name in set(names) if names.count(name) > 1 and name.startswith("@")]


def test_every_part_is_included():
    sections = {name: reader.find_section(name) for name, _ in reader.sections()}
    included = {line.section for section in sections.values() for line in section.lines if hasattr(line, "section")}
    assert included <= {*sections, "gguf.older"}
    assert {name for name in sections if "." in name and not name.startswith("@")} - included == {"gguf.older"}


def test_sections_at_home_include_none_of_the_zoo():
    home = {name for name, file in reader.sections() if "zoo" not in Path(file).parts}
    for name in home:
        for line in reader.find_section(name).lines:
            assert not isinstance(line, reader.Include) or line.section in home, (name, line.section)


def test_layouts_have_only_known_marks():
    for name, _ in reader.sections():
        if "." not in name and not name.startswith("@"):
            found = {mark for rule in reader.rules_of(name) for mark in re.findall(r"\{(.*?)\}", rule)}
            assert found <= MARKS, name


def test_every_layout_has_its_bare_form():
    for name, _ in reader.sections():
        if "." not in name and not name.startswith(("@", "gguf")):
            bare, whole = (layouts.find_layout(form).rules for form in (f"{name}.bare", name))
            assert bare.keys() == whole.keys()
