"""How an operator gets at a file-storage: its pod's own shell and find, whatever the level; never a process a file.

One listing tells what there is; then one script damages the few drawn files, whose names go in through standard input,
NUL-separated, as no shell can misread them. What they were before and are afterwards, `stat` and `sha256sum` say, so
that an operator that changed nothing says so. The files that carry the nonce and the marker are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps

from rehearsal.deployment import FilesSpec
from rehearsal.errors import EnvironmentUnfit
from rehearsal.roles import Cluster
from rehearsal.tampering.operators import Act, Strike

# Chipster's identifiers are random (version 4); a mark's name follows from its value (version 5), and says so.
_LIST_FILES = "find storage -type f ! -name '??????????????5*' ! -path '*/.*' -printf '%s %P\\0'"
_LIST_EMPTY = "find storage -mindepth 1 -type d -empty ! -path '*/.*' ! -name lost+found -printf '0 %P\\0'"
_LOOK = """
while IFS= read -r -d '' path; do
  stat -c '%F %s %a %u %g %N' -- "storage/$path" 2>/dev/null || echo gone
  [ -L "storage/$path" ] || [ ! -f "storage/$path" ] || sha256sum < "storage/$path"
  printf '\\0'
done
"""


@dataclass(frozen=True)
class StoredFile:
    """A regular file: its path below `storage`, its size in bytes."""

    path: bytes
    size: int


class FilesPod:
    """The pod of one replica."""

    def __init__(self, cluster: Cluster, spec: FilesSpec) -> None:
        self.cluster = cluster
        self.spec = spec

    def list_files(self) -> list[StoredFile]:
        """Every user's file, sorted by path."""
        return self._list(_LIST_FILES)

    def list_empty_folders(self) -> list[StoredFile]:
        """Every directory without an entry, `lost+found` excepted, sorted by path."""
        return self._list(_LIST_EMPTY)

    def _list(self, script: str) -> list[StoredFile]:
        records = (record.split(b" ", 1) for record in self.run(script).split(b"\0")[:-1])
        return sorted((StoredFile(path, int(size)) for size, path in records), key=lambda file: file.path)

    def run(self, script: str, names: Iterable[bytes] = (), arguments: Sequence[str] = ()) -> bytes:
        """Run a bash script in the pod's working directory, `names` NUL-ended on its standard input; what it printed.

        Raises:
            EnvironmentUnfit: it ended with another status than 0.
        """
        words = ("bash", "-e", "-o", "pipefail", "-c", script, "bash", *arguments)
        sent = b"".join(name + b"\0" for name in names)
        result = self.cluster.exec(self.spec.pod, words, stdin=sent, destructive=True)
        if result.status != 0:
            said = result.stderr.decode(errors="replace").strip()
            raise EnvironmentUnfit(f"the operator's script failed: {said}", where=self.spec.pod)
        return result.stdout

    def damage(self, names: Sequence[bytes], act: Callable[[], object]) -> str:
        """Call `act`, and name the bytewise first of these files that it changed; "" where it changed none."""
        before = self._look(names)
        act()
        after = self._look(names)
        changed = [name for name, old, new in zip(names, before, after, strict=True) if old != new]
        return min(changed).decode("utf-8", "backslashreplace") if changed else ""

    def damage_each(self, names: Sequence[bytes], body: str) -> str:
        """The same with a piece of bash, in which `$path` is each name with `storage/` before it."""
        script = f'while IFS= read -r -d "" name; do path="storage/$name"\n{body}\ndone'
        return self.damage(names, lambda: self.run(script, names))

    def _look(self, names: Sequence[bytes]) -> list[bytes]:
        return self.run(_LOOK, names).split(b"\0")[:-1]


FilesAct = Callable[[FilesPod, Strike], str]


def in_files(act: FilesAct) -> Act:
    """The function below gets the pod of one lost replica, drawn; without a file-storage there is nothing to damage."""

    @wraps(act)
    def strike_files(strike: Strike) -> str:
        replicas = [store for store in strike.stage.lost or strike.stage.stores if store.kind == "files"]
        if not replicas:
            return ""
        return act(FilesPod(strike.stage.cluster, strike.draw.choice(replicas)), strike)

    return strike_files


def draw_files(strike: Strike, files: Sequence[StoredFile]) -> list[bytes]:
    """The paths of `strike.intensity` of them, or of fewer where there are not so many."""
    return [file.path for file in strike.draw.sample(files, min(strike.intensity, len(files)))]


def draw_new_name(strike: Strike) -> str:
    """A path as Chipster gives one, `ab/ab12…`."""
    digits = f"{strike.draw.getrandbits(128):032x}"
    name = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
    return f"{name[:2]}/{name}"
