"""The bundle answers every example with nothing but the standard library, as in the page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from llmcalc.cli.table import COMMANDS
from llmcalc.cli.texts import examples
from llmcalc.web.bundle import bundle
from llmcalc.web.pyodide import UNUSED

DATA = Path(__file__).parents[1]
CONFIG = {
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 35, "num_attention_heads": 5,
    "intermediate_size": 77, "vocab_size": 101,
}  # fmt: skip
ANSWER = """
import json, sys
sys.path.insert(0, sys.argv[1])
sys.modules.update(dict.fromkeys(sys.argv[2].split()))  # an import of them fails
from llmcalc.web.worker import handle_text
for line in sys.stdin:
    print(handle_text(line))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the bundle and those that the examples read."""
    folder = tmp_path_factory.mktemp("bundle")
    for path, text in bundle().items():
        file = folder / "site" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    copy(DATA / "server.log", folder)
    copy(DATA / "serving_rows.csv", folder / "rows.csv")
    return folder


def ask(folder: Path, *messages: object) -> list[Any]:
    """Answers of an interpreter that has only the standard library and the bundle."""
    text = "".join(f"{json.dumps(message)}\n" for message in messages)
    words = [sys.executable, "-I", "-S", "-c", ANSWER, str(folder / "site"), " ".join(UNUSED)]
    done = subprocess.run(words, input=text, capture_output=True, text=True, cwd=folder, check=True, timeout=600)
    return [json.loads(line) for line in done.stdout.splitlines()]


def is_run(line: str) -> bool:
    """Return whether the page runs an example. It refuses some commands, and to write files."""
    return not line.startswith(("llmcalc web", "llmcalc verify", "llmcalc plan")) and " -o " not in line


def test_examples_run(folder: Path) -> None:
    lines = [line for name in COMMANDS for line in examples(name) if is_run(line)]
    found = ask(folder, *({"kind": "run", "line": line} for line in lines))
    assert len(found) == len(lines)
    failures = [each["text"] for each in found if each["code"] not in (0, 1)]
    assert not failures, "\n".join(failures)
    assert all(each["html"] or each["text"] for each in found)


def test_presets_mistakes_and_what_needs_a_network(folder: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "llmcalc", "import", "gpt2"], capture_output=True, text=True, check=True
    ).stdout
    lines = {
        "params own.yaml --json": (0, '"total": 124439808'),
        "params broken.yaml": (2, "broken.yaml:1:1: year must be an integer, not 'soon'\n  year: soon\n  ^"),
        "paramss gpt2": (2, "no such command 'paramss'\n  did you mean params?"),
        "fit gpt2 --gpus 2": (2, "no such option: --gpus\n"),
        "params gpt2 --by": (2, "option '--by' requires an argument"),
        "params hf:org/name": (2, "error: "),
        "sweep gpt2 params.total --over n_layers=12,24 --json": (0, "209494272"),
    }
    files = {"own.yaml": shown, "broken.yaml": f"year: soon\n{shown}"}
    found = ask(folder, *({"kind": "run", "line": line, "files": files} for line in lines))
    for (line, (code, said)), answer in zip(lines.items(), found, strict=True):
        assert answer["code"] == code, (line, answer)
        assert said in answer["text"], (line, answer)
        assert "llmcalc failed" not in answer["text"], (line, answer)
