"""Hostile configs: an answer or one clear error, never a traceback, never a hang.

``FUZZ`` in the environment is the number of configs of each family (a short run is the default).
"""

import json
import os
import random
import signal
from pathlib import Path

import pytest

import llmcalc
from llmcalc.importers.hf import families

CASES = int(os.environ.get("FUZZ", "5"))
DEFAULTS = Path(llmcalc.__file__).parent / "data" / "hf"
NASTY = (
    None, True, False, 0, 1, -1, 2, 3, 7, 10**18, 10**400, -(10**30), 0.5, -0.0, 1e308, float("nan"), float("inf"),
    "", "auto", "x" * 10_000, "\x00", "1", [], [0], [None], ["a"], [[]], [1, 2, 3], ["full_attention"] * 3,
    ["sliding_attention"] * 100, list(range(1000)), {}, {"a": 1}, {"rope_theta": "x"}, {"rope_type": "yarn"},
)  # fmt: skip


def defaults(model_type):
    file = DEFAULTS / f"{model_type}.json"
    return json.loads(file.read_text("utf-8"))["defaults"] if file.is_file() else {}


def mutated(model_type, random_):
    """A family's default config with a few keys replaced, removed or misspelt."""
    config = {"model_type": model_type, **defaults(model_type)}
    for _ in range(random_.choice((1, 1, 2, 3, 8))):
        key = random_.choice(list(config))
        if key == "model_type":
            continue
        action = random_.random()
        if action < 0.7:
            config[key] = random_.choice(NASTY)
        elif action < 0.8:
            del config[key]
        elif action < 0.9:
            config[f"{key}s"] = random_.choice(NASTY)
        else:
            config["architectures"] = random_.choice((["X"], [3], "LlamaForCausalLM", ["LlamaModel"], [[]], {}))
    return config


@pytest.mark.parametrize("model_type", families.names())
def test_a_mutated_config_gives_an_answer_or_one_error(model_type, no_hang):
    random_ = random.Random(model_type)
    for _ in range(CASES):
        config = mutated(model_type, random_)
        shown = str({key: value for key, value in config.items() if defaults(model_type).get(key, "?") != value})[:600]
        said = "an answer"
        try:
            with no_hang(shown):
                assert llmcalc.params(llmcalc.load(config)).total >= 0
        except llmcalc.InputError as error:
            said = str(error)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error} for {shown}") from error
        assert said.strip(), config
        assert len(said) < 5000


def test_the_guard_interrupts_what_hangs(no_hang):
    with pytest.raises(AssertionError, match="hangs: a loop"), no_hang("a loop"):
        signal.raise_signal(signal.SIGALRM)
