"""A cluster for one rehearsal: opened for it, closed with it, whoever conducts it.

What could not be removed is a trouble in that rehearsal's record. Runs and the proof go through here, so that a
rehearsal of the proof is the very same thing as an admin's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rehearsal.chipster.seeding import Seed
from rehearsal.clusters.choosing import ClusterSession
from rehearsal.deployment import StoreSpec
from rehearsal.errors import RehearsalError, hint_clean
from rehearsal.interrupts import hold_interrupts
from rehearsal.journal import Journal
from rehearsal.processes import identify_ourselves
from rehearsal.record import Trouble, read_record, write_record
from rehearsal.roles import Cluster, Store
from rehearsal.shell import Shell
from rehearsal.stores import open_store
from rehearsal.verdicts import CLEAN_UP


def own_ourselves(journal: Journal) -> None:
    """Write down which process this is, so that `rehearsal clean` leaves a live run alone."""
    ours = identify_ourselves()
    journal.own("harness", str(ours.pid), start_time=ours.start_time, boot_id=ours.boot_id)


@contextmanager
def lend_cluster(session: ClusterSession, folder: Path, journal: Journal, shell: Shell) -> Iterator[Cluster]:
    """A cluster of the rehearsal's own; closing it is part of the rehearsal, and a failure there is a trouble."""
    cluster = session.open(folder, secrets.token_hex(16), journal, shell)
    try:
        yield cluster
    finally:
        close_cluster(cluster, folder, journal)


def close_cluster(cluster: Cluster, folder: Path, journal: Journal) -> None:
    """Remove a rehearsal's cluster; what cannot be removed is written into its record."""
    journal.forgive()
    try:
        # a first Ctrl-C waits until everything is removed; who types a second one leaves the rest to `clean`
        with hold_interrupts(patience=1), journal.step(CLEAN_UP):
            cluster.close()
    except RehearsalError as error:
        _note_left(folder, journal, error.what, error.where, error.hint)
    except OSError as error:
        _note_left(folder, journal, f"not everything is removed: {error}")
    except BaseException as error:
        # Who typed Ctrl-C twice, and a fault of ours: a rehearsal that left something behind must never say PASS.
        with suppress(RehearsalError):
            _note_left(folder, journal, f"not everything is removed: {str(error) or type(error).__name__}")
        error.add_note(f"something may be left: {hint_clean(folder.parent.parent)}")
        raise


def _note_left(folder: Path, journal: Journal, what: str, where: str = "", hint: str = "") -> None:
    record = read_record(folder)
    message = journal.redactor.clean(what)
    record.troubles.append(Trouble(phase=CLEAN_UP, message=message, where=where, hint=hint or "rehearsal clean"))
    write_record(folder, record)


def seeded_stores(seed: Seed, show_values: bool = False) -> Callable[[StoreSpec, Cluster, Path, Journal], Store]:
    """What opens a deployment's stores for a rehearsal with this seed; see `Setting.open_store`."""

    def open_seeded_store(spec: StoreSpec, cluster: Cluster, into: Path, journal: Journal) -> Store:
        return open_store(spec, cluster, into, journal, seed, show_values)

    return open_seeded_store
