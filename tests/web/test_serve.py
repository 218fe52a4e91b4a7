"""The server sends the files of one folder to this computer alone."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

import pytest

import llmcalc
from llmcalc.web.serve import HOST, address, server


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "site" / "inner").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "site" / "index.html").write_text("<h1>page</h1>")
    (tmp_path / "site" / "code.mjs").write_text("1")
    with server(tmp_path / "site") as running:
        thread = Thread(target=running.serve_forever)
        thread.start()
        assert address(running) == f"http://127.0.0.1:{running.server_port}/"
        yield running.server_port
        running.shutdown()
        thread.join()


def get(port: int, path: str) -> tuple[int, bytes, str]:
    connection = HTTPConnection(HOST, port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer.headers.get_content_type()
    connection.close()
    return found


def test_files_have_the_types_that_browsers_need(port: int) -> None:
    assert get(port, "/") == (200, b"<h1>page</h1>", "text/html")
    assert get(port, "/code.mjs?version=1") == (200, b"1", "text/javascript")


def test_a_file_that_has_not_changed_is_not_sent_again(port: int) -> None:
    connection = HTTPConnection(HOST, port, timeout=10)
    connection.request("GET", "/")
    first = connection.getresponse()
    first.read()
    connection.request("GET", "/", headers={"If-Modified-Since": first.headers["Last-Modified"]})
    second = connection.getresponse()
    assert (second.status, second.read()) == (304, b"")
    connection.close()


def test_the_worker_has_the_policy_of_the_page(port: int) -> None:
    connection = HTTPConnection(HOST, port, timeout=10)
    connection.request("GET", "/code.mjs")
    sent = connection.getresponse().headers["Content-Security-Policy"].removesuffix("; frame-ancestors 'none'")
    connection.close()
    page = (Path(llmcalc.__file__).parent / "web" / "page" / "index.html").read_text("utf-8")
    assert f'content="{sent}"' in page


@pytest.mark.skipif(sys.platform == "win32", reason="a console sends the signal")
def test_the_command_serves_until_interrupted(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>page</h1>")
    words = [sys.executable, "-m", "llmcalc", "web", str(tmp_path)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
    with subprocess.Popen(words, preexec_fn=heard, **pipes) as running:
        try:
            url = running.stdout.readline().split()[0]  # type: ignore[union-attr]
            with socket.create_connection((HOST, int(url.rstrip("/").rpartition(":")[2]))) as closed:  # as browsers do
                closed.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with urlopen(url, timeout=10) as answer:
                assert answer.read() == b"<h1>page</h1>"
            running.send_signal(signal.SIGINT)
            assert running.wait(timeout=20) == 130
            assert not running.stderr.read()  # type: ignore[union-attr]
        finally:
            running.kill()  # else a failure would wait for it without end


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/inner/", "/none"])
def test_nothing_else_is_sent(port: int, path: str) -> None:
    status, body, _ = get(port, path)
    assert status == 404
    assert b"secret" not in body
