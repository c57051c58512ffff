"""Ends with status 1 if anything of ours is left on this machine: after a run nothing may be.

    check_leaks.py --note FILE    before the run: write down what is there already, which is not the run's
    check_leaks.py [--since FILE] after it: what is there now, and was not then

Looks at the container engine (containers, networks, volumes), processes, and the folders that throwaway clusters use.
Meant for machines that run nothing else of ours at that moment: a rehearsal that goes on would be called a leak.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

_UNSEEN = "not looked at"
_OURS = ("rehearsal-", "chipster-rehearsal")
_FOLDERS = (Path("/dev/shm"), Path("/tmp"), Path("/var/tmp"))


def ask_engine(*words: str) -> list[str]:
    """Lines of a docker listing that name something of ours; none where there is no engine.

    An engine that does not answer is a line too, and never a known one: it may still hold what nobody looked at.
    """
    if shutil.which("docker") is None:
        return []
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        return [f"docker {words[0]}: {_UNSEEN}, the engine does not answer: {done.stderr.strip()[:200]}"]
    return [f"docker {words[0]}: {line}" for line in done.stdout.splitlines() if any(mark in line for mark in _OURS)]


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


def look() -> list[str]:
    """A line for each thing of ours on this machine."""
    return [
        *ask_engine("ps", "--all", "--format", "{{.Names}} {{.Labels}}"),
        *ask_engine("volume", "ls", "--format", "{{.Name}} {{.Labels}}"),
        *ask_engine("network", "ls", "--format", "{{.Name}} {{.Labels}}"),
        *find_processes(),
        *find_folders(),
    ]


def main() -> int:
    """Print what is left and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--note", type=Path, metavar="FILE")
    parser.add_argument("--since", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.note:
        arguments.note.write_text("\n".join(look()), encoding="utf-8")
        return 0
    known = set(arguments.since.read_text(encoding="utf-8").splitlines()) if arguments.since else set()
    left = [line for line in look() if line not in known or _UNSEEN in line]
    print("\n".join(left) if left else "nothing is left behind")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
