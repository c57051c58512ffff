"""The options that both faces share, declared once: for argparse and for pytest's parser alike."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rehearsal.clusters.choosing import LEVELS
from rehearsal.run import Options

SIZES = ("s", "m", "l")
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
        after_backup=namespace.after_backup,
        after_restore=namespace.after_restore,
        jobs=getattr(namespace, "jobs", 1),
    )
