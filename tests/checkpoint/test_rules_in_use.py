"""Every line of rules is used by some model, or says in a comment which option needs it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import yaml

import llmcalc
from llmcalc.checkpoint import layouts, stored_tensors
from llmcalc.checkpoint.layouts import reader
from llmcalc.importers import gguf
from llmcalc.importers.hf import families
from llmcalc.schema import preset_files
from llmcalc.twins.checkpoint import STATES

OPTIONAL = "# optional: "
MARK = "§"
OPTIONS = yaml.safe_load(Path(__file__).with_name("options.yaml").read_text("utf-8"))


@pytest.fixture
def marked_lines(monkeypatch):
    """Marks every line of rules with a condition of its own; returns the location of each mark."""
    marks: dict[str, str] = {}
    read = reader._texts.__wrapped__

    def marked(file):
        found = {}
        for name, (first, text) in read(file).items():
            lines = text.split("\n")
            for index, line in enumerate(lines):
                if "<-" in line and "=>" not in line and OPTIONAL not in line:
                    mark = f"{MARK}{len(marks)}"
                    marks[mark] = f"{Path(file).parent.parent.name}/{Path(file).name}:{first + index}: {line.strip()}"
                    lines[index] = f"{line.partition('#')[0].rstrip()} {'' if '|' in line else '|'} {mark}"
            found[name] = first, "\n".join(lines)
        return found

    kept = {file: marked(file) for file in {file for _, file in reader.sections()}}
    monkeypatch.setattr(reader, "_texts", kept.__getitem__)
    caches = (reader.find_section, reader.rules_of, layouts.find_layout)
    for cached in caches:
        cached.cache_clear()
    yield marks
    for cached in caches:
        cached.cache_clear()


def _used(architecture, names):
    """The marks of the rules that an architecture uses in some of its layouts."""
    alone = len(architecture.stacks) == 1
    for name in names:
        try:
            layout = layouts.find_layout(name)
        except llmcalc.UnknownNameError:  # a type whose class never stores tensors
            continue
        for row in llmcalc.params(architecture).rows:
            holds = layouts.conditions_of(row.entry.layer, row.entry.stack, alone)
            rules = [rule for key in stored_tensors.layout_keys(row) for rule in layout.rules.get(key, ())]
            for rule in rules:
                marks = {word for word in rule.conditions if word.startswith(MARK)}
                if rule.conditions - marks - STATES <= holds:  # also as an alias
                    yield from marks


def test_every_replacement_of_published_names_has_an_effect():
    unused = {pair for name, _ in reader.sections() if name.startswith("@") for pair in _replacements(name)}
    for name in {name for _, names in _architectures() for name in names if "@" in name and "+" not in name}:
        base, _, family = name.partition("@")
        rules = layouts._rules(base) if reader.find_section(f"@{family}") else []
        for section, old, new in _replacements(f"@{family}") if rules else ():
            changed = [one for rule in rules for one in layouts._renamed(rule, old, new.split(", "))]
            unused -= {(section, old, new)} if changed != rules else set()
            rules = changed
    assert unused == set()


def _replacements(name):
    """(section, old, new) of each replacement of a section, and of those that it includes."""
    for line in reader.find_section(name).lines:
        if isinstance(line, reader.Include):
            yield from _replacements(line.section)
        elif not isinstance(line, str):
            yield name, *line


def _layouts(architecture):
    return [architecture.layout, layouts.published_name(architecture)] if architecture.layout else []


@cache
def _architectures():
    """Every family by its defaults and with options, every preset, and every GGUF architecture, with their layouts."""
    found = []
    for source in [*({"model_type": name} for name in families.names()), *OPTIONS, *preset_files.names()]:
        try:
            architecture = llmcalc.load(source)
        except llmcalc.InputError:
            if source in OPTIONS:
                raise
            continue  # a type without defaults
        found.append((architecture, _layouts(architecture)))
        if isinstance(source, dict):
            archs = [name for name in gguf.names() if gguf.find(name)["model_type"] == source.get("model_type")]
            found.append((architecture, [f"gguf:{name}{older}" for name in archs for older in ("", "+")]))
    return found


def test_every_line_of_rules_is_used_or_optional(marked_lines):
    used = {mark for architecture, names in _architectures() for mark in _used(architecture, names)}
    assert [place for mark, place in marked_lines.items() if mark not in used] == []
