"""Which commands there are, in which module each lives, and its one-line help: all that is known before one is invoked.

A name of two words is a command of a group. Tests hold this table against the modules.
"""

from __future__ import annotations

COMMANDS = {
    "params": ("params", "Count the parameters of a model."),
    "flops": ("flops", "Count the floating-point operations of a step."),
    "memory": ("memory", "Add up the memory of serving or of a training step."),
    "fit": ("fit", "Tell whether a model fits on accelerators, and the most that does."),
    "scale": ("scale", "Ask scaling laws: the best size and data for a budget, the loss of a plan."),
    "train": ("train", "Tell what a training run takes: compute, time, cost, energy, files."),
    "sweep": ("sweep", "Evaluate quantities over many workloads."),
    "compare": ("compare", "Set models side by side: structure and every quantity."),
    "diff": ("diff", "Show where two architectures differ."),
    "import": ("import_preset", "Write a model as a preset file."),
    "explain": ("explain", "Show how a number is made: formulas, values, sources."),
    "formats list": ("formats_list", "List number formats and mixtures of them."),
    "hardware list": ("hardware_list", "List the accelerators."),
    "hardware show": ("hardware_show", "Show an accelerator: memory, peaks, sources."),
    "timeline": ("timeline", "Show how models grew: parameters and training compute by year."),
    "laws list": ("laws_list", "List the scaling laws."),
    "laws show": ("laws_show", "Show a scaling law: form, constants, range, source."),
    "verify": ("verify", "Run a small NumPy model, or read a checkpoint's headers; compare with what is declared."),
    "design": ("design", "Find sizes for a target: parameters, FLOPs or memory."),
    "check": ("check", "Find suspicious shapes, and hold a model against limits."),
    "rule": ("rule", "Say why a rule of check is there."),
    "report": ("report", "Write a page about models, with pictures, in one HTML file."),
    "schema": ("schema", "Print the preset language, or what --json prints, as a JSON Schema."),
    "presets list": ("presets_list", "List the models that are known by name."),
    "presets show": ("presets_show", "Print a preset, as written or resolved."),
    "presets search": ("presets_search", "Find presets by words, year and size."),
    "presets where": ("presets_where", "Tell which file a name is read from."),
}
GROUPS = {
    "laws": "Read the scaling laws that are known by name.",
    "formats": "Read the number formats that are known by name.",
    "hardware": "Read the accelerators that are known by name.",
    "presets": "Find and read the models that are known by name.",
}


def split(words: list[str]) -> tuple[str, list[str]]:
    """The command that the words begin with (empty: none), and the words after it.

    >>> split(["presets", "show", "gpt3"]), split(["params", "gpt3"]), split(["--help"])
    (('presets show', ['gpt3']), ('params', ['gpt3']), ('', ['--help']))
    """
    for length in (1, 2):
        name = " ".join(words[:length])
        if name in COMMANDS:
            return name, words[length:]
    return "", words
