"""Entry point for ``python -m llmcalc``, which works without an installed script."""

from __future__ import annotations

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
