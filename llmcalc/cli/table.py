"""Module of every command, available without importing the commands.

A two-word name denotes a command in a group. What the commands ask in words is in ``data/questions.yaml``.
"""

from __future__ import annotations

PROGRAM = "llmcalc"
COMMANDS = {
    "params": "params",
    "flops": "step",
    "traffic": "step",
    "communication": "step",
    "memory": "step",
    "fit": "fit",
    "serve": "serve",
    "check-log": "measured",
    "latency": "latency",
    "calibrate": "measured",
    "rl": "rl",
    "scale": "scale",
    "train": "train",
    "plan": "plan",
    "sweep": "variations",
    "compare": "variations",
    "diff": "variations",
    "import": "import_preset",
    "explain": "explain",
    "help quantities": "explain",
    "formats list": "catalogues",
    "hardware list": "catalogues",
    "hardware show": "catalogues",
    "timeline": "presets",
    "laws list": "catalogues",
    "laws show": "catalogues",
    "verify": "verify",
    "evidence": "measured",
    "design": "variations",
    "check": "check",
    "rule": "check",
    "report": "report",
    "schema": "schema",
    "presets list": "presets",
    "presets show": "presets",
    "presets search": "presets",
    "presets kinds": "presets",
    "presets where": "presets",
    "web build": "web",
    "web serve": "web",
}
GROUPS = tuple(dict.fromkeys(name.split()[0] for name in COMMANDS if " " in name))
ALONE = {"web": "web serve"}  # command of a group that is given without one


def split(words: list[str]) -> tuple[str, list[str]]:
    """Split a command line into the command name (empty if there is none) and the remaining words.

    >>> split(["presets", "show", "gpt3"]), split(["params", "gpt3"]), split(["--help"])
    (('presets show', ['gpt3']), ('params', ['gpt3']), ('', ['--help']))
    """
    for length in (1, 2):
        name = " ".join(words[:length])
        if name in COMMANDS:
            return name, words[length:]
    if words and words[0] in ALONE and words[1:2] not in (["--help"], ["-h"]):
        return ALONE[words[0]], words[1:]
    return "", words
