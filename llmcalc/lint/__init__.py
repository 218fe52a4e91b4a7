"""Lint rules for architectures, with stable codes.

    HW  inefficient shapes
    TP  shapes that do not divide evenly among ranks
    CF  suspicious configurations

A rule is a function in a module of this package, named after the rule's code. It yields the location,
message and advice for each finding. The rule's title, reason and source are defined in ``data/rules.yaml``.
"""

from __future__ import annotations

from .finding import Finding, Site, sites
from .rules import Rule, codes, lint, rule

__all__ = ["Finding", "Rule", "Site", "codes", "lint", "rule", "sites"]
