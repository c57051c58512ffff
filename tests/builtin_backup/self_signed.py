"""A certificate for 127.0.0.1 that no authority signed, made with the standard library alone: tests need no openssl."""

from __future__ import annotations

import base64
import hashlib
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

_SHA256_RSA = bytes.fromhex("300d06092a864886f70d01010b0500")
_RSA = bytes.fromhex("300d06092a864886f70d0101010500")
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
_PUBLIC = 65537


def write_certificate(folder: Path, *, days: tuple[int, int] = (-1, 1), address: bytes = bytes((127, 0, 0, 1))):
    """Paths of a PEM certificate, valid between these days from now and for that IPv4 address, and of its key."""
    p, q = _find_prime(), _find_prime()
    n, d = p * q, pow(_PUBLIC, -1, (p - 1) * (q - 1))
    now = datetime.now(UTC)
    name = _der(0x30, _der(0x31, _der(0x30, bytes.fromhex("0603550403") + _der(0x0C, b"a test"))))
    times = _der(0x30, b"".join(_der(0x18, f"{now + timedelta(day):%Y%m%d%H%M%SZ}".encode()) for day in days))
    public = _der(0x30, _RSA + _der(0x03, b"\0" + _der(0x30, _number(n) + _number(_PUBLIC))))
    names = _der(0x30, bytes.fromhex("0603551d11") + _der(0x04, _der(0x30, _der(0x87, address))))
    authority = _der(0x30, bytes.fromhex("0603551d130101ff") + _der(0x04, _der(0x30, bytes.fromhex("0101ff"))))
    extensions = _der(0xA3, _der(0x30, names + authority))
    version = _der(0xA0, _number(2))
    body = _der(0x30, version + _number(1) + _SHA256_RSA + name + times + name + public + extensions)
    size = (n.bit_length() + 7) // 8
    digest = _SHA256_INFO + hashlib.sha256(body).digest()
    padded = b"\0\x01" + b"\xff" * (size - 3 - len(digest)) + b"\0" + digest
    signature = pow(int.from_bytes(padded), d, n).to_bytes(size)
    certificate = _der(0x30, body + _SHA256_RSA + _der(0x03, b"\0" + signature))
    numbers = (0, n, _PUBLIC, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    key = _der(0x30, b"".join(map(_number, numbers)))
    made = folder / "certificate.pem", folder / "certificate.key"
    for path, word, content in zip(made, ("CERTIFICATE", "RSA PRIVATE KEY"), (certificate, key), strict=True):
        text = base64.encodebytes(content).decode().replace("\n", "")
        lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
        path.write_text(f"-----BEGIN {word}-----\n{lines}\n-----END {word}-----\n", encoding="ascii")
    return made


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes((size,)) if size < 128 else bytes((0x82,)) + size.to_bytes(2)
    return bytes((tag,)) + length + content


def _number(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1))


def _find_prime() -> int:
    chance = random.SystemRandom()
    small = [number for number in range(3, 2000) if all(number % other for other in range(2, int(number**0.5) + 1))]
    while True:
        number = chance.getrandbits(1024) | 1 | 3 << 1022
        if all(number % prime for prime in small) and (number - 1) % _PUBLIC and _is_prime(number):
            return number


def _is_prime(number: int) -> bool:
    """Fermat to a few bases: ample for random numbers of a test."""
    return all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7, 11))
