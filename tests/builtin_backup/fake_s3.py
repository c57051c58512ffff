"""A small HTTP server that answers as S3 servers do on their bad days: what `rclone serve s3` cannot be made to say.

It checks no signature. An answer is a function from the request to (status, headers, body); a body that is shorter than
its Content-Length is a download that is cut.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape


@dataclass(frozen=True)
class Asked:
    """A request: `headers` by lower-case name."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


Answer = tuple[int, dict[str, str], bytes]


@dataclass
class FakeS3:
    endpoint: str
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def serve(answer: Callable[[Asked], Answer], tls: tuple[Path, Path] | None = None) -> Iterator[FakeS3]:
    """A server on a free port of 127.0.0.1. `tls`: certificate and key."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
            headers = {key.lower(): value for key, value in self.headers.items()}
            asked = Asked(self.command, parts.path, query, headers)
            fake.asked.append(asked)
            status, told, body = answer(asked)
            lower = {key.lower() for key in told}
            self.send_response_only(status)
            if "date" not in lower:
                self.send_header("Date", self.date_time_string())
            for key, value in told.items():
                self.send_header(key, value)
            if "content-length" not in lower:
                self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    for method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
        setattr(Handler, f"do_{method}", Handler._answer)

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that turned away, or did not like the certificate

    server = Quiet(("127.0.0.1", 0), Handler)
    scheme = "http"
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    fake = FakeS3(f"{scheme}://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def refuse(status: int, code: str, message: str = "", *, more: str = "", **headers: str) -> Answer:
    """S3's error document."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    return status, {"Content-Type": "application/xml", **headers}, body.encode()


def list_page(keys: list[tuple[str, int]], asked: Asked, page: int = 1000) -> Answer:
    """One page of a ListObjectsV2 with prefix and delimiter; the token is the last entry of the page before."""
    prefix, delimiter = asked.query.get("prefix", ""), asked.query.get("delimiter", "")
    entries: dict[str, int | None] = {}
    for key, size in sorted(keys):
        if key.startswith(prefix):
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if found:
                entries[prefix + head + found] = None
            else:
                entries[key] = size
    after = [entry for entry in entries if entry > asked.query.get("continuation-token", "")]
    shown = after[:page]
    more = len(after) > page
    parts = [f"<Name>b</Name><IsTruncated>{str(more).lower()}</IsTruncated><KeyCount>{len(shown)}</KeyCount>"]
    if more:
        parts.append(f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>")
    for entry in shown:
        if entries[entry] is None:
            parts.append(f"<CommonPrefixes><Prefix>{escape(entry)}</Prefix></CommonPrefixes>")
        else:
            parts.append(
                f"<Contents><Key>{escape(entry)}</Key><Size>{entries[entry]}</Size>"
                "<LastModified>2026-04-30T01:10:00.000Z</LastModified></Contents>"
            )
    return 200, {"Content-Type": "application/xml"}, f"<ListBucketResult>{''.join(parts)}</ListBucketResult>".encode()
