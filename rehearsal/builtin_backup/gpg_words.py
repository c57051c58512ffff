"""What gpg says on its status descriptor about one message, and what it means in a person's words.

Exit statuses and a plaintext that came out mean nothing: gpg hands out the bytes of a damaged message before it finds
the damage, and takes a message that was never encrypted. Only a message that was decrypted, whose integrity check is
good, that holds one plaintext and nothing behind it, is opened. Words of the status lines: GnuPG's doc/DETAILS.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PREFIX = b"[GNUPG:] "
NO_SECRET_KEY = "no secret key"  # noqa: S105 - words
WRONG_PASSPHRASE = "wrong passphrase"  # noqa: S105 - words
NO_PASSPHRASE = "no passphrase was given, and it needs one"  # noqa: S105 - words
NO_KEY_PASSPHRASE = "the secret key wants its passphrase"  # noqa: S105 - words
NO_INTEGRITY = "without integrity protection (MDC): nobody can tell whether its bytes are those that were sealed"
NOT_ENCRYPTED = "not encrypted, though its name ends with .gpg"
NO_MESSAGE = "not a gpg message, or cut at its beginning"
CUT = "cut: the gpg message has no end"
DAMAGED = "damaged: gpg's integrity check fails (bytes changed, missing, or behind its end)"
DAMAGED_KEY = "damaged: the session key in it cannot be decrypted with its own secret key"
BEHIND = "bytes behind the end of the gpg message"
_HIDDEN = "0000000000000000"
_PASSPHRASE_CODES = (11, 31, 99, 177, 198)
"""libgpg-error: bad passphrase, invalid passphrase, cancelled, no passphrase, fully cancelled."""


@dataclass
class Said:
    """The status lines about one message: keyword and arguments."""

    lines: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def add(self, line: bytes) -> str:
        """Take one line, with or without its newline; returns its keyword, "" where it is no status line."""
        if not line.startswith(PREFIX):
            return ""
        keyword, *arguments = line[len(PREFIX) :].decode("utf-8", "replace").split() or [""]
        self.lines.append((keyword, tuple(arguments)))
        return keyword

    def has(self, keyword: str, argument: str = "") -> bool:
        """Whether a line has this keyword and, among its arguments, one that contains `argument`."""
        return any(
            word == keyword and (not argument or any(argument in one for one in arguments))
            for word, arguments in self.lines
        )

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The keys the message is encrypted to, 16 hex digits each; hidden ones are left out."""
        found = (arguments[0] for word, arguments in self.lines if word == "ENC_TO" and arguments)
        return tuple(dict.fromkeys(key for key in found if key != _HIDDEN))

    def explain(self, *, passphrase_given: bool) -> str:
        """Why the message is not opened, in words; "" where it is."""
        decrypted = self.has("DECRYPTION_OKAY")
        if self.has("BADMDC"):  # first of all: what gpg says of the bytes behind the damage is by chance
            return DAMAGED
        if self.has("ERROR", "nomdc") or self._find_info() in (("0",), ("0", "0")):
            return NO_INTEGRITY
        if not self.has("BEGIN_DECRYPTION"):
            if self.has("PLAINTEXT"):
                return NOT_ENCRYPTED
            return CUT if self.has("DECRYPTION_KEY") or self.has("NEED_PASSPHRASE_SYM") else NO_MESSAGE
        if not self.has("DECRYPTION_INFO"):
            return self._explain_closed(passphrase_given)
        if self.has("ERROR", "BAD_PASSPHRASE"):
            return WRONG_PASSPHRASE if passphrase_given else NO_PASSPHRASE
        if decrypted and (self.has("NODATA") or self.has("UNEXPECTED")):
            return BEHIND
        if decrypted and self.has("ERROR", "plaintext"):
            return BEHIND
        if not decrypted or self.has("DECRYPTION_FAILED"):
            return CUT
        if sum(word == "PLAINTEXT" for word, _ in self.lines) > 1:
            return BEHIND
        authenticated = self._find_info()[1:] not in ((), ("0",))  # AEAD, of GnuPG 2.3 and later
        return "" if self.has("GOODMDC") or authenticated else NO_INTEGRITY

    def _explain_closed(self, passphrase_given: bool) -> str:
        """No session key was found."""
        for word, arguments in self.lines:
            if word == "ERROR" and arguments and arguments[0].startswith("pkdecrypt_failed"):
                code = int(arguments[1].split("_")[0]) & 0xFFFF if len(arguments) > 1 else 0
                if code in _PASSPHRASE_CODES:
                    return WRONG_PASSPHRASE if passphrase_given else NO_KEY_PASSPHRASE
                return DAMAGED_KEY
        if self.has("ERROR", "BAD_PASSPHRASE") or self.has("MISSING_PASSPHRASE"):
            return WRONG_PASSPHRASE if passphrase_given else NO_PASSPHRASE
        return NO_SECRET_KEY

    def _find_info(self) -> tuple[str, ...]:
        """How the message is protected: the method of its integrity check, and of its authentication; "0": none."""
        for word, arguments in self.lines:
            if word == "DECRYPTION_INFO":
                return arguments[:1] + arguments[2:3]
        return ()


def read_said(stderr: bytes) -> Said:
    """The status lines among whatever else was printed."""
    said = Said()
    for line in stderr.split(b"\n"):
        said.add(line)
    return said
