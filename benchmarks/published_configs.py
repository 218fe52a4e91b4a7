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

From run 13, the frame is stated before any file is opened. A file is in the frame if

- its name is config.json, and it is a JSON object with a class in architectures, or with a model_type and a
  transformers_version, which transformers writes into every file,
- its model has text: causal language models, encoder-decoders, encoders, and multimodal models with one of these, and
- its SHA-256 is not in benchmarks/published_configs.json.

A model has no text if OTHER_TASKS has the end or OTHER_CLASSES a part of its class name, the frozen commit's table
llmcalc/data/other_models.yaml lists its model_type as a model, or no reader has its model_type and no key of the file
contains `vocab`. The option --frame reads the files by these rules.

Of each repository, the first three config.json in the order of their paths are read, without those seen before. The
repositories are, in turn for each path of a list, the next one that the index lists for this path and that no run
before has, until the frame has at least 100 files. Repositories that cannot be fetched are left out. Run 13 has five
rounds of the paths RUN_13, and then the paths FURTHER_13, which replaced them when only the number of files was known.
Run 14 has the paths RUN_14.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

import llmcalc
from llmcalc.data import table
from llmcalc.importers.hf import families
from llmcalc.importers.hf.composite_configs import text_models
from llmcalc.importers.hf.unknown_types import modality

OTHER_TASKS = (  # ends of class names for images, sound and time series
    "ForImageClassification", "ForImageClassificationWithTeacher", "ForObjectDetection", "ForZeroShotObjectDetection",
    "ForSemanticSegmentation", "ForInstanceSegmentation", "ForUniversalSegmentation", "ForImageSegmentation",
    "ForDepthEstimation", "ForMaskedImageModeling", "ForKeypointDetection", "ForKeypointMatching", "ForImageMatting",
    "ForImageSuperResolution", "ForPoseEstimation", "ForVideoClassification", "ForAudioClassification", "ForCTC",
    "ForXVector", "ForAudioFrameClassification", "ForAudioTokenization", "ForTextToSpeech", "ForSpeechToSpeech",
    "ForPrediction", "ForTimeSeriesClassification", "Backbone",
)  # fmt: skip
OTHER_CLASSES = ("Diffusion", "UNet", "Autoencoder", "VAE", "Vocoder", "Scheduler")  # parts of class names
RUN_13 = (  # five rounds, in which most repositories had no model at all
    "tokenizer_config.json", "special_tokens_map.json", "merges.txt", "vocab.txt", "spiece.model", "tokenizer.model",
    "sentencepiece.bpe.model", "modules.json", "training_args.bin", "trainer_state.json", "final_model/config.json",
    "saved_model/config.json", "output/config.json", "results/config.json", "pretrained_model/config.json",
    "llm/config.json", "t5/config.json", "text_encoder/config.json", "language_model/config.json",
    "embedding_model/config.json", "roberta/config.json", "models/llama/config.json", "models/t5/config.json",
    "checkpoints/config.json", "trained_model/config.json",
)  # fmt: skip
FURTHER_13 = (  # the other rounds
    "tokenizer_config.json", "special_tokens_map.json", "training_args.bin", "trainer_state.json",
    "final_model/config.json", "saved_model/config.json", "pretrained_model/config.json", "trained_model/config.json",
    "text_encoder/config.json", "flax_model.msgpack", "onnx/config.json", "models/bert/config.json",
    "my_model/config.json", "finetuned_model/config.json", "merged_model/config.json", "modeling_qwen.py",
    "tokenization_chatglm.py", "configuration_llama.py", "1_Pooling/config.json", "tokenizer/tokenizer_config.json",
    "model.safetensors", "distilbert/config.json", "checkpoint-1000/config.json", "checkpoint-500/config.json",
    "deepseek/config.json", "xlnet/config.json", "bart/config.json", "0_Transformer/config.json",
)  # fmt: skip
RUN_14 = (
    "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "tokenizer_config.json", "special_tokens_map.json",
    "training_args.bin", "trainer_state.json", "model/training_args.bin", "model/special_tokens_map.json",
    "text_encoder/config.json", "text_encoder_2/config.json", "models/distilbert/config.json",
    "models/roberta/config.json", "bert_model/config.json", "distilbert_model/config.json",
    "roberta_model/config.json", "emotion_model/config.json", "models/sentiment/config.json",
    "fine-tuned-model/config.json", "chatbot_model/config.json", "sentiment/config.json", "model/bert/config.json",
    "bert-base-chinese/config.json", "gpt2-finetuned/config.json", "deberta/config.json", "nllb/config.json",
    "phi/config.json", "summarizer/config.json", "t5-small/config.json", "distilgpt2/config.json",
    "bert_classifier/config.json", "1_Pooling/config.json",
)  # fmt: skip
MOST_FILES = 3  # of a repository


class Published(NamedTuple):
    """A published config and where it was found."""

    repository: str
    commit: str
    path: str
    sha256: str
    config: dict[str, Any]


def git(folder: str, *words: str) -> bytes:
    return subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True).stdout


def configs(folder: str, frame: bool = False) -> Iterator[Published]:
    """Yield the configs in a repository's head commit: with a class, or the first ones that transformers wrote."""
    commit = git(folder, "rev-parse", "HEAD").decode().strip()
    name = Path(folder).parent.name.replace("+", "/") if Path(folder).name == "repo" else Path(folder).name
    for line in git(folder, "ls-tree", "-r", "--name-only", "-z", "HEAD").split(b"\0"):
        path = line.decode("utf-8", "replace")
        if not path.endswith("config.json") or (frame and Path(path).name != "config.json"):
            continue
        try:
            content = git(folder, "show", f"HEAD:{path}")
            data = json.loads(content)
        except (subprocess.CalledProcessError, ValueError):
            continue
        if isinstance(data, dict) and (is_saved(data) if frame else is_checkpoint(data)):
            yield Published(name, commit, path, hashlib.sha256(content).hexdigest(), data)


def is_checkpoint(config: dict[str, Any]) -> bool:
    """Return whether a file has a model_type and a class."""
    return isinstance(config.get("model_type"), str) and has_class(config.get("architectures"))


def has_class(architectures: object) -> bool:
    """Return whether a config names the class of its model."""
    return isinstance(architectures, list) and bool(architectures) and isinstance(architectures[0], str)


def is_saved(config: dict[str, Any]) -> bool:
    """Return whether transformers wrote a file: it has a class, or a model_type and a version of transformers."""
    return has_class(config.get("architectures")) or {"model_type", "transformers_version"} <= config.keys()


def has_text(config: dict[str, Any]) -> bool:
    """Return whether a file is of a model with text, by the lists that are stated before a run."""
    model_type = str(config.get("model_type"))
    name = str(config["architectures"][0]) if has_class(config.get("architectures")) else ""
    if name.endswith(OTHER_TASKS) or any(part in name for part in OTHER_CLASSES) or "_class_name" in config:
        return False
    listed = table("other_models").values()
    if any(model_type in one["models"] or model_type.endswith(tuple(one.get("suffixes", ()))) for one in listed):
        return False
    return model_type in {*families.names(), *text_models()} or has_key(config, "vocab")


def has_key(data: object, part: str) -> bool:
    """Return whether a key at any level contains a text."""
    if not isinstance(data, dict):
        return False
    return any(part in key.lower() or has_key(value, part) for key, value in data.items())


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
    parser.add_argument("--frame", action="store_true", help="draw files by the rules from run 13")
    options = parser.parse_args()
    known, found = set(families.names()), dict[str, dict[str, Any]]()
    seen = set(options.seen.read_text("utf-8").split()) if options.seen else set()
    for folder in options.repositories:
        new = (one for one in configs(folder, options.frame) if one.sha256 not in seen | found.keys())
        for one in itertools.islice(new, MOST_FILES if options.frame else None):
            row = {**one._asdict(), "model_type": str(one.config.get("model_type")), "outcome": outcome(one.config)}
            del row["config"]
            found[one.sha256] = row | ({"frame": has_text(one.config)} if options.frame else {})
    rows = list(found.values())
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    for title, some in (
        ("all", rows),
        ("models with text", [row for row in rows if modality(row["model_type"]) is None]),
        ("supported model types", [row for row in rows if row["model_type"] in known]),
        ("frame", [row for row in rows if row.get("frame")]),
    ):
        counts = collections.Counter(row["outcome"].startswith("read") for row in some)
        print(f"{title:24}{len(some):5} configs, {counts[True]} read ({counts[True] / max(1, len(some)):.1%})")


if __name__ == "__main__":
    main()
