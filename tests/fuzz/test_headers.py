"""Hostile files of weights: an answer or one clear error; never a traceback, a hang or much memory.

Valid headers of safetensors, indexes and GGUF files, which the test writes itself, are cut, overwritten, filled with
extreme numbers and spliced. ``FUZZ_HEADERS`` in the environment is the number of rounds (a short run is the default).
"""

import json
import os
import random
import struct
import time
import tracemalloc

import pytest

import llmcalc
from llmcalc.checkpoint.headers.checkpoint_files import INDEX
from llmcalc.importers.weights import headers_of
from llmcalc.verification.weights import verify_weights

from ..importers.files import framed, gguf, safetensors
from ..importers.gguf_models import MODELS

ROUNDS = int(os.environ.get("FUZZ_HEADERS", "300"))
# seconds of computing that one file may take: in a short run a guard against what never ends, in a long one a measure
LONGEST = 1.0 if "FUZZ_HEADERS" in os.environ or "FUZZ_CHECKPOINTS" in os.environ else 60.0
MOST = 200 << 20  # bytes that one file may make the reader hold
NUMBERS = (0, 1, 2, 7, 2**31, 2**32 - 1, 2**32, 2**53 + 1, 10**18, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
JSON = (
    None, True, -1, 0, 3, 10**18, 10**30, 0.5, 1e308, "", "F32", "Q4", "x" * 3000, "\x00", "../x.safetensors", [],
    [[]], {}, [0], [-1, 4], [10**18] * 8, [None], {"a": 1}, float("nan"), float("inf"),
)  # fmt: skip
TINY = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 12, "num_hidden_layers": 1,
    "num_attention_heads": 3, "num_key_value_heads": 1, "intermediate_size": 7, "vocab_size": 11, "head_dim": 4,
    "tie_word_embeddings": False,
}  # fmt: skip


def stored():
    """The tensors of the tiny model, as a checkpoint holds them."""
    tensors = llmcalc.params(llmcalc.load(TINY)).tensors("checkpoint")
    return {name: ("F32", shape) for name, shape in tensors}


def changed(value, random_):
    """JSON data with one value somewhere replaced, removed or doubled."""
    if isinstance(value, dict) and value and random_.random() < 0.9:
        key = random_.choice(list(value))
        action = random_.random()
        if action < 0.1:
            return {other: value[other] for other in value if other != key}
        if action < 0.2:
            return {**value, f"{key}{random_.choice(('x', '.', '/../', 'é'))}": value[key]}
        return {**value, key: changed(value[key], random_)}
    if isinstance(value, list) and value and random_.random() < 0.7:
        index = random_.randrange(len(value))
        return [changed(one, random_) if at == index else one for at, one in enumerate(value)]
    return random_.choice(JSON)


def spoilt(content, random_):
    """Bytes that were cut, overwritten, filled with an extreme number, doubled or shuffled."""
    data = bytearray(content)
    for _ in range(random_.choice((1, 1, 1, 2, 5))):
        at = random_.randrange(max(1, len(data)))
        action = random_.random()
        if action < 0.15:
            del data[at:]
        elif action < 0.4:
            data[at : at + 1] = bytes([random_.randrange(256)])
        elif action < 0.75:
            number = random_.choice(NUMBERS)
            wide = random_.random() < 0.7
            data[at : at + (8 if wide else 4)] = (
                struct.pack("<Q", number) if wide else struct.pack("<I", number % 2**32)
            )
        elif action < 0.85:
            end = at + random_.randrange(1, 60)
            data[at:at] = data[at:end]
        else:
            del data[at : at + random_.randrange(1, 40)]
    return bytes(data)


def safetensors_folder(folder, random_):
    """A config, one or two shards and an index, one of them spoilt."""
    tensors, which = list(stored().items()), random_.random()
    half = len(tensors) // 2
    shards = {"a.safetensors": dict(tensors[:half]), "b.safetensors": dict(tensors[half:])}
    files = {name: safetensors(held) for name, held in shards.items()}
    index = {"metadata": {}, "weight_map": {tensor: file for file, held in shards.items() for tensor in held}}
    if which < 0.4:
        files["a.safetensors"] = spoilt(files["a.safetensors"], random_)
    elif which < 0.7:
        length = int.from_bytes(files["b.safetensors"][:8], "little")
        header = changed(json.loads(files["b.safetensors"][8 : 8 + length]), random_)
        files["b.safetensors"] = framed(json.dumps(header).encode(), files["b.safetensors"][8 + length :])
    elif which < 0.85:
        index = changed(index, random_)
    files[INDEX] = json.dumps(index).encode()
    if which >= 0.85:
        files[INDEX] = spoilt(files[INDEX], random_)
    files["config.json"] = json.dumps(TINY).encode()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def gguf_file(folder, random_):
    """A GGUF of some architecture, spoilt in its metadata or in its bytes."""
    name = random_.choice(list(MODELS))
    metadata, config = MODELS[name]
    metadata = dict(metadata)
    for _ in range(random_.choice((0, 0, 1, 2))):
        key = random_.choice(list(metadata))
        metadata[key] = random_.choice((0, 1, 2**31, -1, 1e30, True, "x", [1, 2], [], 10**6, 7, 2**32 - 1))
    arch = name.split()[0]
    keys = {"general.architecture": arch, **{f"{arch}.{key}": one for key, one in metadata.items()}}
    tensors = {"token_embd.weight": ("F32", (config["vocab_size"], 52)), "blk.0.attn_q.weight": ("F32", (52, 52))}
    content = gguf(keys, tensors, order=random_.choice("<<<>"))
    file = folder / "m.gguf"
    file.write_bytes(spoilt(content, random_) if random_.random() < 0.7 else content)
    return file


def answered(path):
    """An answer or an error of one message."""
    try:
        architecture = llmcalc.load(path)
        assert llmcalc.params(architecture).total > 0
        headers = headers_of(architecture)
        if headers:
            verify_weights(architecture, headers).to_dict()
    except llmcalc.InputError as error:
        return str(error)
    return "an answer"


@pytest.mark.parametrize("kind", [safetensors_folder, gguf_file])
def test_a_spoilt_file_gives_an_answer_or_one_error(kind, tmp_path):
    random_ = random.Random(kind.__name__)
    tracemalloc.start()
    try:
        for number in range(ROUNDS):
            path = kind(tmp_path, random_)
            tracemalloc.reset_peak()
            start = time.process_time()
            try:
                said = answered(path)
            except Exception as error:
                raise AssertionError(f"round {number}: {type(error).__name__}: {error}") from error
            assert said.strip()
            assert len(said) < 5000
            assert time.process_time() - start < LONGEST, said
            assert tracemalloc.get_traced_memory()[1] < MOST, said
    finally:
        tracemalloc.stop()
