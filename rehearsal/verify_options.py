"""What a user asks of `rehearsal verify-backup`, and what it needs, opened and closed again: places, keys.

S3 keys come from the environment or the usual profile, a passphrase and private keys from files; none of them is ever
an argument, and what is printed passes the redactor that knows them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rehearsal.backup_config import BackupConfig, Remark, read_backup_config
from rehearsal.builtin_backup.folder_places import open_folder
from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.names import database_source
from rehearsal.builtin_backup.places import Place
from rehearsal.builtin_backup.public_key import remark_on_keys
from rehearsal.builtin_backup.retention import Rules
from rehearsal.builtin_backup.s3_access import S3Access, parse_s3_url
from rehearsal.builtin_backup.s3_bucket import S3Bucket
from rehearsal.builtin_backup.scratch import scratch_folder
from rehearsal.builtin_backup.secret_files import read_secret
from rehearsal.builtin_backup.unsealing import Unsealer
from rehearsal.builtin_backup.verification import Verification
from rehearsal.builtin_backup.verifying import Tell, Wanted, verify_backups
from rehearsal.deployment import Deployment
from rehearsal.errors import EnvironmentUnfit, UsageError
from rehearsal.journal import Journal, Redactor
from rehearsal.shell import Shell
from rehearsal.values import make_deployment, read_values

_MOST_JOBS = 64


def declare_verify_options(add: Callable[..., Any]) -> None:
    """Declare places and options with `add`, which takes what `ArgumentParser.add_argument` takes."""
    add(
        "places",
        nargs="*",
        metavar="PLACE",
        help="s3://BUCKET[/PREFIX], a bucket copied to a directory, or an archive server's backup-archive; several are "
        "verified together: what a bucket no longer has, its archive must. None: only --values is looked at",
    )
    add("--endpoint", default="", metavar="URL", help="of the S3 server (default: that of --values, else Amazon's)")
    add("--region", default="", help="of the S3 server (default: that of --values, else the profile's)")
    add("--path-style", action="store_true", help="address a bucket as https://HOST/BUCKET (default)")
    add("--virtual-host", action="store_true", help="address a bucket as https://BUCKET.HOST")
    add("--ca-file", type=Path, metavar="FILE", help="PEM file of the certificate authorities of the S3 server")
    add(
        "--key",
        dest="keys",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="a private gpg key that opens packages, as `gpg --export-secret-keys` writes it; may be repeated",
    )
    add("--passphrase-file", type=Path, metavar="FILE", help="the passphrase of packages, or of the keys")
    add(
        "--values",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="the server's values.yaml: its backup settings are judged, and what must have backups is known",
    )
    add(
        "--sample",
        type=read_percent,
        default=100.0,
        metavar="N%",
        help="open every dump, and of the files only so many percent, picked by a hash of the path (default: 100%%)",
    )
    add("--jobs", type=_read_jobs, default=2, metavar="N", help="threads that read and hash (default: 2)")
    add("--as-of", type=_read_instant, metavar="INSTANT", help="count ages to that moment (default: now)")
    add("--json", action="store_true", help="print the whole result as JSON on standard output")


def read_percent(text: str) -> float:
    """`10%` or `10`, above 0 and up to 100."""
    try:
        percent = float(text.strip().removesuffix("%"))
    except ValueError:
        percent = 0.0
    if not 0 < percent <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share: above 0%, up to 100%")
    return percent


def _read_jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_JOBS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of threads: 1 to {_MOST_JOBS}")
    return int(text)


def _read_instant(text: str) -> int:
    """Nanoseconds since 1970."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1_000_000) * 1000
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no instant such as 2026-04-30T01:10:00Z") from None


@dataclass(frozen=True)
class Verifier:
    """A verification that can be started: `verify(tell)`; `clean` takes secrets out of what is printed."""

    verify: Callable[[Tell], Verification]
    clean: Callable[[str], str]


@contextmanager
def open_verifier(arguments: argparse.Namespace) -> Iterator[Verifier]:
    """Everything that a verification needs, removed afterwards.

    Raises:
        UsageError: a place, file or option is wrong; nothing was read.
    """
    if not arguments.places and not arguments.values:
        raise UsageError(
            "there is nothing to verify", hint="rehearsal verify-backup s3://BUCKET --endpoint URL, or a directory"
        )
    if arguments.path_style and arguments.virtual_host:
        raise UsageError("--path-style and --virtual-host contradict each other", hint="give one of them")
    values = read_values(arguments.values)
    deployment = make_deployment(values) if arguments.values else None
    config = read_backup_config(values.tree) if arguments.values else None
    passphrase = None
    if arguments.passphrase_file is not None:
        passphrase = read_secret(arguments.passphrase_file, "passphrase")
    if passphrase is None and config is not None and config.chosen.passphrase.get_secret_value():
        passphrase = config.chosen.passphrase
    redactor = Redactor([passphrase.get_secret_value()] if passphrase else [])
    if deployment is not None:
        redactor.learn(deployment.secrets())
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        redactor.learn([os.environ[name]] if os.environ.get(name) else [])
    places = _open_places(arguments, config)
    shell = Shell(Journal(Path(os.devnull), redactor))
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder())
        remarks = _remark(shell, config, scratch)
        keyring = None
        if places and (arguments.keys or passphrase is not None):
            keyring = stack.enter_context(Keyring(shell, key_files=arguments.keys, passphrase=passphrase))
        wanted = Wanted(
            sample_percent=arguments.sample,
            jobs=arguments.jobs,
            now=arguments.as_of,
            expected=None if deployment is None or config is None else _list_expected(deployment, config),
            rules=Rules() if config is None else Rules(config.chosen.daily, config.chosen.monthly),
            interval_hours=24 if config is None else config.chosen.interval_hours,
            remarks=tuple(remarks),
            key_ids=() if keyring is None else keyring.encryption_keys(),
            passphrase=passphrase is not None,
        )
        unsealer = Unsealer(shell, keyring, scratch)
        try:
            yield Verifier(lambda tell: verify_backups(places, unsealer, wanted, tell), redactor.clean)
        except BaseException:
            shell.end_others()  # threads that still read must not outlive the scratch folder
            raise


def _open_places(arguments: argparse.Namespace, config: BackupConfig | None) -> tuple[Place, ...]:
    given: Sequence[str] = arguments.places
    for place in given:
        if given.count(place) > 1:
            raise UsageError("this place is given twice", where=place)
    return tuple(
        _open_bucket(place, arguments, config) if "://" in place else open_folder(Path(place)) for place in given
    )


def _open_bucket(url: str, arguments: argparse.Namespace, config: BackupConfig | None) -> Place:
    bucket, prefix = parse_s3_url(url)
    configured = None if config is None else config.chosen
    if arguments.endpoint or configured is None:
        endpoint, region = arguments.endpoint, arguments.region
    else:
        endpoint, region = configured.endpoint, arguments.region or configured.region
    return S3Bucket(
        S3Access(
            endpoint=endpoint,
            bucket=bucket,
            prefix=prefix,
            region=region,
            path_style=not arguments.virtual_host,
            ca_file=arguments.ca_file,
        )
    )


def _remark(shell: Shell, config: BackupConfig | None, scratch: Path) -> list[Remark]:
    if config is None:
        return []
    remarks = list(config.remarks)
    try:
        remarks += remark_on_keys(shell, config, scratch)
    except EnvironmentUnfit as error:
        remarks.append(Remark("told", "backup-gpg-public-key", f"the key was not looked at: {error.what}"))
    return remarks


def _list_expected(deployment: Deployment, config: BackupConfig) -> tuple[str, ...]:
    """The sources that must have backups: of what is configured to be backed up, what the server has."""
    databases = [database_source(one.role) for one in deployment.databases] if config.databases.is_configured else []
    files = [one.name for one in deployment.files] if config.files.is_configured else []
    return (*databases, *files)
