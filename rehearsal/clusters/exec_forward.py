"""A way for psycopg to a pod's port where no port-forward can be held: each connection is a `kubectl exec`.

A listener on loopback hands every connection it accepts to a kubectl of its own, whose command in the pod copies
between it and the port with bash's `/dev/tcp`. Slower to open than a forward (a process a connection), and it needs
nothing that the manual's own commands do not need.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

from rehearsal.clusters.kubectl import Kubectl
from rehearsal.errors import EnvironmentUnfit, RehearsalError, WaitTimeout
from rehearsal.shell import Server

# It waits for what it killed: an orphan becomes a child of process 1, which is the postmaster, and to that a child that
# a signal ended is a crash: it would throw out every client and go through recovery.
_RELAY = "exec 3<>/dev/tcp/127.0.0.1/{} || exit 1; cat <&3 & cat >&3; kill $! 2>/dev/null; wait"


class ExecForward:
    """One pod's port on 127.0.0.1, by way of exec.

    Args:
        pod: name of the pod; its container has bash and cat.
        remote_port: its port.
        log: file that the commands' stderr goes to.
    """

    def __init__(self, kubectl: Kubectl, pod: str, remote_port: int, log: Path) -> None:
        self._kubectl = kubectl
        self._pod = pod
        self._command = ("bash", "-c", _RELAY.format(remote_port))
        self._log = log
        self._listener: socket.socket | None = None
        self._relays: list[Server] = []
        self._thread: threading.Thread | None = None

    def open(self) -> int:
        """The port on loopback.

        Raises:
            EnvironmentUnfit: this machine gives us none.
        """
        if self._listener is None:
            try:
                self._listener = socket.create_server(("127.0.0.1", 0))
            except OSError as error:
                raise EnvironmentUnfit(f"no port on loopback: {error.strerror}", where=self._pod) from error
            self._thread = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
            self._thread.start()
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        """Close the port and end what still goes through it."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        listener.close()
        if self._thread is not None:
            self._thread.join(timeout=10.0)
        for relay in self._relays:
            try:
                relay.stop(deadline=5.0)
            except WaitTimeout:
                relay.kill()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed
                return
            # a connection that cannot be carried is closed: the client then says so
            with connection, suppress(RehearsalError):
                self._relays = [relay for relay in self._relays if relay.alive()]
                arguments = (*self._kubectl.enter(self._pod, with_input=True), *self._command)
                self._relays.append(
                    self._kubectl.shell.attach(
                        self._kubectl.process(*arguments),
                        connection.fileno(),
                        name=f"way to {self._pod}",
                        log=self._log,
                        shown=self._kubectl.show(*arguments),
                    )
                )
