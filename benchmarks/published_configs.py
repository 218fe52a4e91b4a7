"""Read published configs with no option, and report the share that loads.

    python benchmarks/published_configs.py REPOSITORY ... [--json FILE]

REPOSITORY is the folder of a git repository, bare or not. Each published config in its head commit is read once,
without options. A file is a published config if

- its name is config.json or ends in config.json, as in collections that prefix the name of the model, and
- it is a JSON object with a model_type and with the class of the model in architectures, which every checkpoint has.

Files with other names or without a class are mostly inputs and test data of other programs, with keys of their own.
Test data under the usual name still counts, even if it adds keys to a published config.

The configs themselves are not part of this project: the file benchmarks/published_configs.json lists where they were
published, their SHA-256 and the outcome of each first run, before the code was changed because of them. Runs 1 and 2
read every JSON file with a model_type and a size of a language model. Run 5 read the first repositories that an index
of public repositories lists for each of eight paths, such as fine_tuned_model/config.json. Run 6 read repositories of
serving engines, trainers and authors of models, those with a folder named after one of 69 models, and, for a hundred
files, further ones of run 5 and of models/config.json. Run 7 read the first repositories that the index lists for
generation_config.json and preprocessor_config.json at the top level or in the folder model, for modelling code such as
configuration_minicpm.py, and for five further paths of a config.json, and repositories of engines and trainers. Run 8
read further ones of run 7, and the first repositories with model.safetensors.index.json at the top level. Run 9 read
the repositories that the index lists for files beside published checkpoints at the top level, such as
chat_template.jinja, quantize_config.json and pytorch_model.bin.index.json, and three collections of configs of recent
models. Run 10 read those for added_tokens.json, models/generation_config.json and config_sentence_transformers.json,
for further paths of a config.json such as qwen/config.json, and repositories of engines and trainers. Run 11 read the
first repositories for files that recent multimodal releases have (processor_config.json, chat_template.json and
video_preprocessor_config.json), for folders with the name of a much downloaded model or its family, such as
bert-base-uncased, all-MiniLM-L6-v2, gpt2, llama or whisper, and for folders named after what a model is used for, such
as ner_model, sentiment_model, reranker, translation_model or local_model. Run 12 read those for an index of safetensors
files, an image processor or a generation config in the folders model, models, weights and checkpoint, and for folders
such as models/gpt2, models/qwen and models/reranker.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

import llmcalc
from llmcalc.importers.hf import families
from llmcalc.importers.hf.unknown_types import modality


class Published(NamedTuple):
    """A published config and where it was found."""

    repository: str
    commit: str
    path: str
    sha256: str
    config: dict[str, Any]


def git(folder: str, *words: str) -> bytes:
    return subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True).stdout


def configs(folder: str) -> Iterator[Published]:
    """Yield the configs in a repository's head commit."""
    commit = git(folder, "rev-parse", "HEAD").decode().strip()
    name = Path(folder).parent.name.replace("+", "/") if Path(folder).name == "repo" else Path(folder).name
    for line in git(folder, "ls-tree", "-r", "--name-only", "-z", "HEAD").split(b"\0"):
        path = line.decode("utf-8", "replace")
        if not path.endswith("config.json"):
            continue
        try:
            content = git(folder, "show", f"HEAD:{path}")
            data = json.loads(content)
        except (subprocess.CalledProcessError, ValueError):
            continue
        if isinstance(data, dict) and isinstance(data.get("model_type"), str) and has_class(data.get("architectures")):
            yield Published(name, commit, path, hashlib.sha256(content).hexdigest(), data)


def has_class(architectures: object) -> bool:
    """Return whether a config names the class of its model."""
    return isinstance(architectures, list) and bool(architectures) and isinstance(architectures[0], str)


def outcome(config: dict[str, Any]) -> str:
    """Return ``read``, ``read with warnings``, or the error."""
    try:
        found = llmcalc.load(config)
        llmcalc.params(found)
    except llmcalc.InputError as error:
        return " ".join(str(error).split())[:300]
    return "read with warnings" if found.warnings else "read"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", nargs="+")
    parser.add_argument("--seen", type=Path, help="file with hashes of configs to leave out")
    parser.add_argument("--json", type=Path, help="file for the outcomes")
    options = parser.parse_args()
    known, found = set(families.names()), dict[str, dict[str, str]]()
    seen = set(options.seen.read_text("utf-8").split()) if options.seen else set()
    for folder in options.repositories:
        for one in configs(folder):
            row = {**one._asdict(), "model_type": one.config["model_type"], "outcome": ""}
            del row["config"]
            if one.sha256 not in found and one.sha256 not in seen:
                found[one.sha256] = {**row, "outcome": outcome(one.config)}
    rows = list(found.values())
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    for title, some in (
        ("all", rows),
        ("models with text", [row for row in rows if modality(row["model_type"]) is None]),
        ("supported model types", [row for row in rows if row["model_type"] in known]),
    ):
        counts = collections.Counter(row["outcome"].startswith("read") for row in some)
        print(f"{title:24}{len(some):5} configs, {counts[True]} read ({counts[True] / max(1, len(some)):.1%})")


if __name__ == "__main__":
    main()
