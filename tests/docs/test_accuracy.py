"""The page of measured against predicted memory is what its script writes."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "accuracy.py"


@pytest.mark.skipif(not SCRIPT.is_file(), reason="the documentation is not here")
def test_the_page_is_up_to_date():
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
