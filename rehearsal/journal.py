"""The journal: an append-only log of one rehearsal, a JSON object a line, flushed before the step it tells of goes on.

It serves three readers: the person who wants to know how far a dead run came, `rehearsal clean`, which removes only
what a journal says the run owned, and whoever watches (a listener gets every line as it is written). Secrets are taken
out of free text here, at the one place every line passes, and again nowhere else.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rehearsal.errors import EnvironmentUnfit

JOURNAL = "journal.jsonl"
_MASK = "[redacted]"
_SHORTEST_SECRET = 4
_TAIL = 1 << 20
_FACTS: Mapping[str, frozenset[str]] = {
    "owned": frozenset({"kind", "name", "nonce", "start_time", "boot_id", "engine", "server", "kubeconfig", "binary"}),
    "gone": frozenset({"kind", "name"}),
    "phase": frozenset({"state"}),
    "command": frozenset({"sent", "received"}),
    "verdict": frozenset({"verdict", "outcome"}),
}
"""By event, the fields that a reader acts on: made by us, never from a secret, they stay even where they read like one.

`clean` finds what a run owned by them; a password may be part of the path."""

Listener = Callable[[Mapping[str, Any]], None]


def now() -> str:
    """The current instant, ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Redactor:
    """Takes secrets out of text: as they are, as base64, percent-encoded, and as JSON writes them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: tuple[str, ...] = ()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Add secrets; those shorter than four characters are left alone, they would blot out ordinary words."""
        forms = set(self._forms)
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                encoded = base64.b64encode(secret.encode()).decode()
                forms |= {secret, encoded, encoded.rstrip("="), quote(secret, safe=""), json.dumps(secret)[1:-1]}
        self._forms = tuple(sorted(forms, key=len, reverse=True))

    def clean(self, text: str) -> str:
        """`text` with every secret replaced by `[redacted]`."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, _MASK)
        return text

    def clean_value(self, value: Any) -> Any:
        """The same for every string inside a JSON-like value."""
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, Mapping):
            return {self.clean(str(key)): self.clean_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean_value(item) for item in value]
        return value


class Journal:
    """Append-only log of one rehearsal.

    Args:
        path: the file, `journal.jsonl`; created with its folder; opened for append.
        redactor: takes the secrets out of every line.
        listeners: called with every line, after it is on disk.

    Each line holds at least `at` (instant), `t` (seconds since this journal was opened), `phase` and `event`.
    """

    def __init__(self, path: Path, redactor: Redactor | None = None, listeners: Iterable[Listener] = ()) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.redactor = redactor or Redactor()
        self._listeners = tuple(listeners)
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._stream = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.phase = ""
        self._forgiving = False

    def forgive(self) -> None:
        """From now on drop a line that the disk has no room for: clean-up must go on without its journal."""
        self._forgiving = True

    def write(self, event: str, **fields: Any) -> None:
        """Append one line. `event` is a short noun: `phase`, `command`, `owned`, `note`, `error`, …

        Secrets are taken out of every field but those that name an owned thing, a state, a digest or a verdict.

        Raises:
            EnvironmentUnfit: the disk is full; the rehearsal cannot go on without its journal.
        """
        line = {
            "at": now(),
            "t": round(time.monotonic() - self._started, 3),
            "phase": self.phase,
            "event": event,
            **{
                key: value if key in _FACTS.get(event, ()) else self.redactor.clean_value(value)
                for key, value in fields.items()
            },
        }
        text = json.dumps(line, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            if self._stream < 0:
                return  # a thread that outlived an interruption has nothing to add
            try:
                written = 0
                while written < len(text):
                    written += os.write(self._stream, text[written:])
            except OSError as error:
                if not self._forgiving:
                    raise EnvironmentUnfit(
                        f"cannot go on without the journal: {error.strerror}",
                        where=str(self.path),
                        hint=f"df -h {self.path.parent}; or give --runs DIR on another disk",
                    ) from error
        for listener in self._listeners:
            listener(line)

    def note(self, message: str, **fields: Any) -> None:
        """A remark for the reader: a choice that was made, a fallback that was taken."""
        self.write("note", message=message, **fields)

    def show(self, message: str) -> None:
        """Show listeners how far a long step has come; it is not kept, the step's own line will tell it all."""
        for listener in self._listeners:
            listener({"event": "progress", "phase": self.phase, "message": self.redactor.clean(message)})

    def own(self, kind: str, name: str, **fields: Any) -> None:
        """Write down, BEFORE it is made, that this run will own something that must be removed later.

        Args:
            kind: `directory`, `process`, `kind-cluster`, `namespace`, `container`, `volume`.
            name: path, pid or name.
            fields: what `clean` needs to recognise it as ours (start time, nonce, label).
        """
        self.write("owned", kind=kind, name=name, **fields)

    def disown(self, kind: str, name: str) -> None:
        """Write down that something owned is gone."""
        self.write("gone", kind=kind, name=name)

    @contextmanager
    def step(self, phase: str) -> Iterator[None]:
        """A phase: a line before, a line after with its seconds (or the error), and `phase` on the lines between."""
        before, self.phase = self.phase, phase
        started = time.monotonic()
        self.write("phase", state="started")
        try:
            yield
        except BaseException as error:
            self.write(
                "phase", state="failed", seconds=round(time.monotonic() - started, 3), error=str(error) or repr(error)
            )
            raise
        else:
            self.write("phase", state="finished", seconds=round(time.monotonic() - started, 3))
        finally:
            self.phase = before

    def close(self) -> None:
        """Close the file; what is written later is dropped."""
        with self._lock:
            os.close(self._stream)
            self._stream = -1


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Every whole line of a journal, in order; a last line cut short by a kill is left out."""
    lines = []
    for raw in path.read_bytes().split(b"\n"):
        try:
            lines.append(json.loads(raw))
        except ValueError:
            continue
    return lines


def read_last_line(path: Path) -> dict[str, Any]:
    """The last whole line of a journal, however long the journal; empty where it has none.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _TAIL))
        for raw in reversed(stream.read().split(b"\n")):
            try:
                line = json.loads(raw)
            except ValueError:
                continue
            if isinstance(line, dict):
                return line
    return {}
