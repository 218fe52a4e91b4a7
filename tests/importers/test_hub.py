"""``hf:``: configs and headers through huggingface_hub, from a server that the test starts."""

import builtins
import http.server
import json
import threading
import time

import pytest

import llmcalc
from llmcalc.checkpoint.headers.checkpoint_files import INDEX
from llmcalc.importers import hub
from llmcalc.importers.weights import headers_of
from llmcalc.verification.weights import verify_weights

from .checkpoints import LLAMA, holds
from .files import safetensors

COMMIT = "1234567890abcdef1234567890abcdef12345678"


class Server(http.server.ThreadingHTTPServer):
    """Files of one repository, as the Hub serves them; ``asked`` is what was asked for, ``sent`` how many bytes."""

    def __init__(self, files, ranges=True):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.ranges, self.asked, self.sent = files, ranges, [], 0
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body=True):
        server, (_, _, path) = self.server, self.path.partition("/org/tiny/resolve/")
        revision, _, name = path.partition("/")
        server.asked.append((self.command, name, self.headers.get("Range")))
        content = server.files.get(name)
        if content is None or revision not in ("main", "v1", COMMIT):
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if revision == "main" else "RevisionNotFound")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        part, status = content, 200
        if self.headers.get("Range") and server.ranges:
            first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
            part, status = content[int(first) : int(last) + 1], 206
            self.send_response(status)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        else:
            self.send_response(status)
        for key, value in (("X-Repo-Commit", COMMIT), ("ETag", f'"{name}-{len(content)}"'), ("Accept-Ranges", "bytes")):
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if body:
            server.sent += len(part)
            self.wfile.write(part)


def files(shards=2, **more):
    """A repository of a tiny model in one file or in several with an index."""
    tensors = list(holds(LLAMA).items())
    found = {"config.json": json.dumps(LLAMA).encode()}
    if shards == 1:
        return {**found, "model.safetensors": safetensors(dict(tensors)), **more}
    names = [f"model-{number}.safetensors" for number in range(shards)]
    parts = {name: dict(tensors[index::shards]) for index, name in enumerate(names)}
    index = {"weight_map": {tensor: name for name, held in parts.items() for tensor in held}}
    found |= {name: safetensors(held) for name, held in parts.items()}
    return {**found, INDEX: json.dumps(index).encode(), **more}


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """A function that serves files as the Hub, with an empty cache."""
    library = pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants, file_download

    running = []

    def start(content, ranges=True):
        server = Server(content, ranges)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(
            file_download, "HUGGINGFACE_CO_URL_TEMPLATE", constants.HUGGINGFACE_CO_URL_TEMPLATE, raising=False
        )
        return server

    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True, raising=False)
    assert library
    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("shards", [1, 2])
def test_a_repository_is_read_by_its_config_and_verified_by_its_headers_alone(serve, shards):
    server = serve(files(shards))
    model = llmcalc.load("hf:org/tiny")
    assert llmcalc.params(model).total == llmcalc.params(llmcalc.load(LLAMA)).total
    assert not any(name.endswith(".safetensors") for _, name, _ in server.asked)
    found = verify_weights(model, headers_of(model))
    assert found.ok
    assert len(found.headers.files) == shards
    data = sum(file.data_bytes for file in found.headers.files)
    assert server.sent < data / 10
    assert all(span for kind, name, span in server.asked if kind == "GET" and name.endswith(".safetensors"))


def test_a_revision_is_asked_for_and_one_that_is_not_there_is_said_to_be_missing(serve):
    serve(files())
    assert llmcalc.load("hf:org/tiny@v1").inputs["checkpoint"] == "hf:org/tiny@v1"
    with pytest.raises(llmcalc.InputError, match="unknown revision 'v9'"):
        llmcalc.load("hf:org/tiny@v9")


def test_what_is_in_the_cache_is_not_asked_for_again_and_serves_offline(serve, monkeypatch):
    from huggingface_hub import constants

    server = serve(files())
    llmcalc.load("hf:org/tiny")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "is_offline_mode", lambda: True, raising=False)
    before = len(server.asked)
    model = llmcalc.load("hf:org/tiny")
    assert len(server.asked) == before
    with pytest.raises(llmcalc.InputError, match="not in the cache"):
        headers_of(model)
    assert len(server.asked) == before


def test_a_server_that_ignores_ranges_is_not_listened_to(serve):
    serve(files(1), ranges=False)
    model = llmcalc.load("hf:org/tiny")
    with pytest.raises(llmcalc.InputError, match="status 200"):
        headers_of(model)


def test_a_broken_header_or_index_on_the_hub_is_one_error(serve):
    serve(files(1, **{"model.safetensors": b"\xff" * 100}))
    with pytest.raises(llmcalc.InputError, match="should have"):
        headers_of(llmcalc.load("hf:org/tiny"))


def test_an_index_on_the_hub_leads_nowhere_else(serve):
    serve(files(2, **{INDEX: json.dumps({"weight_map": {"a": "../../x.safetensors"}}).encode()}))
    with pytest.raises(llmcalc.InputError, match=r"is not a \.safetensors file name"):
        headers_of(llmcalc.load("hf:org/tiny"))


def test_a_gguf_of_a_repository_is_read_by_its_head(serve):
    from .test_gguf import MODELS, gguf, tensors_of

    name = "llama"
    metadata = {"general.architecture": name, **{f"{name}.{key}": value for key, value in MODELS[name][0].items()}}
    content = gguf({**metadata, "tokenizer.ggml.tokens": ["token"] * 20_000}, tensors_of(name)) + bytes(4_000_000)
    server = serve({"tiny-q4.gguf": content})
    model = llmcalc.load("hf:org/tiny/tiny-q4.gguf")
    assert llmcalc.params(model).total == llmcalc.params(llmcalc.load(MODELS[name][1])).total
    assert server.sent < len(content) / 2


@pytest.mark.parametrize(
    "source", ["hf:", "hf:a/b/c", "hf:../x", "hf:a/b@", "hf:a b", "hf:" + "x" * 5000, "hf:a/b/m.bin"]
)
def test_other_spellings_are_refused(source):
    with pytest.raises(llmcalc.InputError, match="not a valid Hugging Face Hub source"):
        llmcalc.load(source)


def test_a_server_that_is_not_there_is_one_error(serve, monkeypatch):
    server = serve({})
    server.shutdown()
    server.server_close()
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)  # the library would try again, later and later
    with pytest.raises(llmcalc.InputError, match=r"hf:org/tiny: config\.json is not in the cache, and the Hub cannot"):
        llmcalc.load("hf:org/tiny")
    assert sum(waits) < 5


def test_without_the_extra_the_message_says_what_to_install(monkeypatch):
    imported = builtins.__import__

    def refuse(name, *rest):
        if name.partition(".")[0] == "huggingface_hub":
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(llmcalc.InputError) as caught:
        llmcalc.load("hf:org/tiny")
    assert hub.INSTALL in str(caught.value)
