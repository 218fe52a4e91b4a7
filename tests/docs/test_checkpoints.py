"""The page about checkpoints names what is understood, all of it."""

from __future__ import annotations

from pathlib import Path

from llmcalc.checkpoint.quantisation.read import METHODS
from llmcalc.importers.gguf import names

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "checkpoints.md").read_text("utf-8")


def test_every_architecture_of_gguf_is_named() -> None:
    listed = PAGE.partition("architectures are supported: ")[2]
    assert [part.strip().strip("`.") for part in listed.replace("\n", " ").split(",")] == names()


def test_every_method_of_quantisation_is_named() -> None:
    assert all(f"`{method}`" in PAGE for method in METHODS)
