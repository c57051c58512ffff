"""For whom a gpg message is sealed, read off its first bytes, without gpg and without a key.

A message begins with a packet a recipient (RFC 4880, sections 4.2, 5.1 and 5.3). Only what cannot be mistaken is
read; anything else (ASCII armour, another version, bytes that end too soon) is `None`, and gpg has the say.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD = 1 << 16
"""So many first bytes are enough for dozens of recipients."""

_PUBLIC_KEY, _PASSPHRASE = 1, 3
_CONTENT = (9, 18, 20)  # encrypted data: without, with integrity protection, authenticated
_HIDDEN = "0000000000000000"


@dataclass(frozen=True)
class Recipients:
    """Attributes:
    key_ids: 16 hex digits each, as gpg prints them; without those that are hidden.
    hidden: whether a recipient is not named.
    passphrase: whether a passphrase opens it.
    """

    key_ids: tuple[str, ...]
    hidden: bool
    passphrase: bool


def read_recipients(head: bytes) -> Recipients | None:
    """The recipients of the message that begins with `head`, or None where that cannot be told for certain."""
    keys: list[str] = []
    passphrase = False
    position = 0
    while True:
        header = _read_header(head, position)
        if header is None:
            return None
        tag, start, length = header
        if tag in _CONTENT:
            break
        body = head[start : start + length]
        if len(body) < length or not length:
            return None
        if tag == _PUBLIC_KEY and body[0] == 3 and length > 9:
            keys.append(body[1:9].hex().upper())
        elif tag == _PASSPHRASE:
            passphrase = True
        else:
            return None
        position = start + length
    if not keys and not passphrase:
        return None
    named = tuple(dict.fromkeys(key for key in keys if key != _HIDDEN))
    return Recipients(named, _HIDDEN in keys, passphrase)


def _read_header(head: bytes, position: int) -> tuple[int, int, int] | None:
    """Tag, start and length of a packet's body; for one of partial or unknown length, its length is 0."""
    first = head[position : position + 6]
    if len(first) < 6 or not first[0] & 0x80:
        return None
    if not first[0] & 0x40:
        tag, kind = first[0] >> 2 & 0x0F, first[0] & 3
        if kind == 3:
            return tag, position + 1, 0
        size = 1 << kind
        return tag, position + 1 + size, int.from_bytes(first[1 : 1 + size], "big")
    tag = first[0] & 0x3F
    if first[1] < 192:
        return tag, position + 2, first[1]
    if first[1] < 224:
        return tag, position + 3, (first[1] - 192 << 8) + first[2] + 192
    if first[1] == 255:
        return tag, position + 6, int.from_bytes(first[2:6], "big")
    return tag, position + 2, 0
