"""What a person wants to see when a rehearsal went wrong: logs, events, and the list of objects, secrets taken out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from rehearsal.clusters.kube_reads import KubeReads
from rehearsal.clusters.kubectl import Kubectl
from rehearsal.errors import RehearsalError


def collect_logs(reads: KubeReads, kubectl: Kubectl, folder: Path) -> None:
    """Write `<pod>.<container>.log` (and `.previous.log`), `events.txt` and `objects.txt` into `folder`.

    Raises:
        EnvironmentUnfit: the API server does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clean = kubectl.shell.journal.redactor.clean
    pods, _ = reads.list_pods()
    for pod in pods:
        for container in pod.containers:
            for previous in (False, True) if container.restarts else (False,):
                text = reads.read_log(pod.name, container.name, previous=previous)
                if text:
                    suffix = ".previous.log" if previous else ".log"
                    _write(folder / f"{pod.name}.{container.name}{suffix}", clean(text))
    _write(folder / "events.txt", clean("\n".join(reads.all_events()) + "\n"))
    with suppress(RehearsalError):
        listed = kubectl.run("get", "sts,pod,pvc,svc", "-o", "wide", accept=None)
        _write(folder / "objects.txt", clean(listed.stdout.decode(errors="replace")))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
