"""Entry point for ``python -m llmcalc``, for use when the ``llmcalc`` script is not installed."""

from __future__ import annotations

import sys

from .cli.main import script

if __name__ == "__main__":
    sys.exit(script())
