"""The worker answers every message with plain data, and a mistake with one message."""

from __future__ import annotations

from llmcalc.web.worker import handle


def test_a_command_line_returns_its_document() -> None:
    found = handle({"kind": "run", "line": "params gpt3"})
    assert found["code"] == 0
    assert "174,604,259,328" in found["html"]
    assert found["html"].startswith("<!DOCTYPE html>")
    assert not found["text"]


def test_a_mistake_returns_its_message() -> None:
    found = handle({"kind": "run", "line": "llmcalc params nosuchmodel"})
    assert (found["code"], found["html"]) == (2, "")
    assert found["text"].startswith("error: unknown model 'nosuchmodel'")
