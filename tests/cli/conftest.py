"""What every command owes a mistake: one message, exit code 2, nothing on standard output."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmcalc.cli.main import main


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[[str, str], None]:
    """Run a command line that is wrong, and look for what has to be said."""

    def check(line: str, said: str) -> None:
        assert main(line.split()) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("error: ")
        assert said in printed.err
        assert printed.err.count("error:") == 1
        assert "Traceback" not in printed.err

    return check
