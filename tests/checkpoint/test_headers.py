"""Headers of safetensors and GGUF: what is read, and that what contradicts itself is one clear error."""

import json
import os
import struct
from pathlib import Path

import pytest

import llmcalc
from llmcalc.checkpoint.headers import checkpoint_files, limits
from llmcalc.checkpoint.headers.checkpoint_files import read_headers
from llmcalc.checkpoint.headers.gguf import Long
from llmcalc.schema import preset_files

from ..importers.files import framed, gguf, safetensors, text, value

TENSORS = {"a.weight": ("F32", (3, 5)), "b.weight": ("BF16", (7,)), "c": ("I64", ())}
BLOCKS = {"token_embd.weight": ("Q8_0", (3, 32)), "x": ("F32", (2, 5)), "y": ("Q4_K", (2, 256))}


def written(folder, name, content):
    file = folder / name
    file.write_bytes(content)
    return file


def refused(path, *words):
    with pytest.raises(llmcalc.InputError) as caught:
        read_headers(path)
    said = str(caught.value)
    assert all(word in said for word in words), said
    assert len(said) < 2000
    return said


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_a_safetensors_header_tells_names_types_shapes_and_every_byte(tmp_path):
    headers = read_headers(written(tmp_path, "m.safetensors", safetensors(TENSORS, {"format": "pt"}, spaces=3)))
    assert {tensor.name: (tensor.type, tensor.shape) for tensor in headers} == TENSORS
    (file,) = headers.files
    assert (file.padding_bytes, file.data_bytes, file.unexplained_bytes) == (3, 60 + 14 + 8, 0)
    assert (headers.elements, headers.metadata) == (15 + 7 + 1, {"format": "pt"})


BROKEN = {
    "too few bytes": (b"1234", "too short"),
    "a header longer than the file": (struct.pack("<Q", 10**6) + b"{}", "1,000,000"),
    "a header of 2^63 bytes": (struct.pack("<Q", 2**63) + b"{}", "should have"),
    "no brace": (framed(b"[]"), "does not start with {"),
    "no JSON": (framed(b'{"a": '), "invalid JSON"),
    "no UTF-8": (framed(b'{"\xff\xfe": 1}'), "UTF-8"),
    "nested deeply": (framed(b'{"a":' * 100_000), "deep"),
    "NaN": (framed(b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 4]}}', bytes(4)), "shape"),
    "an endless integer": (framed(b'{"a": ' + b"9" * 10_000 + b"}"), "invalid JSON"),
    "a name twice": (framed(b'{"a": {}, "a": {}}'), "duplicate key"),
    "a list as entry": (framed(b'{"a": []}'), "dtype, shape and data_offsets"),
    "a further key": (framed(json.dumps({"a": {**entry(), "x": 1}}).encode(), bytes(8)), "dtype, shape"),
    "an unknown dtype": (framed(json.dumps({"a": entry("F31")}).encode(), bytes(8)), "F31"),
    "a negative length": (framed(json.dumps({"a": entry(shape=(-2,))}).encode(), bytes(8)), "shape"),
    "a float as length": (framed(json.dumps({"a": entry(shape=(2.0,))}).encode(), bytes(8)), "shape"),
    "true as length": (framed(b'{"a": {"dtype": "F32", "shape": [true], "data_offsets": [0, 4]}}', bytes(4)), "shape"),
    "10^18 dimensions": (framed(json.dumps({"a": entry(shape=(10**18,) * 5)}).encode(), bytes(8)), "bytes"),
    "many dimensions": (framed(json.dumps({"a": entry(shape=(1,) * 99)}).encode(), bytes(8)), "shape"),
    "a size that does not fit": (framed(json.dumps({"a": entry(shape=(3,))}).encode(), bytes(8)), "needs 12 bytes"),
    "an offset before the data": (framed(json.dumps({"a": entry(offsets=(-8, 0))}).encode(), bytes(8)), "offsets"),
    "an overlap": (
        framed(json.dumps({"a": entry(), "b": entry(offsets=(4, 12))}).encode(), bytes(12)), "overlaps",
    ),
    "a hole": (framed(json.dumps({"a": entry(), "b": entry(offsets=(9, 17))}).encode(), bytes(17)), "gap"),
    "data that is missing": (framed(json.dumps({"a": entry()}).encode(), bytes(5)), "complete"),
    "data that nobody names": (framed(json.dumps({"a": entry()}).encode(), bytes(9)), "complete"),
    "metadata of numbers": (framed(b'{"__metadata__": {"a": 1}}'), "__metadata__"),
    "a long name": (framed(json.dumps({"n" * 5000: entry()}).encode(), bytes(8)), "not a valid tensor name"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_safetensors_header_is_one_error(tmp_path, case):
    content, word = BROKEN[case]
    said = refused(written(tmp_path, "m.safetensors", content), word)
    assert "m.safetensors" in said


def test_a_header_of_more_values_than_any_checkpoint_is_refused_before_it_is_parsed(tmp_path):
    lists = b'{"a": [' + b"[]," * limits.MOST_BRACKETS + b"0]}"
    refused(written(tmp_path, "a.safetensors", framed(lists)), "too many values")
    keys = b"{" + b",".join(b'"%d":0' % number for number in range(limits.MOST_COLONS + 1)) + b"}"
    refused(written(tmp_path, "k.safetensors", framed(keys)), "too many values")
    wide = json.dumps({"ü" * 900: 1}, ensure_ascii=False).encode() + b" " * limits.LARGEST_WIDE
    refused(written(tmp_path, "b.safetensors", framed(wide)), "bytes")


def shards(folder, **changes):
    """A folder of two shards with their index; ``changes`` replace files of it (None: remove)."""
    parts = {"one.safetensors": ["a.weight"], "two.safetensors": ["b.weight", "c"]}
    for file, names in parts.items():
        written(folder, file, safetensors({name: TENSORS[name] for name in names}))
    index = {"metadata": {"total_size": 82}, "weight_map": {name: file for file in parts for name in parts[file]}}
    written(folder, checkpoint_files.INDEX, json.dumps({**index, **changes}).encode())
    return folder


def test_shards_are_read_as_their_index_says(tmp_path):
    headers = read_headers(shards(tmp_path))
    assert (len(headers.files), len(headers.tensors), headers.elements) == (2, 3, 23)


@pytest.mark.parametrize(
    "file", ["../one.safetensors", "/etc/passwd", "/etc/x.safetensors", "a/b.safetensors", "..", ".hidden.safetensors",
             "c:\\x.safetensors", "x\n.safetensors", "one.bin", ""],
)  # fmt: skip
def test_an_index_leads_nowhere_else(tmp_path, file):
    refused(shards(tmp_path, weight_map={"a.weight": file}), "is not a .safetensors file name")


def test_an_index_and_the_shards_name_the_same_tensors(tmp_path):
    both = {"a.weight": "one.safetensors", "b.weight": "one.safetensors", "c": "two.safetensors"}
    refused(shards(tmp_path, weight_map=both), "b.weight", "is in two.safetensors")
    more = {"a.weight": "one.safetensors", "d": "two.safetensors"}
    refused(shards(tmp_path, weight_map=more), "is missing, but the index lists it in")
    refused(
        shards(tmp_path, weight_map={"a.weight": "one.safetensors", "b.weight": "two.safetensors"}),
        "not listed in the index",
    )
    refused(shards(tmp_path, weight_map={"a.weight": "three.safetensors"}), "does not exist")
    refused(shards(tmp_path, weight_map=[]), "weight_map")


def test_two_shards_do_not_hold_one_tensor(tmp_path):
    for name in ("one.safetensors", "two.safetensors"):
        written(tmp_path, name, safetensors(TENSORS))
    refused(tmp_path, "two files contain")


def test_a_link_out_of_the_folder_is_refused_but_not_the_hubs_own(tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    real = written(outside, "x.safetensors", safetensors(TENSORS))
    (folder / "m.safetensors").symlink_to(real)
    refused(folder, "links to a file outside its folder")
    blobs, snapshot = tmp_path / "models--a--b" / "blobs", tmp_path / "models--a--b" / "snapshots" / "1234"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    written(blobs, "abcd", safetensors(TENSORS))
    (snapshot / "m.safetensors").symlink_to("../../blobs/abcd")
    assert len(read_headers(snapshot).tensors) == 3
    (folder / "m.safetensors").unlink()
    (folder / "m.safetensors").symlink_to("m.safetensors")
    refused(folder)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "m.safetensors")
    refused(tmp_path / "m.safetensors", "pipe")
    os.mkfifo(tmp_path / "m.gguf")
    refused(tmp_path / "m.gguf", "pipe")
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(llmcalc.InputError, match="pipe"):
        llmcalc.load(tmp_path)
    os.mkfifo(tmp_path / "m.yaml")
    for path in (tmp_path / "m.yaml", tmp_path / "config.json", "/dev/zero"):
        with pytest.raises(llmcalc.InputError, match="pipe or device"):
            llmcalc.load(path)


def test_a_pipe_in_a_preset_folder_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "m.yaml")
    monkeypatch.setenv("LLMCALC_PATH", str(tmp_path))
    assert "gpt3-175b" in preset_files.names()
    with pytest.raises(llmcalc.InputError, match="pipe or device"):
        llmcalc.load("m")


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="needs /dev/fd")
def test_a_file_that_a_shell_has_opened_is_read():
    """As in ``llmcalc params <(cat config.json)``."""
    preset = Path(preset_files.shipped_folder(), "gpt2.yaml").read_bytes()
    for content, name in ((b'{"model_type": "gpt2", "n_layer": 3}', "gpt2"), (preset, "gpt2-small")):
        reading, writing = os.pipe()
        os.write(writing, content)
        os.close(writing)
        try:
            assert llmcalc.load(f"/dev/fd/{reading}").name == name
        finally:
            os.close(reading)


def test_parts_without_the_first_are_said_to_be_that(tmp_path):
    written(tmp_path, "m-00002-of-00002.gguf", gguf({"split.no": 1}, BLOCKS))
    refused(tmp_path, "the first file")


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_head_of_a_gguf_tells_metadata_tensors_and_every_byte(tmp_path, order):
    metadata = {"general.architecture": "x", "n": 7, "f": 1e-5, "s": "ü", "l": [1, 2], "t": ["a", "b"], "b": True}
    headers = read_headers(written(tmp_path, "m.gguf", gguf(metadata, BLOCKS, order)))
    assert headers.metadata == metadata
    assert {tensor.name: (tensor.type, tensor.shape) for tensor in headers} == BLOCKS
    (file,) = headers.files
    assert (file.data_bytes, file.unexplained_bytes) == (3 * 34 + 40 + 2 * 144, 0)
    assert file.header_bytes + file.padding_bytes + file.data_bytes == file.size_bytes


def test_long_lists_are_counted_not_kept(tmp_path):
    metadata = {"tokens": ["x"] * 5000, "scores": [1.0] * 5000, "n": 3, "template": "y" * 100_000}
    found = read_headers(written(tmp_path, "m.gguf", gguf(metadata, {}))).metadata
    assert found == {"tokens": Long(5000), "scores": Long(5000), "n": 3, "template": Long(100_000)}


def raw(pairs=b"", count=1, tensors=0, rows=b""):
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, count) + pairs + rows


def row(name="x", dimensions=(4,), kind=0, offset=0):
    return text(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind, offset)


NESTED = struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQ", 9, 1) * 30
BROKEN_GGUF = {
    "empty": (b"", "empty"),
    "another magic": (b"GGML" + bytes(40), "does not start with the bytes GGUF"),
    "version 1": (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
    "version 77": (b"GGUF" + struct.pack("<IQQ", 77, 0, 0), "version 77"),
    "cut short": (b"GGUF" + struct.pack("<I", 3), "ends inside its header"),
    "10^18 pairs": (raw(count=10**18), "1,000,000,000,000,000,000 metadata pairs"),
    "10^18 tensors": (raw(tensors=10**18, count=0), "1,000,000,000,000,000,000 tensors"),
    "a text of 10^18 bytes": (raw(struct.pack("<Q", 10**18)), "bytes, more than the limit"),
    "a value of 2^63 bytes": (raw(text("k") + struct.pack("<IQ", 8, 2**63)), "ends inside its header"),
    "a list of 10^18 numbers": (raw(text("k") + struct.pack("<IIQ", 9, 4, 10**18)), "longer than the file"),
    "a list of 10^18 strings": (raw(text("k") + struct.pack("<IIQ", 9, 8, 10**18)), "strings"),
    "a list of 10^18 lists": (raw(text("k") + struct.pack("<IIQ", 9, 9, 10**18)), "arrays"),
    "lists within lists": (raw(text("k") + NESTED), "nested"),
    "a text in a list beyond the end": (
        raw(text("k") + struct.pack("<IIQ", 9, 8, 5000) + struct.pack("<Q", 2**62) + bytes(50_000)), "ends inside",
    ),
    "an unknown type of value": (raw(text("k") + struct.pack("<I", 99)), "unknown value type 99"),
    "a key twice": (raw((text("k") + value(1)) * 2, count=2), "duplicate key"),
    "a key that is no UTF-8": (raw(text(b"\xff") + value(1)), "UTF-8"),
    "an alignment of 0": (raw(text("general.alignment") + value(0)), "power of two"),
    "an alignment of 48": (raw(text("general.alignment") + value(48)), "power of two"),
    "many dimensions": (raw(count=0, tensors=1, rows=text("x") + struct.pack("<I", 2**31)), "dimensions"),
    "10^18 rows": (raw(count=0, tensors=1, rows=row(dimensions=(10**18, 10**18))) + bytes(64), "the file has"),
    "2^63 rows": (raw(count=0, tensors=1, rows=row(dimensions=(2**63,))), "dimensions"),
    "an unknown type of tensor": (raw(count=0, tensors=1, rows=row(kind=4)), "unknown type 4"),
    "half a block": (raw(count=0, tensors=1, rows=row(dimensions=(33,), kind=8)), "not a multiple"),
    "an offset of 2^63": (raw(count=0, tensors=1, rows=row(offset=2**63)), "dimensions"),
    "a hole": (raw(count=0, tensors=1, rows=row(offset=32)) + bytes(99), "leaves a gap"),
    "an overlap": (raw(count=0, tensors=2, rows=row("x") + row("y")) + bytes(99), "overlaps"),
    "a name twice": (raw(count=0, tensors=2, rows=row() + row(offset=32)) + bytes(99), "twice"),
    "data that is missing": (raw(count=0, tensors=1, rows=row(dimensions=(99,))) + bytes(64), "the file has"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN_GGUF)
def test_a_broken_gguf_is_one_error(tmp_path, case):
    content, word = BROKEN_GGUF[case]
    said = refused(written(tmp_path, "m.gguf", content), word)
    assert "m.gguf" in said


def test_bytes_behind_the_tensors_are_said_to_be_unexplained(tmp_path):
    headers = read_headers(written(tmp_path, "m.gguf", gguf({}, BLOCKS) + bytes(77)))
    assert headers.files[0].unexplained_bytes == 77


def test_the_parts_of_a_gguf_are_read_together_whichever_is_named(tmp_path):
    for number, (name, tensor) in enumerate(BLOCKS.items(), 1):
        written(tmp_path, f"m-0000{number}-of-00003.gguf", gguf({"split.no": number - 1}, {name: tensor}))
    named = read_headers(tmp_path / "m-00002-of-00003.gguf")
    assert set(named.tensors) == set(BLOCKS)
    assert set(read_headers(tmp_path).tensors) == set(BLOCKS)
    (tmp_path / "m-00003-of-00003.gguf").unlink()
    refused(tmp_path / "m-00001-of-00003.gguf", "m-00003-of-00003.gguf is missing")


def test_two_gguf_models_in_a_folder_are_a_question(tmp_path):
    for name in ("q4.gguf", "q8.gguf"):
        written(tmp_path, name, gguf({}, BLOCKS))
    refused(tmp_path, "contains 2 GGUF models", "q4.gguf, q8.gguf")


def test_pickled_weights_are_named_and_never_opened(tmp_path):
    written(tmp_path, "pytorch_model.bin", b"\x80\x04cos\nsystem\n")
    refused(tmp_path, "pytorch_model.bin", "never opened", "safetensors")
    for source in (tmp_path, tmp_path / "pytorch_model.bin"):
        with pytest.raises(llmcalc.InputError, match="never opened"):
            llmcalc.load(source)


def test_the_current_folder_and_its_parent_are_read(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}), "utf-8")
    (tmp_path / "inner").mkdir()
    for folder, source in ((tmp_path, "."), (tmp_path / "inner", "..")):
        monkeypatch.chdir(folder)
        assert llmcalc.params(source).total == llmcalc.params(tmp_path).total
