"""Both parsers read the same declarations, and every well-formed command line alike."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcalc.cli import typer_app
from llmcalc.cli.commands import load
from llmcalc.cli.parser import UsageError, read
from llmcalc.cli.spec import Command, Option
from llmcalc.cli.table import COMMANDS, GROUPS, split
from llmcalc.core.errors import InputError

heard: list[dict[str, Any]] = []


def listener(command: Command) -> Callable[..., int]:
    def listen(**values: Any) -> int:
        heard.append(values)
        return 0

    return listen


APPLICATION = typer_app.application(listener)


def by_typer(name: str, words: list[str]) -> dict[str, Any]:
    heard.clear()
    APPLICATION(args=[*name.split(), *words], prog_name="llmcalc", standalone_mode=False)
    return heard[0]


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
words_alone = texts.filter(lambda text: not text.startswith("-")) | st.just("-")


def spelled(option: Option) -> st.SearchStrategy[list[str]]:
    """An option as it may be typed."""
    if option.kind is bool:
        return st.just([option.flag])
    values = st.sampled_from(option.choices) if option.choices else texts
    if option.kind is int:
        values = st.integers(0, 10**9).map(str)
    values = values.filter(lambda value: not value.startswith("-"))
    return values.flatmap(lambda value: st.sampled_from([[option.flag, value], [f"{option.flag}={value}"]]))


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A command, and well-formed words for it in any order."""
    name = draw(st.sampled_from(sorted(COMMANDS)))
    command = load(name)
    parts = [
        part
        for option in command.options.values()
        for part in draw(st.lists(spelled(option), max_size=1 if option.flag == "--gpu" else 2))  # not read twice
    ]
    for argument in command.arguments:
        count = draw(st.integers(argument.least, argument.least + 3)) if argument.many else 1
        parts += [[draw(words_alone)] for _ in range(count)]
    return name, [word for part in draw(st.permutations(parts)) for word in part]


@settings(max_examples=300, deadline=None)
@given(command_lines())
def test_both_parsers_read_every_well_formed_line_alike(line: tuple[str, list[str]]) -> None:
    name, words = line
    assert read(load(name), words) == by_typer(name, words)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(COMMANDS)),
    st.lists(words_alone | st.from_regex(r"--?[a-z=]{0,8}", fullmatch=True), max_size=5),
)
def test_what_the_quick_parser_accepts_is_what_typer_hears(name: str, words: list[str]) -> None:
    with suppress(UsageError, InputError):
        values = read(load(name), words)
        assert values == by_typer(name, words)


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


@pytest.mark.parametrize("words", [["gpt3", "--set", "--json"], ["--", "gpt3"], ["-"], ["gpt3", "--set=-1"]])
def test_words_that_look_like_options_are_read_as_typer_reads_them(words: list[str]) -> None:
    assert read(load("params"), words) == by_typer("params", words)


def test_the_comparison_of_parsers_can_fail() -> None:
    assert read(load("params"), ["a"]) != by_typer("params", ["b"])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_agrees_with_the_modules(name: str) -> None:
    command = load(name)
    assert command.name == name
    assert command.help.endswith(".")
    assert split(name.split()) == (name, [])
    assert len(name.split()) == 1 or name.split()[0] in GROUPS
    names = [parameter.name for parameter in command.parameters]
    assert len(set(names)) == len(names)
