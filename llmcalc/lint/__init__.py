"""Lint rules for architectures, with stable codes.

    HW  inefficient shapes
    TP  shapes that do not divide evenly among ranks
    CF  suspicious configurations

The modules of this package define each rule as a function named after the rule's code. The function yields the
location, message and advice for each finding. ``data/rules.yaml`` defines the rule's title, reason and source.
"""

from __future__ import annotations

from .finding import Finding
from .rules import Rule, codes, lint, rule

__all__ = ["Finding", "Rule", "codes", "lint", "rule"]
