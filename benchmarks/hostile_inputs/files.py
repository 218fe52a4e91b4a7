"""Generators of hostile files that users bring: of training, of measurements, of serving engines, and of the page."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from pathlib import Path
from random import Random
from typing import Any

from generators import ESCAPES, NUMBERS, OUTPUTS, TEXTS, Input, changed, check_length, hostile

import llmcalc
from llmcalc.web.answers import PANELS
from llmcalc.web.worker import handle_text
from tests.fuzz.test_headers import spoilt
from tests.importers import test_engine_commands, test_engine_logs, test_modelfile
from tests.serving.test_check_log import LINES as LOG
from tests.training.training_file_cases import CASES
from tests.web.test_answers import STATES

NASTY = (
    *(text[:999] for text in TEXTS), *NUMBERS, *ESCAPES, "null", "~", "[]", "{}", "- a", "&a [*a]", "*a", "<<: *a",
    "!!python/object:os.system x", ".inf", "9" * 400, "`", "%", "$(", "${", "$((", "))", "\\", "\t", "---", "...", ":",
    "?", "|", ">", "#", "[[a]]", "a.b.c=1", "--x", "$(( 7 * 10**9 ))", "${A:-${B}}", "$A", "@config.json", "{{", "}}",
)  # fmt: skip
NUMBER = re.compile(r"\d+(\.\d+)?")
TRAINING_LINES = (
    "memory {}", "memory gpt2 --training-file {}", "fit {} --gpu h100:8", "memory {} --dp 8", "rl {} --gpu h100:8",
    "train {} --gpu h100:8 --tokens 1B", "fit {} --gpu h100 --solve seq", "fit {} --gpu h100 --solve batch",
    "fit {} --gpu h100 --solve gpus", "check {}", "params {}", "explain {} memory --training",
)  # fmt: skip
LOGS = (LOG, *(getattr(test_engine_logs, name) for name in ("VLLM", "SGLANG", "LLAMA_CPP", "TENSORRT")))
COMMANDS = (
    *(getattr(test_engine_commands, name) for name in ("VLLM", "SGLANG", "TENSORRT_LLM", "LLAMA")),
    "vllm serve gpt2 -tp 1", "llama-server -m llama3.1-8b-q8_0.gguf -c 4k", "sglang serve --model-path qwen3-8b",
)  # fmt: skip
MEASURED = {
    "model": "gpt2", "gpu": "h100", "engine": "vllm", "isl": "101", "osl": "103", "concurrency": "7", "tpot_ms": "1.3",
    "requests_per_s": "", "latency_s": "", "ttft_ms": "", "tp": "", "weights": "", "cache": "",
}  # fmt: skip
FACTORS = {
    "llmcalc": "0.1.0", "date": "2026-01-01", "measurements": [], "left_out": {}, "warnings": [],
    "deployments": [
        {"model": "gpt2", "gpu": "h100-sxm", "engine": "vllm", "weights": None, "decode": 1.1, "prefill": 0.9,
         "step_ms": 0.3, "rows": 3, "error_before": 0.1, "error_after": 0.01}
    ],
}  # fmt: skip


def _spoilt_text(text: str, random: Random) -> str:
    """Return a text with wrong lines, numbers or bytes."""
    if random.random() < 0.15:
        return spoilt(text.encode("utf-8", "surrogatepass"), random).decode("utf-8", "replace")
    lines = text.split("\n")
    for _ in range(random.choice((1, 1, 2, 5))):
        at, action = random.randrange(len(lines)), random.random()
        line = lines[at]
        if action < 0.2:
            start, end = sorted(random.randrange(len(line) + 1) for _ in range(2))
            lines[at] = line[:start] + random.choice(NASTY) + line[end:]
        elif action < 0.5:
            lines[at] = NUMBER.sub(lambda found: random.choice((*NUMBERS, *NUMBERS, *NASTY, found[0])), line)
        elif action < 0.6:
            lines[at] = random.choice(lines)
        elif action < 0.8:
            key, mark, _ = re.split(r"([:=])", line, maxsplit=1) if re.search("[:=]", line) else (line, "", "")
            lines[at] = f"{key}{mark} {random.choice(NASTY)}"
        elif action < 0.85:
            lines[at : at + 1] = [line] * random.choice((2, 99, 3000))
        else:
            del lines[at]
            lines = lines or [""]
    return "\n".join(lines)


def _asked(line: str, file: Path, text: str, random: Random) -> Input:
    """Write a file, and return a command line about it."""
    check_length(text)
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    words = [word.replace("{}", str(file)) for word in line.split()]
    if random.random() < 0.5:
        words += ["--format", random.choice(OUTPUTS)]
    return Input(f"{words} {text}", words)


def training(random: Random, folder: Path) -> Input:
    """Return the file of a training program with something wrong."""
    name, text, _, _ = random.choice(list(CASES.values()))
    if name.endswith(("yml", "yaml", "json")) and random.random() < 0.3:
        from llmcalc.schema.yaml_reader import read_yaml

        data = read_yaml(text, name).data
        for _ in range(random.choice((1, 1, 2, 4))):
            data = changed(data, random)
        text = json.dumps(data)
    else:
        text = _spoilt_text(text, random)
    if random.random() < 0.1:
        name = f"a.{random.choice(('yml', 'json', 'toml', 'sh', 'yaml', 'txt', ''))}"
    return _asked(random.choice(TRAINING_LINES), folder / Path(name).name, text, random)


def calibration(random: Random, folder: Path) -> Input:
    """Return measurements of serving, or the file of a calibration, with something wrong."""
    if random.random() < 0.4:
        data: Any = FACTORS
        for _ in range(random.choice((1, 1, 2, 4))):
            data = changed(data, random)
        text = json.dumps(data)
        if random.random() < 0.3:
            text = _spoilt_text(json.dumps(data, indent=1), random)
        line = f"serve {random.choice(('gpt2', 'gpt2', 'llama3-8b'))} --gpu h100 --isl 101 --osl 103 --calibration {{}}"
        return _asked(line, folder / "own.yaml", text, random)
    rows = [{**MEASURED, "isl": str(101 + 2 * number)} for number in range(random.choice((1, 2, 3, 9)))]
    for _ in range(random.choice((1, 1, 2, 4))):
        row, column = random.choice(rows), random.choice(list(MEASURED))
        row[column] = random.choice((random.choice(NASTY), random.choice(NUMBERS), "llama3-8b", "2", "0.5"))
    if random.random() < 0.3:
        given = [{key: value for key, value in row.items() if value} for row in rows]
        changes = changed(given, random) if random.random() < 0.7 else given
        return Input(f"calibrate {changes!r}", call=lambda: llmcalc.calibrate(changes).to_dict())
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(MEASURED), delimiter=random.choice(",,,;\t"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    text = stream.getvalue()
    if random.random() < 0.3:
        text = _spoilt_text(text, random)
    line = random.choice(("calibrate {}", f"calibrate {{}} -o {folder}/out.yaml --force"))
    return _asked(line, folder / "rows.csv", text, random)


def engines(random: Random, folder: Path) -> Input:
    """Return a command line, a log or a Modelfile of a serving engine with something wrong."""
    kind = random.random()
    if kind < 0.35:
        line = random.choice(("check-log {}", "check-log {}", "check-log {} --gpu h100", "check-log {} --model gpt2"))
        return _asked(line, folder / "server.log", _spoilt_text(random.choice(LOGS), random), random)
    if kind < 0.5:
        text, _ = random.choice(list(test_modelfile.CASES.values()))
        return _asked("serve {} --gpu rtx4090", folder / "Modelfile", _spoilt_text(text, random), random)
    text = random.choice(COMMANDS)
    words = text.replace("\\\n", " ").split()
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        at, action = random.randrange(len(words) or 1), random.random()
        if action < 0.2:
            del words[at : at + 1]
        elif action < 0.4:
            words.insert(at, random.choice((*words, *NASTY)))
        else:
            words[at : at + 1] = [random.choice(NASTY)]
    text = " ".join(words) if random.random() < 0.8 else _spoilt_text(text, random)
    gpu = random.choice(("h100", "h100:4", "h100:8", "rtx4090", "b200:16"))
    if random.random() < 0.3:
        return Input(f"{gpu} {text}", call=lambda: llmcalc.serve(command=text, gpu=gpu).to_dict())
    rest = ["--command", text] if random.random() < 0.5 else ["--", *words]
    given = ["serve", "--gpu", gpu, *rest]
    return Input(repr(given), given)


def message(random: Random, folder: Path) -> Input:
    """Return a message of the page to its worker with something wrong."""
    del folder
    if random.random() < 0.2:
        words = random.choice(("params gpt2", "memory gpt2 --training", "fit gpt2 --gpu h100", "check gpt2")).split()
        words.insert(random.randrange(len(words) + 1), random.choice(NASTY))
        line = " ".join(words) if random.random() < 0.5 else shlex.join(words)
        data: Any = {"kind": random.choice(("run", "run", "complete")), "line": line}
        more: dict[str, Any] = {"columns": 80, "cursor": 7, "files": {"a.yaml": line, "config.json": "{}"}}
        name = random.choice(list(more))
        data |= {name: more[name]} if random.random() < 0.3 else {}
    else:
        state: Any = {**random.choice(STATES), "panels": random.sample(list(PANELS), random.choice((1, 1, 2)))}
        state |= {"compare": ["gpt2"]} if random.random() < 0.2 else {}
        if random.random() < 0.5:
            extra = {"n": 7, "osl": 3, "weights": "fp8", "kv": "fp8", "quantity": "memory", "charts": ["memory"]}
            extra |= {"width": 400, "quick": True, "compare": [], "panels": []}
            name = random.choice(list(extra))
            state[name] = random.choice((extra[name], random.choice(NASTY), random.choice(NUMBERS), hostile(random)))
        for _ in range(random.choice((0, 1, 1, 2))):
            state = changed(state, random)
        data = {"kind": "answers", "state": state}
    if random.random() < 0.1:
        data = changed(data, random)
    text = json.dumps(data)
    check_length(text)
    return Input(text, call=lambda: _handled(text))


def _handled(text: str) -> None:
    """Answer a message, and check that the answer is plain data with a clear and printable message."""
    found = json.loads(handle_text(text), parse_constant=_refuse)
    problems = [found.get("text", ""), *_errors(found)]
    if found.get("code") not in (None, 0, 1, 2):
        raise AssertionError(f"exit code {found['code']}: {problems[0]}")
    for problem in problems:
        if not problem.replace("\n", "").isprintable():
            raise UnicodeError(ascii(problem)[:300])


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not plain JSON")


def _errors(found: Any) -> list[str]:
    """Return the messages and hints of errors in an answer."""
    if not isinstance(found, dict):
        return []
    error, panels = found.get("error"), found.get("panels")
    own = [str(text) for text in error.values()] if isinstance(error, dict) else []
    return own + [text for panel in (panels.values() if isinstance(panels, dict) else ()) for text in _errors(panel)]
