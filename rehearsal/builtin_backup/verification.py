"""What a verification found, as one value with a published shape: `rehearsal verify-backup --json` prints it.

Sizes are bytes, instants ISO 8601 UTC, ages seconds. A field may be added under the same schema name; one that is
renamed or changes its meaning makes a new name.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rehearsal.verdicts import Finding, Verdict

SCHEMA: Literal["chipster-restore-rehearsal/verification/1"] = "chipster-restore-rehearsal/verification/1"


class _Published(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, json_schema_serialization_defaults_required=True
    )


class VerifiedPlace(_Published):
    """A bucket, or an archive server's folder.

    Attributes:
        strangers: keys that belong to no backup, the first 20.
    """

    kind: Literal["bucket", "archive"]
    shown: str
    backups: int
    strangers: tuple[str, ...] = ()


class VerifiedBackup(_Published):
    """One backup in one place.

    Attributes:
        source: `session-db-db-backup`, or `file-storage-0`.
        taken, age_seconds: from its name; the age at the moment of judging.
        complete: its list is there (`backup-info`, or `archive-info` on the archive server).
        objects, bytes: what lies in the place under its name.
        lines: of its list; the packages of `own_lines` of them lie in the backup itself, the others in other ones.
        plain_bytes: of all its lines, as listed.
        packages_read, packages_opened: of its lines' packages; read: size and SHA-512 taken; opened: decrypted,
            decompressed, plain size and SHA-512 as listed.
        key_ids: what its packages are encrypted to; empty: to nothing, or to a passphrase.
        encrypted: packages that end in `.gpg`.
        restorable: true: every line was proven (of a sample: every line of it), false: a finding says why not, null:
            it cannot be told.
    """

    place: str
    kind: Literal["bucket", "archive"]
    name: str
    source: str
    taken: str
    age_seconds: int
    complete: bool
    objects: int
    bytes: int
    lines: int = 0
    own_lines: int = 0
    plain_bytes: int = 0
    packages_read: int = 0
    packages_opened: int = 0
    encrypted: int = 0
    key_ids: tuple[str, ...] = ()
    restorable: bool | None = None


class VerifiedKeys(_Published):
    """Which keys are needed, and whether those given open every package.

    Attributes:
        needed: ids of the keys that packages are encrypted to.
        given: ids of the secret keys given; `passphrase`: whether one was given.
        backups_encrypted, backups_opened: complete backups with encrypted packages, and those of them of which no
            package stayed closed.
    """

    needed: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    passphrase: bool = False
    backups_encrypted: int = 0
    backups_opened: int = 0


class Verification(_Published):
    """The result.

    Attributes:
        schema_name: in JSON `schema`.
        as_of: the moment that ages are counted to.
        sample_percent: 100: every package was read; less: those of so many percent of the files, picked by a hash of
            the path.
        packages, packages_read: found in all places, and of these read.
        bytes_read: of packages, compressed and encrypted as they are.
        oldest, newest: the first and the last moment from which everything (every database and storage that has
            backups, or that values.yaml names) can be restored; null: there is none that was proven.
    """

    schema_name: Literal["chipster-restore-rehearsal/verification/1"] = Field(default=SCHEMA, alias="schema")
    tool_version: str
    as_of: str
    seconds: float
    verdict: Verdict
    sample_percent: float
    places: tuple[VerifiedPlace, ...]
    backups: tuple[VerifiedBackup, ...]
    keys: VerifiedKeys
    packages: int
    packages_read: int
    bytes_read: int
    oldest: str | None = None
    newest: str | None = None
    findings: tuple[Finding, ...]

    @property
    def is_sample(self) -> bool:
        return self.sample_percent < 100

    def render_json(self) -> str:
        """As `--json` prints it, with a line break at its end."""
        return self.model_dump_json(by_alias=True, indent=1) + "\n"
