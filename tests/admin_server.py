"""Plays Chipster's auth and admin APIs on loopback: writes down what it is asked, answers as it is told.

Only the calls of facts, section 8, are known: `POST /auth/tokens` gives a token for the admin's password; the others
want Basic `token:<JWT>`. What a call does to the bucket is up to `work`, which runs before the answer or behind it.
"""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PASSWORD = "the-admins-password"
TOKEN = "eyJhbGciOiJFUzUxMiJ9.eyJzdWIiOiJqYWFzL2FkbWluIn0.c2lnbmF0dXJlLW9mLWEtdGVzdA"

Answer = tuple[int, dict[str, str], bytes]
OK: Answer = (200, {}, b"")


@dataclass
class AdminServer:
    """Attributes:
    asked: `METHOD path` of every request, in order.
    secrets: what stood in its Authorization, decoded.
    answers: by path, in place of the usual answer.
    work: gets the path of each admin call that was answered with 200.
    """

    url: str = ""
    asked: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    work: Callable[[str], None] = lambda _: None
    running: list[threading.Thread] = field(default_factory=list)

    def answer(self, path: str, secret: str) -> Answer:
        if path in self.answers:
            return self.answers[path]
        if path == "/auth/tokens":
            return (200, {}, TOKEN.encode()) if secret == f"admin:{PASSWORD}" else (403, {}, b"wrong password")
        if secret != f"token:{TOKEN}":
            return 401, {"WWW-Authenticate": "Basic"}, b""
        thread = threading.Thread(target=self.work, args=(path,))
        thread.start()
        self.running.append(thread)
        return OK

    def wait(self) -> None:
        for thread in self.running:
            thread.join()


@contextmanager
def serve(tls: tuple[Path, Path] | None = None) -> Iterator[AdminServer]:
    """On a free port of 127.0.0.1. `tls`: certificate and key."""
    played = AdminServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            played.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            played.asked.append(f"{self.command} {self.path}")
            kind, _, encoded = (self.headers.get("Authorization") or "").partition(" ")
            secret = base64.b64decode(encoded).decode() if kind == "Basic" else ""
            played.secrets.append(secret)
            status, headers, body = played.answer(self.path, secret)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    played.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield played
    finally:
        played.wait()
        server.shutdown()
        thread.join()
        server.server_close()
