"""What the containers rehearsals of one run share: the engine, and which image is run for which.

The images that values.yaml names are run where the engine has them, or can pull them. Where it cannot, the workload
image of the kind kit stands in, and every report says that nothing was proved about the real one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rehearsal.clusters.container_cli import DockerCli
from rehearsal.clusters.container_engine import Engine, connect
from rehearsal.clusters.containers import ContainersCluster, MakeManifests, Workshop
from rehearsal.clusters.kind_tools import find_kind_tools
from rehearsal.errors import CommandFailed, EnvironmentUnfit, UsageError, WaitTimeout
from rehearsal.journal import Journal
from rehearsal.shell import Shell

_PULL_DEADLINE = 900.0
_DOES_NOT_PROVE = (
    "nothing about Kubernetes: containers and volumes of a container engine play pods and claims, and what kubectl "
    "streams and copies goes through docker",
    "nothing about Chipster's services: the data tier alone is deployed, and none migrates an empty database",
)


class ContainersSession:
    """Opens one containers cluster a rehearsal; plays `choosing.ClusterSession`.

    Args:
        make_manifests: `chipster.manifests.make_stand_ins`.
        images: the ones that values.yaml names.
        pull: whether one that is not at hand may be pulled (`imagePullPolicy` other than `Never`).

    Raises:
        EnvironmentUnfit: no engine answers, or an image is not to be had and nothing can stand in for it.
    """

    level = "containers"

    def __init__(self, make_manifests: MakeManifests, images: Sequence[str], *, pull: bool = True) -> None:
        self._engine = connect()
        try:
            self._notes: list[str] = []
            stand_ins = self._choose_images(dict.fromkeys(images), pull)
            self.does_not_prove: tuple[str, ...] = (
                *_DOES_NOT_PROVE,
                *(f"nothing about the image {image}: {other} stands in for it" for image, other in stand_ins.items()),
            )
            chosen = f", {', '.join(sorted(set(stand_ins.values())))} stands in" if stand_ins else ""
            self.description = f"containers: engine {self._engine.version()}, the images of values.yaml{chosen}"
        except BaseException:
            self._engine.close()
            raise
        self._workshop = Workshop(self._engine, make_manifests, stand_ins, self.does_not_prove)

    def _choose_images(self, images: Sequence[str] | dict[str, None], pull: bool) -> dict[str, str]:
        """What stands in for the images that are not to be had."""
        stand_ins = {}
        for image in images:
            if self._engine.image_id(image) is not None:
                self._notes.append(f"image {image}: at hand")
                continue
            reason = _pull(self._engine, image) if pull else "imagePullPolicy is Never"
            if reason:
                stand_ins[image] = self._find_stand_in(image, reason)
                self._notes.append(f"image {image}: {stand_ins[image]} stands in, for it is not at hand: {reason}")
            else:
                self._notes.append(f"image {image}: pulled")
        return stand_ins

    def _find_stand_in(self, image: str, reason: str) -> str:
        hint = f"docker pull {image}; or ci/kit/build --build, whose workload image stands in"
        try:
            found = find_kind_tools().workload_image
        except EnvironmentUnfit:
            found = ""
        if not found or self._engine.image_id(found) is None:
            raise EnvironmentUnfit(
                f"the image is not at hand ({reason}), and nothing can stand in for it", where=image, hint=hint
            )
        return found

    def prepare(self, folder: Path, nonce: str, journal: Journal, shell: Shell) -> None:
        """They share a connection to the engine, which processes cannot share.

        Raises:
            UsageError: always.
        """
        del folder, nonce, journal, shell
        raise UsageError("--cluster containers performs one rehearsal at a time", hint="--jobs 1")

    def open(self, folder: Path, nonce: str, journal: Journal, shell: Shell) -> ContainersCluster:
        """An empty cluster with this nonce in its marker."""
        for note in self._notes:
            journal.note(note)
        return ContainersCluster(self._workshop, folder, nonce, journal, shell)

    def close(self) -> None:
        """Close our connections; nothing else is shared."""
        self._engine.close()


def _pull(engine: Engine, image: str) -> str:
    """Pull it; one clause why not, "" when it is there now."""
    journal = Journal(Path(os.devnull))
    try:
        DockerCli(Shell(journal), engine.address, "", "").run("pull", "--quiet", image, deadline=_PULL_DEADLINE)
    except CommandFailed as error:
        lines = error.stderr_tail.strip().splitlines()
        return lines[-1] if lines else "docker pull failed"
    except (EnvironmentUnfit, WaitTimeout) as error:
        return error.what
    finally:
        journal.close()
    return ""
