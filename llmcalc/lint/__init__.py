"""Lint rules for architectures, with stable codes.

    HW  inefficient shapes
    TP  shapes that do not divide evenly among ranks
    CF  suspicious configurations

A rule is a function named after its code in a module of this folder. It yields the place, message and advice of each
finding. Its title, reason and source are in ``data/rules.yaml``.
"""

from __future__ import annotations

from .finding import Finding, Site, sites
from .rules import Rule, codes, lint, rule

__all__ = ["Finding", "Rule", "Site", "codes", "lint", "rule", "sites"]
