"""Module and one-line help of every command, available without importing the commands.

A two-word name denotes a command in a group.
"""

from __future__ import annotations

PROGRAM = "llmcalc"
COMMANDS = {
    "params": ("params", "Count the parameters of a model."),
    "flops": ("flops", "Count the floating-point operations of a step."),
    "traffic": ("traffic", "Count the bytes that a step reads and writes."),
    "communication": ("communication", "Count the bytes that the ranks of a mesh exchange in a step."),
    "memory": ("memory", "Compute the memory of serving or training."),
    "fit": ("fit", "Check whether a model fits on your GPUs, or solve for the largest batch or context."),
    "serve": ("serve", "Predict the memory, speed and price of serving with an engine."),
    "check-log": ("check_log", "Compare the start-up log of an engine with its prediction."),
    "latency": ("latency", "Estimate the time of a decode step or a prefill on GPUs."),
    "calibrate": ("calibrate", "Fit the times of serving to your own measurements."),
    "rl": ("rl", "Compute the memory of each phase of GRPO or PPO."),
    "scale": ("scale", "Apply scaling laws: the best size and data for a budget, or the loss of a plan."),
    "train": ("train", "Compute the FLOPs, time, cost and energy of a training run."),
    "sweep": ("sweep", "Compute quantities over a range of workloads."),
    "compare": ("compare", "Compare the structure and cost of several models."),
    "diff": ("diff", "Show where two architectures differ."),
    "import": ("import_preset", "Write a model as a preset file."),
    "explain": ("explain", "Show how a number is derived: formulas, values and sources."),
    "formats list": ("catalogues", "List number formats and mixtures."),
    "hardware list": ("catalogues", "List the accelerators."),
    "hardware show": ("catalogues", "Show an accelerator: memory, peak FLOP/s and sources."),
    "timeline": ("presets", "Show model parameters and training compute by year."),
    "laws list": ("catalogues", "List the scaling laws."),
    "laws show": ("catalogues", "Show a scaling law: form, constants, range and source."),
    "verify": ("verify", "Verify a model against NumPy code or a checkpoint's headers."),
    "evidence": ("evidence", "Show what each value rests on, and its error on published measurements."),
    "design": ("design", "Find model sizes for a number of parameters, FLOPs or bytes."),
    "check": ("check", "Find suspicious shapes and check a model against limits."),
    "rule": ("check", "Explain a lint rule."),
    "report": ("report", "Write an HTML page with charts about one or more models."),
    "schema": ("schema", "Print the JSON Schema of presets or of results."),
    "presets list": ("presets", "List all presets."),
    "presets show": ("presets", "Print a preset file or a resolved model."),
    "presets search": ("presets", "Search presets by name, kind, year and size."),
    "presets kinds": ("presets", "List the layer kinds, or the fields of one."),
    "presets where": ("presets", "Print the path of a preset file."),
    "web build": ("web", "Write the page that runs llmcalc in a browser to a folder."),
    "web serve": ("web", "Serve the page on this computer (also: llmcalc web)."),
}
GROUPS = {
    "laws": "Show scaling laws.",
    "formats": "Show number formats.",
    "hardware": "Show accelerators.",
    "presets": "Find and show presets.",
    "web": "Run llmcalc in a browser.",
}
ALONE = {"web": "web serve"}  # command of a group that is given without one
QUESTIONS = {  # commands and groups in the help
    "How large is the model?": ("params", "explain"),
    "What does a step cost?": ("flops", "traffic", "communication", "memory", "latency"),
    "Does it fit on my GPUs?": ("fit", "serve", "check-log", "calibrate", "rl"),
    "What does training cost?": ("train", "scale"),
    "What if it were different?": ("sweep", "compare", "diff", "design"),
    "Is it correct?": ("check", "rule", "verify", "evidence"),
    "Which models, GPUs, formats and laws are there?": ("presets", "timeline", "hardware", "formats", "laws"),
    "How do I write it to a file?": ("report", "import", "schema", "web"),
}


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
