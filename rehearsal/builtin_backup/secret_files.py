"""A secret that is the only line of a file: a passphrase, a password, a token. Never an argument, never shown."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from rehearsal.errors import UsageError

_LONGEST = 4096


def read_secret(path: Path, what: str) -> SecretStr:
    """The file's only line.

    Args:
        what: the secret's kind, for messages: `passphrase`.

    Raises:
        UsageError: it cannot be read, or holds no such line.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LONGEST + 1)
        text = raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise UsageError(f"the {what} cannot be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError(f"this is no {what}: not UTF-8", where=str(path)) from None
    if not text or "\n" in text or "\0" in text or len(raw) > _LONGEST:
        raise UsageError(f"this is no {what}; wanted one line of text", where=str(path))
    return SecretStr(text)
