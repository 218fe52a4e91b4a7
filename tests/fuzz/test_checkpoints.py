"""Hostile checkpoints: methods of quantisation that contradict themselves, parts of a GGUF that do not belong together,
folders that are not what they seem, names that lead elsewhere.

``FUZZ_CHECKPOINTS`` in the environment is the number of rounds (a short run is the default).
"""

import contextlib
import copy
import json
import os
import random
import time

import pytest

import llmcalc
from llmcalc.checkpoint.headers.checkpoint_files import INDEX
from llmcalc.cli.main import main
from llmcalc.importers.weights import headers_of
from llmcalc.verification.weights import verify_weights

from ..checkpoint.test_quantised import STORED
from ..importers.checkpoints import LLAMA, MIXTRAL, OSS, holds
from ..importers.files import gguf, safetensors
from .test_headers import JSON, LONGEST, TINY, changed, spoilt, stored

ROUNDS = int(os.environ.get("FUZZ_CHECKPOINTS", "150"))
CANARY = "outside.of.it"  # a tensor of a file that no path may lead to
OUTSIDE = "secret.safetensors"
CONFIGS = [config for config, *_ in STORED]
EXPRESSIONS = (
    "re:.*", "re:(a+)+$", "re:[", "re:" + "(" * 200, "*" * 90, "model.*.*.*.*.q_proj", "", ".", "-:", "+:.*q_proj",
    "x" * 500, "re:" + "a|" * 100, "lm_head", "\x00", "model.layers.0.mlp.experts.1.up_proj", "\ud800",
)  # fmt: skip


@pytest.fixture
def wide(tmp_path):
    """A checkpoint that is not quantised, whose headers all are compared with."""
    return {config["model_type"]: holds(config) for config in (LLAMA, MIXTRAL, OSS)}


def misled(method, random_):
    """A quantization_config with something in it replaced: a value, a list of modules, a key of another method."""
    found = copy.deepcopy(method)
    for _ in range(random_.choice((1, 1, 2, 4))):
        action = random_.random()
        if action < 0.5:
            found = changed(found, random_)
        elif action < 0.75:
            key = random_.choice(
                ("ignore", "modules_to_not_convert", "dynamic", "exclude_modules", "llm_int8_skip_modules",
                 "quantized_layers", "modules_in_block_to_quantize", "targets")
            )  # fmt: skip
            names = [random_.choice(EXPRESSIONS) for _ in range(random_.choice((0, 1, 3, 40)))]
            found = {**found, key: random_.choice((names, {name: {"quant_algo": "FP8"} for name in names}))}
        else:
            other = random_.choice(CONFIGS)
            found = {**found, **{key: other[key] for key in random_.sample(sorted(other), 1)}}
        if not isinstance(found, dict):
            return found
    return found


def answered(run):
    """What was said; a clear error is an answer too."""
    start = time.process_time()
    try:
        run()
        said = "an answer"
    except llmcalc.InputError as error:
        said = str(error)
    assert 0 < len(said.strip()) < 5000
    assert time.process_time() - start < LONGEST, said
    return said


def test_a_misled_method_gives_an_answer_or_one_error(wide, tmp_path):
    random_ = random.Random(ROUNDS)
    headers = {}
    for name, tensors in wide.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({LLAMA["model_type"]: LLAMA, "mixtral": MIXTRAL,
                                                        "gpt_oss": OSS}[name]))  # fmt: skip
        (folder / "model.safetensors").write_bytes(safetensors(tensors))
        headers[name] = headers_of(llmcalc.load(folder))
    heard = set()
    for number in range(ROUNDS):
        config = random_.choice((LLAMA, MIXTRAL, OSS))
        told = {**config, "quantization_config": misled(random_.choice(CONFIGS), random_)}
        if random_.random() < 0.2:
            told["transformers_version"] = random_.choice(("5.1.0", "4", "", None, 5, "9" * 5000, "٣.1", "x.y"))

        def run(told=told, config=config):
            architecture = llmcalc.load(told)
            assert llmcalc.memory(architecture, seq=8).weights >= 0
            verify_weights(architecture, headers[config["model_type"]]).to_dict()

        try:
            heard.add(answered(run)[:30])
        except Exception as error:
            raise AssertionError(f"round {number}: {type(error).__name__}: {error} for {str(told)[:1500]}") from error
    assert len(heard) > 3


# a folder that is not what it seems


def nowhere(random_, outside):
    """A name that leads out of a folder, or is none."""
    return random_.choice((
        f"../{OUTSIDE}", str(outside), f"a/../../{OUTSIDE}", "..", ".", "", "/etc/passwd", f"./{OUTSIDE}",
        f"..\\{OUTSIDE}", "a.safetensors/", "nul\x00", "x" * 300, "~", "a.safetensors\n", "-h", "b.safetensors", 7,
        None,
    ))  # fmt: skip


def split_gguf(folder, random_):
    """The parts of a GGUF, some of which say something else than the others."""
    count = random_.choice((1, 2, 3))
    keys = {"general.architecture": "llama", "llama.block_count": 1, "llama.context_length": 16,
            "llama.embedding_length": 12, "llama.feed_forward_length": 7, "llama.attention.head_count": 3,
            "llama.attention.layer_norm_rms_epsilon": 1e-5}  # fmt: skip
    tensors = {"token_embd.weight": ("F32", (11, 12)), "output_norm.weight": ("F32", (12,)),
               "blk.0.attn_q.weight": ("F32", (12, 12)), "blk.0.ffn_up.weight": ("F32", (7, 12))}  # fmt: skip
    for number in range(count):
        own = dict(list(tensors.items())[number::count])
        told = {"split.no": number, "split.count": count, "split.tensors.count": len(tensors)}
        told = {**(keys if number == 0 or random_.random() < 0.1 else {}), **told}
        if random_.random() < 0.3:
            told[random_.choice(list(told))] = random_.choice((0, 7, -1, 2**31, "x", [1], True, 1e30))
        if random_.random() < 0.1:
            own |= {"token_embd.weight": ("F32", (11, 12))}
        content = gguf(told, own, order=random_.choice("<<<<>"))
        content = spoilt(content, random_) if random_.random() < 0.2 else content
        place = random_.choice((number + 1,) * 8 + (0, 99999, number))
        (folder / f"m-{place:05}-of-{random_.choice((count,) * 8 + (0, 99999)):05}.gguf").write_bytes(content)


def folder_of_safetensors(folder, random_, outside):
    """A folder whose index, files and config may each be something else."""
    tensors = list(stored().items())
    half = len(tensors) // 2
    shards = {"a.safetensors": dict(tensors[:half]), "b.safetensors": dict(tensors[half:])}
    index = {"metadata": {}, "weight_map": {name: file for file, held in shards.items() for name in held}}
    config = (
        {**TINY, "quantization_config": misled(random_.choice(CONFIGS), random_)} if random_.random() < 0.3 else TINY
    )
    for _ in range(random_.choice((0, 1, 3))):
        index["weight_map"][random_.choice(tensors)[0]] = nowhere(random_, outside)
    if random_.random() < 0.1:
        index["weight_map"] = random_.choice((*JSON, {"x": [1]}, [["x", "a.safetensors"]]))
    for name, held in shards.items():
        content = safetensors(held)
        (folder / name).write_bytes(spoilt(content, random_) if random_.random() < 0.2 else content)
    (folder / INDEX).write_text(json.dumps(index))
    if random_.random() < 0.3:
        (folder / INDEX).unlink()
    (folder / "config.json").write_text(json.dumps(changed(config, random_) if random_.random() < 0.2 else config))


def disturb(folder, random_, outside):
    """Something that is no plain file, where one is expected."""
    names = [path.name for path in folder.iterdir()]
    place = folder / random_.choice((*names, "model.safetensors", "config.json", INDEX))
    with contextlib.suppress(FileNotFoundError):
        place.unlink()
    action = random_.random()
    if action < 0.25:
        place.mkdir()
    elif action < 0.5:
        place.symlink_to(random_.choice((place.name, "..", "/dev/zero", "/dev/stdin", "nowhere", str(outside))))
    elif action < 0.6:
        os.mkfifo(place)
    elif action < 0.7:
        place.write_bytes(b"")
    elif action < 0.8:
        with place.open("wb") as file:
            file.truncate(1 << 40)  # holes, which take no room
    elif action < 0.9:
        place.write_bytes(b"\xff\xfe" + bytes(random_.randrange(256) for _ in range(40)))


COMMANDS = (
    ("verify", "{folder}"), ("verify", "{file}"), ("diff", "{folder}", "gpt2"), ("diff", "{other}", "{folder}"),
    ("import", "{folder}"), ("import", "{file}"), ("params", "{folder}"), ("memory", "{folder}", "--seq", "8"),
    ("verify", "{folder}", "--json"), ("diff", "{folder}", "{folder}"),
)  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs special files")
def test_commands_on_hostile_folders_say_one_thing(tmp_path, capsys, no_hang):
    random_ = random.Random(ROUNDS)
    outside = tmp_path / OUTSIDE
    outside.write_bytes(safetensors({CANARY: ("F32", (3,))}))
    other = tmp_path / "other.json"
    other.write_text(json.dumps(TINY))
    codes = set()
    for number in range(ROUNDS):
        folder = tmp_path / str(number) / random_.choice(("m", "a b", "-x", "é\u202e", "..m", "m.gguf"))
        folder.mkdir(parents=True)
        if random_.random() < 0.4:
            split_gguf(folder, random_)
        else:
            folder_of_safetensors(folder, random_, outside)
        if random_.random() < 0.4:
            disturb(folder, random_, outside)
        plain = [path for path in sorted(folder.iterdir()) if path.is_file() or path.is_dir()]
        file = random_.choice(plain or [folder])  # who names a pipe waits for it
        words = [word.format(folder=folder, file=file, other=other) for word in random_.choice(COMMANDS)]
        with no_hang(f"round {number}: {words}"):
            start = time.process_time()
            try:
                code = main(words)
            except Exception as error:
                raise AssertionError(f"round {number}: {type(error).__name__}: {error} for {words}") from error
            assert time.process_time() - start < LONGEST, words
        printed = capsys.readouterr()
        codes.add(code)
        assert code in (0, 1, 2), words
        assert CANARY not in printed.out + printed.err or file.is_symlink() or any(
            path.is_symlink() for path in folder.iterdir()
        ), words  # fmt: skip
        if code == 2:
            assert printed.err.count("error:") == 1, (words, printed.err)
            assert "Traceback" not in printed.err
            assert len(printed.err) < 5000
    assert codes == {0, 1, 2}
