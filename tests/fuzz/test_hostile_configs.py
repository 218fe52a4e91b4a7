"""Configs made to hurt: an answer or one clear error, and never an answer that ignores what it did not understand.

``FUZZ_ROUNDS`` in the environment is how many configs are tried (a short run is the default).
"""

import json
import os
import random
import sys
import time
from pathlib import Path

import pytest

import llmcalc
from llmcalc.core.layer import MOST_LAYERS
from llmcalc.importers.hf import families
from llmcalc.importers.hf.class_defaults import is_irrelevant
from llmcalc.importers.hf.composite_configs import text_models
from llmcalc.importers.hf.unknown_keys import Effect, effect_of

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "400"))
LONGEST = 1.0 if "FUZZ_ROUNDS" in os.environ else 60.0  # seconds of computing: a measure in a long run, else a guard
MOST_SAID = 5000  # characters of a message
MOST_MEMORY = 200 * 2**20  # bytes that all rounds together may add
DEFAULTS = Path(llmcalc.__file__).parent / "data" / "hf"
PARTS = ("text_config", "vision_config", "audio_config", "thinker_config", "encoder", "decoder")


def nested(depth):
    value = {"model_type": "llama"}
    for level in range(depth):
        value = {PARTS[level % len(PARTS)]: value, "model_type": "no_such_whole"}
    return value


def listed(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


SIZES = (
    0,
    -1,
    1,
    2,
    3,
    7,
    1000,
    MOST_LAYERS,
    10**6,
    10**15,
    10**18,
    10**400,
    -(10**400),
    2**63,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
)
TEXTS = ("", "\x00", "x" * 100_000, "1", "auto", "full_attention", "\ud800", "default", "../../etc/passwd", "$d_model")
LISTS = ([], [None], [[]], [0, -1], list(range(5000)), ["full_attention"] * 4, ["linear_attention", "x"], [10**18] * 3)
OBJECTS = ({}, {"": None}, {"rope_theta": float("nan")}, {"rope_type": "yarn", "factor": 0}, {"model_type": 3})
NASTY = (None, True, False, *SIZES, *TEXTS, *LISTS, *OBJECTS, nested(40), listed(60))


def defaults(model_type):
    file = DEFAULTS / f"{model_type}.json"
    return json.loads(file.read_text("utf-8"))["defaults"] if file.is_file() else {}


def outcome(config, **how):
    """The architecture, or the text of the one error; anything else fails."""
    start = time.process_time()
    try:
        return answer(config, **how)
    finally:
        assert time.process_time() - start < LONGEST, str(config)[:900]


def answer(config, **how):
    try:
        architecture = llmcalc.load(config, **how)
        assert llmcalc.params(architecture).total >= 0
    except llmcalc.InputError as error:
        said = str(error)
        assert 0 < len(said) < MOST_SAID
        return said
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {str(error)[:300]} for {str(config)[:900]}") from error
    return architecture


def drawn(random_):
    """A family's config with something wrong: a value for some key, a part in a part, a key that nothing knows."""
    model_type = random_.choice(families.names())
    config = {"model_type": model_type, **defaults(model_type)}
    action = random_.random()
    if action < 0.7:
        for _ in range(random_.choice((1, 1, 1, 2, 5))):
            config[random_.choice(list(config))] = random_.choice(NASTY)
    elif action < 0.8:
        config = {"model_type": random_.choice([*text_models(), "no_such_whole"]), random_.choice(PARTS): config}
        config[random_.choice(PARTS)] = random_.choice(NASTY)
    elif action < 0.9:
        config = {key: random_.choice(NASTY) for key in config}
        config["model_type"] = model_type
    else:
        config[f"{random_.choice(list(config))}_2"] = random_.choice(NASTY)
    return config


def test_hostile_configs_give_an_answer_or_one_error():
    random_ = random.Random(ROUNDS)
    before = memory()
    for _ in range(ROUNDS):
        config = drawn(random_)
        how = random_.choice(({}, {}, {"as_": random_.choice(families.names())}, {"allow_unknown": list(config)}))
        outcome(config, **how)
    assert memory() - before < MOST_MEMORY


@pytest.mark.parametrize(
    "value", [*NASTY, {"a": listed(300)}], ids=lambda value: repr(value)[:30].encode("ascii", "replace")
)
def test_every_key_of_a_decoder_may_hold_anything(value):
    config = {"model_type": "qwen3_moe", **defaults("qwen3_moe")}
    for key in config:
        outcome({**config, key: value})


@pytest.mark.parametrize("model_type", families.names())
def test_every_entry_of_a_list_may_be_anything(model_type):
    """Lists of the right length, whose entries are of any type: those that the class knows, or one for each layer."""
    config = {"model_type": model_type, **defaults(model_type)}
    layers = config.get("num_hidden_layers")
    for key, value in config.items():
        length = len(value) if isinstance(value, list) else layers if value is None and "layer" in key else None
        for entry in NASTY[:-1] if isinstance(length, int) and length < 1000 else ():
            outcome({**config, key: [entry] * length})


@pytest.mark.parametrize("model_type", families.names())
def test_as_many_layers_as_are_understood_are_counted_or_refused(model_type, no_hang):
    for key in (key for key in defaults(model_type) if key.endswith(("layers", "cycles", "loops", "passes"))):
        with no_hang(f"{model_type} with {key}"):
            outcome({"model_type": model_type, key: MOST_LAYERS})


@pytest.mark.parametrize("base", [[1], {}, "x", float("nan")], ids=repr)
def test_a_rotary_base_of_each_layer_is_a_number(base):
    config = {"model_type": "granitemoe_swa", "num_hidden_layers": 3, "layer_rope_theta": [base, 10_000.0, 0]}
    assert "layer_rope_theta must be" in str(outcome(config))


@pytest.mark.parametrize("layers", [MOST_LAYERS + 1, 10**9, 10**18])
def test_endless_layers_are_refused(layers):
    for model_type in families.names():
        keys = [key for key in defaults(model_type) if key.endswith(("layers", "layer", "cycles", "loops"))]
        for key in keys:
            outcome({"model_type": model_type, key: layers})
    assert "num_hidden_layers" in outcome({"model_type": "llama", "num_hidden_layers": layers})


@pytest.mark.parametrize("depth", [5, 30, 90, 5000])
def test_parts_within_parts(depth):
    outcome(nested(depth))
    outcome({"model_type": "llama", "rope_parameters": listed(depth)})


def test_a_file_nested_without_end(tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"model_type": "llama", "a": ' + "[" * 100_000 + "]" * 100_000 + "}", "utf-8")
    outcome(file)


def test_no_key_is_passed_over_in_silence():
    """What may matter is refused or warned of; where it was allowed, a warning names it."""
    random_ = random.Random(7)
    for model_type in families.names():
        config = {"model_type": model_type, **defaults(model_type)}
        known = [key for key in config if not is_irrelevant(key)] or ["gates"]
        key = f"{random_.choice(known)}_of_old"
        value = random_.choice([value for value in NASTY if value])
        refused, effect = outcome({**config, key: value}), effect_of(key, value)
        assert isinstance(refused, str) or effect is not Effect.STRUCTURAL, (model_type, key)
        if not isinstance(refused, str) and effect is Effect.POSSIBLE:
            assert any(repr(key) in line for line in refused.warnings), (model_type, key)
        assert isinstance(outcome({**config, key: value}, strict=True), str), (model_type, key)
        found = outcome({**config, key: value}, allow_unknown=[key])
        if not isinstance(found, str):
            assert any(repr(key) in line for line in found.warnings), (model_type, key)


def memory():
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
