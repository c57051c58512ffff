"""Ends with status 1 if anything of ours is left on this machine: after a run nothing may be.

    check_leaks.py --note FILE    before the run: write down what is there already, which is not the run's
    check_leaks.py [--since FILE] after it: what is there now, and was not then

Looks at the container engine (containers, networks, volumes), processes, and the folders that throwaway clusters use.
Not all that a run may leave has a name of ours: a node's volume is anonymous, so is the container of a step at which an
image's build failed, and kind names its network and its builder itself. Those are told only where a note says that they
were not there before. Meant for machines that run nothing else of the kind at that moment: a rehearsal that goes on
would be called a leak, and so would a volume that somebody else lets go of meanwhile.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

_UNSEEN = "not looked at"
_OURS = ("rehearsal-", "chipster-rehearsal")
_BUILDER = "kind-build-"
_KIND_NETWORK = "docker network: kind"
_ANONYMOUS_VOLUME = re.compile("[0-9a-f]{64}")
_UNNAMED_IMAGE = re.compile("(sha256:)?[0-9a-f]{12,64}")
_FOLDERS = (Path("/dev/shm"), Path("/tmp"), Path("/var/tmp"))
_SETTLE = 2.0
"""Seconds between two looks: the engine may still be letting go of what was removed."""


class EngineSilent(Exception):
    """It does not answer, so nobody knows what it holds."""


@dataclass
class Seen:
    """What is there, a line each.

    Attributes:
        ours: by its name, or by what it carries.
        unsure: may be a run's, may be somebody else's: only a note tells.
        on_network: containers on the network kind, running or not.
    """

    ours: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    on_network: list[str] = field(default_factory=list)


def ask_engine(*words: str) -> list[str]:
    """Lines of a docker listing."""
    try:
        done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired as error:
        raise EngineSilent("no answer within 60 s") from error
    if done.returncode != 0:
        raise EngineSilent(done.stderr.strip()[:200])
    return done.stdout.splitlines()


def _is_ours(text: str) -> bool:
    return any(mark in text for mark in _OURS)


def list_containers() -> Seen:
    """Ours by name or label; unsure: kind's builder, any of an image of ours, any of an image without a name."""
    seen = Seen()
    for line in ask_engine("ps", "--all", "--format", "{{.Names}}|{{.Image}}|{{.Labels}}"):
        name, image, labels = line.split("|", 2)
        if _is_ours(name) or _is_ours(labels):
            seen.ours.append(f"docker container: {name}")
        elif name.startswith(_BUILDER) or _is_ours(image) or _UNNAMED_IMAGE.fullmatch(image):
            seen.unsure.append(f"docker container: {name}")
    return seen


def list_volumes(*, in_use: bool) -> Seen:
    """Ours by name or label; unsure: anonymous ones, which a note must know also while a container has them."""
    loose = () if in_use else ("--filter", "dangling=true")
    named = [line.split("|", 1) for line in ask_engine("volume", "ls", "--format", "{{.Name}}|{{.Labels}}")]
    anonymous = ask_engine("volume", "ls", *loose, "--format", "{{.Name}}|")
    return Seen(
        [f"docker volume: {name}" for name, labels in named if _is_ours(name) or _is_ours(labels)],
        [f"docker volume: {name[:-1]}" for name in anonymous if _ANONYMOUS_VOLUME.fullmatch(name[:-1])],
    )


def list_networks() -> Seen:
    """Ours by name or label; unsure: the one that kind makes with the first cluster and never removes."""
    lines = [line.split("|", 1) for line in ask_engine("network", "ls", "--format", "{{.Name}}|{{.Labels}}")]
    seen = Seen([f"docker network: {name}" for name, labels in lines if _is_ours(name) or _is_ours(labels)])
    if any(name == "kind" for name, _ in lines):
        seen.unsure = [_KIND_NETWORK]
        seen.on_network = ask_engine("ps", "--all", "--filter", "network=kind", "--format", "{{.Names}}")
    return seen


def find_processes() -> list[str]:
    """Processes that a rehearsal started: they carry its journal's path in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            ours = b"REHEARSAL_JOURNAL=" in (entry / "environ").read_bytes()
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if ours and words:
            found.append(f"process {entry.name}: {words[:120]}")
    return found


def find_folders() -> list[str]:
    """Folders of throwaway clusters."""
    return [f"folder {path}" for base in _FOLDERS if base.is_dir() for path in base.glob("rehearsal-*")]


def look(*, in_use: bool) -> Seen:
    """What is there.

    An engine that does not answer is a line too, and never a known one: it may still hold what nobody looked at.

    Args:
        in_use: also anonymous volumes that a container has.
    """
    seen = Seen()
    if shutil.which("docker") is not None:
        try:
            parts = (list_containers(), list_volumes(in_use=in_use), list_networks())
            seen.ours = [line for part in parts for line in part.ours]
            seen.unsure = [line for part in parts for line in part.unsure]
            seen.on_network = parts[-1].on_network
        except EngineSilent as error:
            seen.ours.append(f"docker: {_UNSEEN}, the engine does not answer: {error}")
    seen.ours += find_processes() + find_folders()
    return seen


def find_left(known: set[str] | None) -> tuple[list[str], list[str]]:
    """What is left behind, and remarks about what is not called a leak.

    Args:
        known: lines of the note; None where there is none.
    """
    seen = look(in_use=False)
    left = [line for line in seen.ours if known is None or line not in known or _UNSEEN in line]
    if known is None:
        return left, []
    new = [line for line in seen.unsure if line not in known]
    if any(_UNSEEN in line for line in known):
        return left, ["docker: nobody looked before the run, so only what has a name of ours is told"] if new else []
    if _KIND_NETWORK in new and seen.on_network:
        new.remove(_KIND_NETWORK)
        are = "is" if len(seen.on_network) == 1 else "are"
        return left + new, [f"{_KIND_NETWORK} is left deliberately, {', '.join(seen.on_network)} {are} on it"]
    return left + new, []


def tell(known: set[str] | None) -> int:
    """Print what is left after two looks, and return the exit status."""
    left, remarks = find_left(known)
    if left:
        time.sleep(_SETTLE)
        again, remarks = find_left(known)
        left = [line for line in again if line in left or _UNSEEN in line]
    print("\n".join([*remarks, *(left or ["nothing is left behind"])]))
    return 1 if left else 0


def main() -> int:
    """Write a note, or print what is left; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--note", type=Path, metavar="FILE")
    parser.add_argument("--since", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.note:
        seen = look(in_use=True)
        arguments.note.write_text("\n".join([*seen.ours, *seen.unsure]), encoding="utf-8")
        return 0
    return tell(set(arguments.since.read_text(encoding="utf-8").splitlines()) if arguments.since else None)


if __name__ == "__main__":
    sys.exit(main())
