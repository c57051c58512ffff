"""A way for psycopg from this machine to a pod's port: `kubectl port-forward`, kept up while it is wanted.

kubectl picks a free port on loopback and prints it; ours is read from its output. The process ends now and then (its
pod went away, a connection broke): the next caller gets a new one, on the same port where that is still free, and a
watcher brings it back in between. It is owned in the journal like every process and ends when we say so.
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from pathlib import Path

from rehearsal.clusters.kubectl import Kubectl
from rehearsal.errors import EnvironmentUnfit, RehearsalError, WaitTimeout
from rehearsal.shell import Server
from rehearsal.waiting import wait_until

_FORWARDING = re.compile(r"^Forwarding from 127\.0\.0\.1:(\d+) ->", re.MULTILINE)
_DEADLINE = 30.0
_LOOK_EVERY = 0.2


class Forward:
    """One pod's port on 127.0.0.1.

    Args:
        pod: name of the pod.
        remote_port: its port.
        log: file that kubectl's output goes to; one a start, numbered.
    """

    def __init__(self, kubectl: Kubectl, pod: str, remote_port: int, log: Path) -> None:
        self._kubectl = kubectl
        self._pod = pod
        self._remote_port = remote_port
        self._log = log
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._server: Server | None = None
        self._starts = 0
        self._watcher: threading.Thread | None = None
        self.port = 0

    def open(self) -> int:
        """The port on loopback, a forward behind it.

        Raises:
            EnvironmentUnfit: kubectl cannot forward; its words are in the message.
        """
        with self._lock:
            if self._server is None or not self._server.alive():
                self._start()
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name=f"forward {self._pod}", daemon=True)
                self._watcher.start()
            return self.port

    def close(self) -> None:
        """End the process; nothing happens when it ended before."""
        self._closed.set()
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            try:
                server.stop(deadline=5.0)
            except WaitTimeout:
                server.kill()
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._watcher.join(timeout=10.0)

    def _start(self) -> None:
        try:
            self._server = self._launch(self.port)
        except RehearsalError:
            if not self.port:
                raise
            self._server = self._launch(0)  # the old port was taken meanwhile

    def _launch(self, port: int) -> Server:
        self._starts += 1  # a log of its own for every start: the port is read from it
        log = self._log.with_name(f"{self._log.name}.{self._starts}")
        log.unlink(missing_ok=True)
        arguments = ("port-forward", "--address", "127.0.0.1", f"pod/{self._pod}", f"{port or ''}:{self._remote_port}")
        server = self._kubectl.shell.start(
            self._kubectl.process(*arguments),
            name=f"port-forward {self._pod}",
            log=log,
            shown=self._kubectl.show(*arguments),
        )
        try:
            found = wait_until(
                lambda: (m := _FORWARDING.search(server.log_tail())) or not server.alive(),
                _DEADLINE,
                f"a forward to {self._pod}",
                lambda: server.log_tail().strip() or "kubectl said nothing",
            )
            if not isinstance(found, re.Match):
                raise EnvironmentUnfit(
                    f"no forward to port {self._remote_port}: {server.log_tail().strip() or 'kubectl said nothing'}",
                    where=self._pod,
                    hint=self._kubectl.show("get", "pod", self._pod),
                )
        except BaseException:
            server.kill()
            raise
        self.port = int(found[1])
        return server

    def _watch(self) -> None:
        while not self._closed.wait(_LOOK_EVERY):
            with self._lock:
                if self._closed.is_set() or self._server is None or self._server.alive():
                    continue
                self._kubectl.shell.journal.note(f"the forward to {self._pod} ended; starting it again")
                with suppress(RehearsalError):  # the pod may be gone for good: whoever opens it next will be told
                    self._start()
                if self._server is None or not self._server.alive():
                    self._server = None
