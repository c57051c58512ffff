"""Where the parts of a rehearsed built-in backup lie: the bucket and the archive in the set, the keys beside it.

The bucket's objects are files with their keys for names, so the set is also "a bucket copied to a directory" and the
archive server's own directory: `rehearsal verify-backup` reads both as they lie there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

BUCKET: Final = "chipster-backups"
_ARCHIVE: Final = "backup-archive"
_S3: Final = "s3"
SECRET_KEY: Final = "secret-key.asc"  # noqa: S105 - a file's name
PASSPHRASE: Final = "passphrase"  # noqa: S105


def storage_of_server(backup_folder: Path) -> Path:
    """The directory that the S3 server of the rehearsal serves; a bucket is a folder in it."""
    return backup_folder / _S3


def bucket_folder(backup_folder: Path) -> Path:
    """The bucket, as a directory."""
    return storage_of_server(backup_folder) / BUCKET


def archive_folder(backup_folder: Path) -> Path:
    """The archive server's `backup-archive`."""
    return backup_folder / _ARCHIVE
