"""Ask the same question through every door, and count the answers that agree.

    python -m benchmarks.doors [--sample N] [--seed S] [--worst N] [QUESTION ...]

Draws deployments of all presets, GPUs, engines and formats, asks each question of ``questions.py`` about each of them,
and prints how many answers agree within the allowed ratio, differ by a rule of the engine, up to twofold, and not at
all. ``--worst`` lists the cases that are furthest apart, with the answer of each door.

``commands`` is a question of its own: it draws command lines with options, with command lines of engines and with
files, and states of the page, runs ``N`` of the commands that their screens offer, and prints how many of each kind
start, give the promised numbers, differ from the command that was asked, and need no more GPUs than a usual layout.
"""

from __future__ import annotations

import argparse
from math import inf

from .cases import Case, draw
from .offered import print_tried
from .questions import QUESTIONS, Answers, Question

COMMANDS = "commands"  # that screens offer, which are run


def main() -> None:
    """Print the counts of each question, and the worst cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=", ".join((*QUESTIONS, COMMANDS)))
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worst", type=int, default=0)
    options = parser.parse_args()
    names = options.questions or [*QUESTIONS, COMMANDS]
    if COMMANDS in names:
        print_tried(options.sample, options.seed, options.worst)
        names.remove(COMMANDS)
    cases = draw(options.sample, options.seed) if names else []
    if names:
        print(f"{'question':46} {'asked':>6} {'agree':>6} {'rules':>6} {'to 2x':>6} {'other':>6}")
    for name in names:
        question = QUESTIONS[name]
        asked = ((case, question.ask(case)) for case in cases)
        print_counts(question, [(case, own) for case, own in asked if set(own.values()) != {None}], options.worst)


def print_counts(question: Question, asked: list[tuple[Case, Answers]], worst: int) -> None:
    """Print the row of a question and its worst cases."""
    ruled = [case for case, answers in asked if question.exception(case, answers)]
    rest = [(case, answers) for case, answers in asked if case not in ruled]
    found = [(question.disagreement(answers), case, answers) for case, answers in rest]
    found.sort(key=lambda row: -row[0])
    ratios = [row[0] for row in found]
    agree = sum(ratio <= question.allowed for ratio in ratios)
    near = sum(question.allowed < ratio <= 2 for ratio in ratios)
    counts = len(asked), agree, len(ruled), near, len(found) - agree - near
    print(f"{question.title:46}", *(f"{count:6,}" for count in counts))
    for ratio, case, answers in found[:worst]:
        if ratio > question.allowed:
            size = "differ" if ratio == inf else f"{ratio:.2f}x"
            print(f"    {size}  {case.title}: {dict(answers)}")


if __name__ == "__main__":
    main()
