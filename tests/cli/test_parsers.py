"""The parser reads every well-formed command line as the declarations of its command say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcalc.cli.commands import load
from llmcalc.cli.parser import UsageError, read
from llmcalc.cli.spec import Option
from llmcalc.cli.table import COMMANDS, GROUPS, split
from llmcalc.core.errors import InputError

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
words_alone = texts.filter(lambda text: not text.startswith("-")) | st.just("-")


def spelled(option: Option) -> st.SearchStrategy[tuple[Option, Any, list[str]]]:
    """An option, its value, and the words that may be typed."""
    if option.kind is bool:
        return st.just((option, True, [option.flag]))
    values: st.SearchStrategy[Any] = st.sampled_from(option.choices) if option.choices else texts
    if option.kind is int:
        values = st.integers(0, 10**9)
    return values.filter(lambda value: not str(value).startswith("-")).flatmap(
        lambda value: st.sampled_from(
            [(option, value, [option.flag, str(value)]), (option, value, [f"{option.flag}={value}"])]
        )
    )


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[str, list[str], dict[str, Any]]:
    """A command, well-formed words for it in any order, and the values that they mean."""
    name = draw(st.sampled_from(sorted(COMMANDS)))
    command = load(name)
    parts: list[tuple[Option | None, Any, list[str]]] = [
        part
        for option in command.options.values()
        for part in draw(st.lists(spelled(option), max_size=1 if option.flag == "--gpu" else 2))  # not read twice
    ]
    for argument in command.arguments:
        count = draw(st.integers(argument.least, argument.least + 3)) if argument.many else 1
        words = [draw(words_alone) for _ in range(count)]
        parts += [(None, word, [word]) for word in words]
    parts = draw(st.permutations(parts))
    meant = {option.name: [] if option.repeatable else option.default for option in command.options.values()}
    for option, value, _ in parts:
        if option is not None:
            meant[option.name] = [*meant[option.name], value] if option.repeatable else value
    alone = [value for option, value, _ in parts if option is None]
    for argument in command.arguments:
        meant[argument.name] = alone if argument.many else alone.pop(0)
    return name, [word for _, _, words in parts for word in words], meant


@settings(max_examples=300, deadline=None)
@given(command_lines())
def test_every_well_formed_line_is_read_as_it_is_meant(line: tuple[str, list[str], dict[str, Any]]) -> None:
    name, words, meant = line
    assert read(load(name), words) == meant


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["gpt3", "gpt2"],
        ["gpt3", "--jsn"],
        ["gpt3", "--json=1"],
        ["gpt3", "--by"],
        ["gpt3", "--by", "layr"],
        ["gpt3", "--set"],
        ["gpt3", "--", "--json"],
        ["gpt3", "-h"],
        ["gpt3", "--help"],
        ["gpt3", "--js"],
    ],
)
def test_what_is_not_well_formed_is_an_error(words: list[str]) -> None:
    with pytest.raises((UsageError, InputError)):
        read(load("params"), words)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["gpt3", "--set", "--json"], {"model": "gpt3", "overrides": ["--json"]}),
        (["--", "gpt3"], {"model": "gpt3"}),
        (["--", "--json"], {"model": "--json"}),
        (["-"], {"model": "-"}),
        (["gpt3", "--set=-1"], {"model": "gpt3", "overrides": ["-1"]}),
    ],
)
def test_words_that_look_like_options(words: list[str], meant: dict[str, Any]) -> None:
    usual = read(load("params"), ["gpt2"])
    assert read(load("params"), words) == {**usual, **meant}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_agrees_with_the_modules(name: str) -> None:
    command = load(name)
    assert command.name == name
    assert command.help.endswith(".")
    assert split(name.split()) == (name, [])
    assert len(name.split()) == 1 or name.split()[0] in GROUPS
    names = [parameter.name for parameter in command.parameters]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", [name for name in sorted(COMMANDS) if "--gpu" in load(name).options])
def test_a_gpu_may_follow_the_other_arguments(name: str) -> None:
    command = load(name)
    if any(each.many or not each.least for each in command.arguments):  # which take the word themselves
        return
    words = ["a"] * len(command.arguments)
    assert read(command, [*words, "h100:8"]) == read(command, [*words, "--gpu", "h100:8"])
    with pytest.raises(UsageError, match="extra argument"):
        read(command, [*words, "h100:8", "--gpu", "h100"])
