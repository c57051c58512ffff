"""What `rehearsal verify-backup` says of a rehearsal's set, as remarks for the record: damage by the file it struck.

Age, retention and configuration are the admin's own bucket's affair; a rehearsal asks whether what it has just written
can be restored, and of the stores that it loses only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.names import BackupName
from rehearsal.builtin_backup.places import Kind, Place, StoredObject
from rehearsal.builtin_backup.unsealing import Unsealer
from rehearsal.builtin_backup.verifying import Wanted, verify_backups
from rehearsal.roles import SetRemark
from rehearsal.verdicts import Finding, Verdict

_ASKED = ("completeness", "packages", "contents", "chain", "keys")
_SOUND = {Verdict.PASS: True, Verdict.FAIL: False}
_BACKUP = re.compile(r"\S+_\d{4}-\d\d-\d\dT[\d:.]+Z")
_PACKAGE = re.compile(r"(\S+?)\.lz4(?:\.gpg)?\b")


@dataclass(frozen=True)
class _Some:
    """A place of which only some sources are looked at."""

    place: Place
    sources: Collection[str]

    @property
    def kind(self) -> Kind:
        return self.place.kind

    @property
    def shown(self) -> str:
        return self.place.shown

    def names(self) -> tuple[BackupName, ...]:
        return tuple(name for name in self.place.names() if name.source in self.sources)

    def strangers(self) -> tuple[str, ...]:
        return ()

    def objects(self, name: BackupName) -> Iterator[StoredObject]:
        return self.place.objects(name)

    def read(self, key: str) -> Iterator[bytes]:
        return self.place.read(key)


def examine_places(
    places: Sequence[Place], unsealer: Unsealer, keyring: Keyring, sources: Collection[str]
) -> tuple[SetRemark, ...]:
    """Verify the backups of these sources, every package of them; one remark a check, and one a damaged file."""
    if not sources:
        return ()
    wanted = Wanted(
        expected=tuple(sources), key_ids=tuple(keyring.encryption_keys()), passphrase=keyring.has_passphrase
    )
    verification = verify_backups([_Some(place, sources) for place in places], unsealer, wanted)
    findings = [finding for finding in verification.findings if finding.check in _ASKED]
    return tuple(remark for finding in findings for remark in _remark(finding))


def _remark(finding: Finding) -> Iterator[SetRemark]:
    sound = _SOUND.get(finding.verdict)
    subject = f"{finding.check}: {finding.subject}"
    if finding.check == "keys":  # its subject is a key; whose backup stays closed is what a person wants to know
        subject = ": ".join((subject, *dict.fromkeys(_BACKUP.findall(finding.message))))
    if sound is not False:
        yield SetRemark(sound, subject, finding.message, finding.details)
        return
    for sentence in (finding.message, *finding.details):
        package = _PACKAGE.search(sentence)
        yield SetRemark(False, f"{subject}: {package[1]}" if package else subject, sentence)
