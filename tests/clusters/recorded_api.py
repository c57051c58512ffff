"""An API server on loopback that answers with the objects a test gave it, and writes down every call."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from rehearsal.clusters.guard import MARKER

NONCE = "0123456789abcdef0123456789abcdef"
NAMESPACE = f"rehearsal-{NONCE[:20]}"
MARKER_PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{MARKER}"
CLASSES_PATH = "/apis/storage.k8s.io/v1/storageclasses"


@dataclass
class Recorder:
    """An API server that writes down every call; it knows one namespace and, perhaps, its marker."""

    marker: dict[str, str] | None = None
    calls: list[str] = field(default_factory=list)
    answers: dict[str, object] = field(default_factory=dict)
    url: str = ""

    @property
    def mutating(self) -> list[str]:
        return [call for call in self.calls if not call.startswith("GET ")]

    def answer(self, method: str, path: str) -> tuple[int, object]:
        self.calls.append(f"{method} {path}")
        bare = path.partition("?")[0]
        if bare == MARKER_PATH and self.marker is not None:
            return 200, {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": MARKER}, "data": self.marker}
        if bare == f"/api/v1/namespaces/{NAMESPACE}":
            return 200, {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": NAMESPACE}}
        if bare in self.answers:
            return 200, self.answers[bare]
        return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


@contextmanager
def serve(recorder: Recorder) -> Iterator[Recorder]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            status, body = recorder.answer(self.command, self.path)
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self.handle_any
            raise AttributeError(name)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    recorder.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield recorder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write_kubeconfig(path: Path, server: str) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def make_class(name: str, *, default: bool = False, **meta: Any) -> dict[str, Any]:
    """A StorageClass as kind's own, with what the API server adds to it."""
    marked = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}} if default else {}
    created = {"uid": f"uid-of-{name}", "resourceVersion": "262", "creationTimestamp": "2026-05-01T09:00:00Z"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, **created, **marked, **meta},
        "provisioner": "rancher.io/local-path",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def list_classes(*classes: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "StorageClassList", "apiVersion": "storage.k8s.io/v1", "metadata": {}, "items": list(classes)}
