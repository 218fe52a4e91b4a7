"""Settings of all tests: hypothesis profiles, no configuration of the user's, and no suite without what it needs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import Phase, settings

# A fixed sequence of examples in CI, so that a commit is not failed by luck; a fresh one on a developer's machine.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("dev", deadline=None)
# Whether a test fails is all that matters, not by which smallest example.
settings.register_profile(
    "mutation", deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))

HAS_ORACLE = bool(find_spec("torch") and find_spec("transformers"))
HAS_BROWSER = bool(find_spec("playwright"))
collect_ignore = [*([] if HAS_ORACLE else ["oracle"]), *([] if HAS_BROWSER else ["browser"])]


def pytest_report_header() -> list[str]:
    """Say aloud that a suite is left out."""
    return [
        f"oracle suite: {'included' if HAS_ORACLE else 'left out, torch and transformers are not installed'}",
        f"browser suite: {'included' if HAS_BROWSER else 'left out, playwright is not installed'}",
    ]


@pytest.fixture(autouse=True)
def _no_user_presets(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Presets of whoever runs the tests must not change what is tested."""
    empty: Path = tmp_path_factory.getbasetemp() / "no-configuration"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(empty))
    monkeypatch.delenv("LLMCALC_PATH", raising=False)


HANG = 120  # seconds: no measure of speed, but far beyond what any machine takes for any input that is bounded at all


@pytest.fixture
def no_hang() -> Callable[[str], AbstractContextManager[None]]:
    """A guard for a ``with`` statement: it interrupts what never ends, and says what it was."""

    @contextmanager
    def guard(what: str) -> Iterator[None]:
        if not hasattr(signal, "SIGALRM"):
            yield
            return

        def interrupt(*_: object) -> None:
            raise AssertionError(f"hangs: {what[:600]}")

        before = signal.signal(signal.SIGALRM, interrupt)
        signal.alarm(HANG)
        try:
            yield
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)

    return guard
