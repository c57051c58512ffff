"""The options that both faces share, declared once: for argparse and for pytest's parser alike."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rehearsal.clusters.choosing import LEVELS
from rehearsal.proof.proving import ProofOptions
from rehearsal.run import Options

SIZES = ("s", "m", "l")
_DEFAULTS = Options()
_PROOF = ProofOptions()


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
    add(
        "--start-services",
        default="",
        metavar="CMD",
        help="the site's own command that starts the services on what was restored and waits for them; the stores are "
        "looked at before and after it, and what it migrated is listed",
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
        after_backup=namespace.after_backup,
        after_restore=namespace.after_restore,
        jobs=getattr(namespace, "jobs", 1),
        start_services=namespace.start_services,
        show_values=namespace.show_values,
    )


def declare_proof_options(add: Callable[..., Any]) -> None:
    """Declare the options of `rehearsal prove`."""
    add("--seeds", type=int, default=_PROOF.seeds, metavar="N", help="runs of every operator (default: 3)")
    add(
        "--benign-seeds",
        type=int,
        default=_PROOF.benign_seeds,
        metavar="N",
        help="rehearsals of every benign change, two changes in each; from 20 on 300 in all at least (default: 20)",
    )
    add("--jobs", type=int, default=_PROOF.jobs, metavar="N", help="worker processes (default: processors + 1)")
    add(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="this operator or benign change alone, by its name in docs/proof.md; may be repeated",
    )
    add("--runs", type=Path, default=_PROOF.runs, metavar="DIR", help="where what must be looked at is kept")
    add(
        "--docs", type=Path, default=_PROOF.docs, metavar="DIR", help="where proof.json and proof.md go (default: docs)"
    )
    add("--pg-bin", type=Path, default=None, metavar="DIR", help="folder of PostgreSQL server binaries")


def read_proof_options(namespace: argparse.Namespace) -> ProofOptions:
    """The options as given on a command line."""
    return ProofOptions(
        seeds=namespace.seeds,
        benign_seeds=namespace.benign_seeds,
        jobs=namespace.jobs,
        only=tuple(namespace.only),
        runs=namespace.runs,
        docs=namespace.docs,
        pg_bin=namespace.pg_bin,
    )
