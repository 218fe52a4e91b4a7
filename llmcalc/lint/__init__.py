"""What is suspicious about an architecture: rules with stable codes, each with its reason and source.

    HW  shapes that waste hardware
    TP  shapes that do not divide among ranks
    CF  configurations that are seldom meant

A rule is a function called by its code in one of this folder's files; its title, why it is there and who says so stand
in ``data/rules.yaml``. There is no list to keep.
"""

from __future__ import annotations

from .finding import Finding, Site, sites
from .rules import Rule, codes, lint, rule

__all__ = ["Finding", "Rule", "Site", "codes", "lint", "rule", "sites"]
