"""What a folder holds is never executed or unpickled, and no network is touched without ``hf:``."""

import builtins
import importlib
import pickle
import socket
import subprocess
import sys

import pytest

import llmcalc
from llmcalc.cli.main import main

from .checkpoints import LLAMA, folder, holds
from .files import gguf
from .test_gguf import MODELS, tensors_of


class NetworkError(Exception):
    """Raised where a test forbids the network."""


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise NetworkError

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def nothing_runs(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("something was executed")

    for name in ("exec", "eval"):
        monkeypatch.setattr(builtins, name, refuse)
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)


def sources(tmp_path):
    """A folder of safetensors with code and pickles beside it, and a GGUF."""
    path = folder(tmp_path / "m", {**LLAMA, "auto_map": {"AutoModel": "modeling.Evil"}})
    (path / "modeling.py").write_text("raise SystemExit(99)")
    (path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'exit 99'\ntR.")
    file = tmp_path / "m.gguf"
    keys = {f"llama.{key}": value for key, value in MODELS["llama"][0].items()}
    file.write_bytes(gguf({"general.architecture": "llama", **keys}, tensors_of("llama")))
    return [str(path), str(path / "model.safetensors"), str(file)]


COMMANDS = (
    ["params"],
    ["verify"],
    ["memory", "--seq", "16"],
    ["flops", "--seq", "16"],
    ["explain"],
    ["fit", "--gpu", "h100"],
)


def test_no_command_executes_unpickles_or_asks_the_network(tmp_path, no_network, capsys, monkeypatch):
    found = sources(tmp_path)
    for command, *rest in COMMANDS:  # what commands import is executed when it is imported first
        main([command, found[0], *(["params"] if command == "explain" else []), *rest])
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, None)
    monkeypatch.setattr(subprocess, "Popen", None)
    for command, *rest in COMMANDS:
        for source in found:
            words = [command, source, *(["params"] if command == "explain" else []), *rest]
            assert main(words) in (0, 1), capsys.readouterr().err
    assert "modeling" not in sys.modules


def test_the_traps_fire(no_network, nothing_runs):
    with pytest.raises(NetworkError):
        socket.create_connection(("127.0.0.1", 9))
    with pytest.raises(AssertionError, match="executed"):
        pickle.loads(b"N.")
    with pytest.raises(AssertionError, match="executed"):
        eval("1")


def test_only_hf_asks_the_network(no_network):
    pytest.importorskip("huggingface_hub")
    importlib.import_module("huggingface_hub.errors")
    for source in ("org/tiny", "./org/tiny", "tiny"):
        with pytest.raises(llmcalc.InputError):
            llmcalc.load(source)
    with pytest.raises((NetworkError, llmcalc.InputError)):
        llmcalc.load("hf:org/tiny")


def test_a_preset_needs_nothing_of_what_reads_files():
    probe = "import sys, llmcalc; llmcalc.params(llmcalc.load('gpt3')); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    names = done.stdout.split()
    assert "llmcalc.inputs.models" in names
    assert not [name for name in names if name.startswith("llmcalc.importers") or name in ("mmap", "socket")]


def test_reading_a_header_imports_the_standard_library_alone(tmp_path):
    path = folder(tmp_path / "m", LLAMA, holds(LLAMA))
    probe = (
        "import sys; from pathlib import Path; from llmcalc.checkpoint.headers.checkpoint_files import read_headers; "
        f"read_headers(Path({str(path)!r})); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    heavy = {"numpy", "pydantic", "rich", "typer", "yaml", "torch", "huggingface_hub", "safetensors"}
    assert not heavy & {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "git", "num_image_with_embedding": 10**6},
        {"model_type": "mobilebert", "num_feedforward_networks": 10**9},
        {"model_type": "albert", "inner_group_num": 10**7},
        {"model_type": "albert", "num_hidden_groups": 10**8},
        {"model_type": "gemma3n_text", "altup_num_inputs": 10**6},
    ],
)
def test_modules_are_repeated_a_limited_number_of_times(config):
    key = list(config)[-1]
    with pytest.raises(llmcalc.InputError, match=f"{key} must be at most 128"):
        llmcalc.load(config)
