"""A web server for the page, of the standard library, that only this computer can reach."""

from __future__ import annotations

import mimetypes
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
SENT_AS = {".js": "text/javascript", ".mjs": "text/javascript", ".gz": "application/octet-stream"}
TYPES = {**mimetypes.types_map, **SENT_AS}
# the policy of index.html, also for the worker, which only a header can restrict
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-cache",  # the service worker has a copy; a new version must be seen
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Handler(SimpleHTTPRequestHandler):
    """Serves files of one folder. Header and body are sent in one write, which avoids a delayed acknowledgement."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    extensions_map = TYPES

    def end_headers(self) -> None:
        """Add the headers of every answer."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        """Answer that there is no page."""
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing for a request."""


class Server(ThreadingHTTPServer):
    """Serves each connection in a thread. A browser may close a connection at any time."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing for a connection that the browser has closed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def server(folder: Path, port: int = 0) -> Server:
    """Return a server of a folder. A port of 0 takes a free one.

    Raises:
        OSError: the port is in use.
    """
    return Server((HOST, port), partial(Handler, directory=str(folder)))


def address(running: Server) -> str:
    """Return the URL of a server."""
    return f"http://{HOST}:{running.server_port}/"
