"""What tests of commands share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmcalc.cli.main import main

BAD_INPUT = 2


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Run a line that is bad input: exit code 2 and one message on stderr, which is what comes back."""

    def run(line: str) -> str:
        assert main(line.split()) == BAD_INPUT
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("error: ")
        assert printed.err.count("error:") == 1
        assert "Traceback" not in printed.err
        return printed.err

    return run
