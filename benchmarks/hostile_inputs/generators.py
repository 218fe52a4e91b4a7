"""Generators of hostile inputs. Each takes a ``Random`` and the folder to write files to, and returns an ``Input``."""

from __future__ import annotations

import contextlib
import json
import string
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import llmcalc
from llmcalc.cli.commands import load as load_command
from llmcalc.cli.spec import Option
from llmcalc.cli.table import COMMANDS, split
from llmcalc.importers.hf import families
from llmcalc.schema import preset_files
from tests.api.test_wrong_values import FUNCTIONS, ODD
from tests.cli.test_option_effects import LINES, VALUES
from tests.fuzz import test_checkpoints, test_configs, test_headers, test_hostile_configs

ESCAPES = "\x1b[31m\u202e\x07\x9b\x00\r\n\u2028"
TEXTS = (
    "", " ", "0", "-1", "1e400", "nan", "inf", "1" * 400, "x" * 100_000, "é", "\ud800", ESCAPES, "=1+1", "..", "/", "-",
    "--", "--help", "%s", "{seq}", "{", "$d_model", "a=b", "=", "a,b", ",", "1..9:+1", "1..1G:+1", "1..1G:x2",
    "seq=1k..1M:+1", "10**9", "9" * 18, "1_000", "15T", "24GiB", "1e30GiB", "h100:8", "h100:999999", "all", "a/b",
    "hf:a/b", "/dev/null",
    "/dev/zero", "/dev/stdin", "/proc/self/mem", "~", "*", "'", '"', "\\", "None", "True", "[]", "{}", "llama3-8b",
)  # fmt: skip
NUMBERS = (
    "1", "2", "3", "7", "1000000", "1000000000", "9" * 18, "1e30", "1e-30", "0.3", "99%", "1000000000T", "999999999GiB",
)  # fmt: skip
ANSWERED = [line for line in LINES if "{" not in line]
LONGEST_TEXT = 12_000_000  # characters; a longer config is refused by its size
LONG = ("web build", "web serve")  # they build a site, or serve one until they are interrupted
EXPRESSIONS = (
    "$d_model", "$", "${d_model}", "$d_model ** 99999999", "$n_layers * 10**15", "$d_model / 0", "$d_model % 0", "$x",
    "$(((((d_model)))))", "$d_model // -1", "$__import__('os')", "$d_model.__class__", "$1 << 10**9", "$'x' * 10**9",
    "$min()", "$" + "(" * 300, "$" + "1+" * 3000 + "1", "$10 ** 10 ** 10", "1e999", "0x" + "f" * 400, ".nan", "&a [*a]",
    "*a", "&a x", "!!python/object:os.system x", "!x y", "? a", "| x", "<<: *a", "{a: 1, a: 2}", "[" * 50, "{" * 50,
    "- " * 30, "@", "`", "%", "\t", "---", "...", "# x", "2001-01-01", "0o777", "yes", "null", "[1, [2, [3]]]", "{}",
)  # fmt: skip
MODELS = (
    "gpt2", "gpt2", "bert", "t5-small", "mixtral", "mamba2", "llama3-8b", "qwen3-vl-2b", "deepseek-v3", "vit-base",
    "whisper-tiny", "no-such-model", "gpt2-", "llama3.1-8b-", "GPT2", " gpt2 ",
)  # fmt: skip
TOPICS = ("flops", "state", "memory", "traffic", "communication", "check", "train", "training", "layout")
OUTPUTS = ("table", "plain", "json", "csv", "markdown", "html", "svg", "tree")
QUESTIONS = (
    "params {}", "flops {}", "flops {} --mode train --seq 7", "memory {}", "memory {} --training", "explain {} state",
    "check {}", "traffic {}", "communication {} --tp 2", "explain {} params", "explain {} memory --training",
    "fit {} --gpu h100",
    "fit {} --gpu 24GB --solve quant", "train {} --tokens 1B", "compare {} gpt2", "diff {} gpt2", "import {}",
    "scale {}", "sweep {} memory.peak --over seq=3,5", "sweep {} flops.total --over batch=3..9:+2",
    "params {} --layout checkpoint",
)  # fmt: skip
LONGEST_LIST = 3000


class Input(NamedTuple):
    """An input: the text that describes it, and the words of a command line, or else a function to call."""

    text: str
    words: list[str] | None = None
    call: Callable[[], object] | None = None


def hostile(random: Random) -> Any:
    """Return a value of any type."""
    kind = random.random()
    if kind < 0.4:
        return random.choice(test_hostile_configs.NASTY)
    if kind < 0.6:
        return random.choice(TEXTS)
    if kind < 0.8:
        number = random.choice((10, 1000, 2**31, 2**53, 10**20)) * random.random()
        return random.choice((int, float, lambda value: -int(value)))(number)
    if kind < 0.9:
        return "".join(random.choice(string.printable + ESCAPES) for _ in range(random.randrange(40)))
    value = hostile(random)
    return random.choice(([value] * random.randrange(50), {str(random.choice(TEXTS))[:99]: value}, [[value]]))


def changed(value: Any, random: Random) -> Any:
    """Return plain data in which something was replaced, removed, doubled, added or moved."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key, action = random.choice(list(value)), random.random()
        if action < 0.08:
            return {other: value[other] for other in value if other != key}
        if action < 0.12:
            return {**value, f"{key}{random.choice(TEXTS)}"[:999]: value[key]}
        if action < 0.2:
            return {**value, key: value[random.choice(list(value))]}
        return {**value, key: changed(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.7:
        index, action = random.randrange(len(value)), random.random()
        if action < 0.15:
            return (value * 3)[:LONGEST_LIST]
        return [changed(one, random) if at == index else one for at, one in enumerate(value)]
    if isinstance(value, (int, float)) and random.random() < 0.4:
        with contextlib.suppress(OverflowError, ValueError):
            return random.choice((value + 1, value * 2, -value, value // 3, value * 1000, value / 7, str(value)))
    return hostile(random)


def config(random: Random, folder: Path) -> Input:
    """Return a config of any family with something wrong, to load and to ask anything about."""
    kind, names = random.random(), families.names()
    if kind < 0.4:
        data = test_hostile_configs.drawn(random)
    elif kind < 0.6:
        data = test_configs.mutated(random.choice(names), random)
    elif kind < 0.9:
        name = random.choice(names)
        data = {"model_type": name, **test_configs.defaults(name)}
        for _ in range(random.choice((1, 1, 2, 4))):
            data = changed(data, random)
    else:
        methods = test_checkpoints.CONFIGS
        data = {**test_headers.TINY, "quantization_config": test_checkpoints.misled(random.choice(methods), random)}
    if not isinstance(data, dict):
        data = {"model_type": "llama", "x": data}
    if random.random() < 0.3:
        file = folder / "config.json"
        text = json.dumps(data)
        check_length(text)
        file.write_text(text, "utf-8")
        return asked(random, str(file), text)
    how: dict[str, Any] = {}
    if random.random() < 0.15:
        how = random.choice(({"as_": random.choice(names)}, {"allow_unknown": [*map(str, data)]}, {"strict": True}))
    text = repr((data, how))
    check_length(text)
    return Input(text, call=lambda: question(random, llmcalc.load(data, **how)))


def check_length(text: str) -> None:
    """Raise an error for a text that takes more memory than the answer to it."""
    if len(text) > LONGEST_TEXT:
        raise MemoryError("the text would take more memory than the answer")


def question(random: Random, model: llmcalc.Architecture) -> object:
    """Compute one quantity of a model."""
    ask = random.random()
    if ask < 0.5:
        return llmcalc.params(model).total
    name = random.choice(
        ("flops", "state", "memory", "traffic", "communication", "check", "train", "training", "layout")
    )
    if name == "train":
        return llmcalc.train(model, tokens=10**9).to_dict()
    if name == "training":
        return llmcalc.memory(model, mode="training").to_dict()
    if name == "layout":
        return llmcalc.params(model).tensors("checkpoint")
    return str(getattr(llmcalc, name)(model))


def asked(random: Random, file: str, text: str) -> Input:
    """Return a command line about a file."""
    words = [word.replace("{}", file) for word in random.choice(QUESTIONS).split()]
    if words[0] != "import" and random.random() < 0.6:
        words += ["--format", random.choice(OUTPUTS)]
    if random.random() < 0.1:
        words += ["--set", f"{random.choice(('n_layers', 'd_model', 'vocab', 'x', 'stacks.0'))}={random.choice(TEXTS)}"]
    if random.random() < 0.05:
        words += ["--color", "always"]
    return Input(f"{words} {text}", words)


@cache
def presets() -> list[str]:
    """Return the texts of all shipped presets."""
    files = sorted(Path(preset_files.shipped_folder()).glob("*.yaml"))
    return [file.read_text("utf-8") for file in files]


def bomb(random: Random) -> str:
    """Return YAML whose aliases, anchors, nesting, keys or numbers grow."""
    depth, width = random.choice((3, 9, 39, 41, 5000)), random.choice((2, 9, 200))
    size, lines = depth * width % 90_000, range(min(depth, 40))
    return random.choice((
        "\n".join(f"a{at + 1}: &a{at + 1} [{', '.join([f'*a{at}' if at else 'x'] * width)}]" for at in lines),
        "[" * depth + "]" * depth, "{a: " * depth + "1" + "}" * depth, "- " * depth + "x", "a:\n  b: " * min(depth, 50),
        "\n".join(f"k{at}: {at}" for at in range(size // 3)), "a: " + "9" * size, "? " * depth + "x",
        "&a " * depth + "x", "a: |\n" + "  x\n" * (depth % 2000), "a: '" + "x" * size, "a: &x {<<: *x}", "!!set {a, b}",
        "%YAML 9.9\n---\na: 1", "\ufeffa: 1", 'a: "\\ud800\\x00"',
    ))  # fmt: skip


def preset(random: Random, folder: Path) -> Input:
    """Return a preset file with something wrong."""
    text, kind = random.choice(presets()), random.random()
    if kind < 0.5:
        text = json.dumps(_preset(text, random))
    elif kind < 0.9:
        lines = text.splitlines()
        for _ in range(random.choice((1, 1, 2, 4))):
            _spoil_line(lines, random)
        text = "\n".join(lines)
    elif kind < 0.95:
        text = bomb(random) + (f"\n{text}" if random.random() < 0.3 else "")
    else:
        text = test_headers.spoilt(text.encode(), random).decode("utf-8", "replace")
    check_length(text)
    file = folder / "preset.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    if random.random() < 0.3:
        return asked(random, str(file), text)
    return Input(text, call=lambda: question(random, llmcalc.load(file)))


@cache
def _data(text: str) -> Any:
    from llmcalc.schema.yaml_reader import read_yaml

    return read_yaml(text, "preset").data


def _preset(text: str, random: Random) -> Any:
    data = _data(text)
    for _ in range(random.choice((1, 1, 2, 4))):
        data = changed(data, random)
        if isinstance(data, dict) and random.random() < 0.3:
            data = {**data, random.choice(list(data) or ["x"]): random.choice(EXPRESSIONS)}
    return data


def _spoil_line(lines: list[str], random: Random) -> None:
    at, action = random.randrange(len(lines) or 1), random.random()
    if not lines or action < 0.15:
        lines.insert(at, random.choice(EXPRESSIONS))
    elif action < 0.3:
        del lines[at]
    elif action < 0.4:
        lines.insert(random.randrange(len(lines)), lines[at])
    elif action < 0.5:
        lines[at] = " " * random.randrange(1, 9) + lines[at]
    else:
        key, colon, _ = lines[at].partition(":")
        lines[at] = f"{key}{colon} {random.choice((*EXPRESSIONS, *(text[:999] for text in TEXTS)))}"


def arguments(random: Random, folder: Path) -> Input:
    """Return a command line with hostile options and arguments."""
    if random.random() < 0.5:
        line = random.choice(ANSWERED)
        words, options = line.split(), load_command(split(line.split())[0]).options.values()
        for option in random.sample(list(options), random.choice((1, 1, 2, 3))):
            words += _option(option, random) if option.name not in ("output", "form") else []
        return Input(repr(words), words)
    name = random.choice([name for name in COMMANDS if name not in LONG])
    command = load_command(name)
    words = name.split()
    for argument in command.arguments:
        for _ in range(random.choice((0, 1, 1, 1, 1, 1, 3)) if argument.many or random.random() < 0.1 else 1):
            words.append(_argument(argument.name, random))
    options = [option for option in dict.fromkeys(command.options.values()) if option.name != "output"]
    for option in random.sample(options, min(len(options), random.choice((0, 1, 1, 2, 3, 5)))):
        words += _option(option, random)
    if any(option.name == "output" for option in command.options.values()):
        words += ["--output", str(folder / "out"), "--force"]
    if random.random() < 0.1:
        words.insert(random.randrange(len(words) + 1), random.choice(TEXTS))
    if random.random() < 0.05:
        random.shuffle(words)
    return Input(repr(words), words)


def _argument(name: str, random: Random) -> str:
    if random.random() < 0.15:
        text = random.choice(TEXTS)
        return "gpt2" if (name, text) == ("model", "all") else text  # all presets take longer than a second to verify
    usual = {
        "quantity": ("params", "flops", "memory", "state", "traffic", "communication", "train", "active"),
        "quantities": ("params.total", "flops.total", "memory.peak", "state.bytes", "traffic.total"),
        "times": ("h100", "x8", "h100:8", "24GB:2"), "rule": ("HW001", "hw"), "family": ("llama3", "gpt2", "qwen3"),
        "laws": ("kaplan", "hoffmann-3"), "name": ("h100", "kaplan", "gpt2"),
    }  # fmt: skip
    return random.choice(usual.get(name, MODELS))


def _option(option: Option, random: Random) -> list[str]:
    if option.kind is bool:
        return [option.flag]
    kind = random.random()
    if kind < 0.4:
        value = VALUES.get(option.name) or random.choice(option.choices or TEXTS)
    elif kind < 0.7:
        value = random.choice(NUMBERS)
    elif option.name == "over" and random.random() < 0.7:
        name = random.choice(("seq", "batch", "context", "n_layers", "tp", "weights", "x", ESCAPES))
        last, step = random.choice(("9", "1M", "1G", "9" * 18)), random.choice(("+1", "x2", "+7", "x1", "+0"))
        value = f"{name}={random.choice((0, 1, 1, 1, -1))}..{last}:{step}"
    else:
        value = random.choice(TEXTS)
    return [f"{option.flag}={value}"] if random.random() < 0.3 else [option.flag, value]


def header(random: Random, folder: Path) -> Input:
    """Return a checkpoint with damaged headers or a damaged index."""
    for file in folder.iterdir():
        file.unlink()
    write = random.choice((test_headers.safetensors_folder, test_headers.gguf_file))
    path = write(folder, random)
    text = " ".join(repr(file.read_bytes()[:3000]) for file in sorted(folder.iterdir()))
    if random.random() < 0.2:
        words = [*random.choice((["verify"], ["params"], ["memory"], ["import"], ["diff", "gpt2"])), str(path)]
        return Input(f"{words} {text}", words)
    return Input(text, call=lambda: test_headers.answered(path))


def function(random: Random, folder: Path) -> Input:
    """Return a call of a public function with hostile values of its parameters."""
    name = random.choice([name for name in FUNCTIONS if not name.startswith(("verify", "twin"))])
    usual, cases = FUNCTIONS[name]
    given = dict(usual)
    if "model" in given and random.random() < 0.5:
        given["model"] = random.choice(MODELS)
    for parameter in random.sample(list(cases), min(len(cases), random.choice((1, 1, 2, 3)))):
        _, right, others = cases[parameter]
        given |= others
        given[parameter] = right if random.random() < 0.3 else random.choice((random.choice(ODD), hostile(random)))
    models = [given.pop("models", given.pop("model", "gpt2"))] * 2 if name == "compare" else []
    return Input(
        f"{name} {models or ''} {given!r}", call=lambda: getattr(llmcalc, name.partition(" ")[0])(*models, **given)
    )
