"""Settings of all tests: hypothesis profiles, no configuration of the user's, and no oracle suite without its peers."""

from __future__ import annotations

import os
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
collect_ignore = [] if HAS_ORACLE else ["oracle"]


def pytest_report_header() -> str:
    """Say aloud that a suite is left out."""
    return f"oracle suite: {'included' if HAS_ORACLE else 'left out, torch and transformers are not installed'}"


@pytest.fixture(autouse=True)
def _no_user_presets(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Presets of whoever runs the tests must not change what is tested."""
    empty: Path = tmp_path_factory.getbasetemp() / "no-configuration"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(empty))
    monkeypatch.delenv("LLMCALC_PATH", raising=False)
