"""What GnuPG 2.2.40 said of real messages, recorded; those of other versions from its doc/DETAILS."""

import pytest

from rehearsal.builtin_backup import gpg_words
from rehearsal.builtin_backup.gpg_words import Said, read_said

TO = "ENC_TO 6817B74A58C2FD34 1 0"
KEY = "DECRYPTION_KEY 4D3C7E13C0C6902A30A8C22D6817B74A58C2FD34 C44406C072ED4E2C75553CB6504E186DF19D006A u"
BEGIN, INFO, PLAIN = "BEGIN_DECRYPTION", "DECRYPTION_INFO 2 9 0", "PLAINTEXT 62 1795472379 plain.lz4"
OKAY, FAILED, END = "DECRYPTION_OKAY", "DECRYPTION_FAILED", "END_DECRYPTION"
GOOD = [TO, KEY, BEGIN, INFO, PLAIN, OKAY, "GOODMDC", END]
NO_BEHIND = "NODATA 3"


def explain(lines, given=True):
    return read_said("".join(f"[GNUPG:] {line}\n" for line in lines).encode()).explain(passphrase_given=given)


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (GOOD, ""),
        ([TO, KEY, BEGIN, "DECRYPTION_INFO 0 9 2", PLAIN, OKAY, "GOODMDC", END], ""),
        ([TO, KEY, BEGIN, "DECRYPTION_INFO 0 9 2", PLAIN, OKAY, END], ""),
        (["NEED_PASSPHRASE_SYM 9 3 2", BEGIN, INFO, PLAIN, OKAY, "GOODMDC", END], ""),
        ([*GOOD, NO_BEHIND], gpg_words.BEHIND),
        ([*GOOD, "ERROR proc_pkt.plaintext 89_BAD_DATA"], gpg_words.BEHIND),
        ([*GOOD[:5], PLAIN, *GOOD[5:]], gpg_words.BEHIND),
        ([*GOOD, TO, KEY, BEGIN, FAILED, END], gpg_words.CUT),
        ([TO, KEY, BEGIN, INFO, PLAIN, FAILED, END], gpg_words.CUT),
        ([TO, KEY, BEGIN, INFO, "NODATA 3", FAILED, END], gpg_words.CUT),
        ([TO, KEY, BEGIN, INFO, PLAIN], gpg_words.CUT),
        ([TO, KEY, "NODATA 3"], gpg_words.CUT),
        ([TO, KEY], gpg_words.CUT),
        ([TO, KEY, BEGIN, INFO, PLAIN, "BADMDC", FAILED, END], gpg_words.DAMAGED),
        (
            [TO, KEY, BEGIN, INFO, PLAIN, BEGIN, "DECRYPTION_INFO 0 1 0", FAILED, END, "BADMDC", FAILED, END],
            gpg_words.DAMAGED,
        ),
        ([TO, KEY, BEGIN, INFO, PLAIN, OKAY, END], gpg_words.NO_INTEGRITY),
        (
            [TO, KEY, BEGIN, "DECRYPTION_INFO 0 2 0", PLAIN, "ERROR nomdc_with_legacy_cipher 152", FAILED, END],
            gpg_words.NO_INTEGRITY,
        ),
        ([TO, KEY, BEGIN, "DECRYPTION_INFO 0 2", PLAIN, OKAY, END], gpg_words.NO_INTEGRITY),
        ([TO, "NO_SECKEY 6817B74A58C2FD34", BEGIN, FAILED, END], gpg_words.NO_SECRET_KEY),
        ([TO, "ERROR pkdecrypt_failed 33554450", BEGIN, FAILED, END], gpg_words.DAMAGED_KEY),
        ([TO, "ERROR pkdecrypt_failed 67108875", BEGIN, FAILED, END], gpg_words.WRONG_PASSPHRASE),
        (
            ["NEED_PASSPHRASE_SYM 9 3 2", BEGIN, INFO, "ERROR symkey_decrypt.maybe_error 11_BAD_PASSPHRASE", FAILED],
            gpg_words.WRONG_PASSPHRASE,
        ),
        ([PLAIN, "PLAINTEXT_LENGTH 5"], gpg_words.NOT_ENCRYPTED),
        (["NODATA 1", "NODATA 2"], gpg_words.NO_MESSAGE),
        ([TO, "NODATA 3"], gpg_words.NO_MESSAGE),
        ([], gpg_words.NO_MESSAGE),
    ],
)
def test_words(lines, word):
    assert explain(lines) == word


def test_without_a_passphrase_it_is_not_a_wrong_one():
    assert explain([TO, "ERROR pkdecrypt_failed 67108875", BEGIN, FAILED, END], False) == gpg_words.NO_KEY_PASSPHRASE
    lines = ["NEED_PASSPHRASE_SYM 9 3 2", "MISSING_PASSPHRASE", BEGIN, FAILED, END]
    assert explain(lines, False) == gpg_words.NO_PASSPHRASE


def test_every_line_less_is_never_an_opened_message():
    for number in range(len(GOOD)):
        lines = GOOD[:number] + GOOD[number + 1 :]
        opened = explain(lines) == ""
        # what may be missing: for whom it is, with which key, which name, and that it is over
        assert opened == (GOOD[number] in (TO, KEY, PLAIN, END)), GOOD[number]


def test_keys_are_told_once_and_hidden_ones_not():
    said = Said()
    for line in (b"ENC_TO AAAAAAAAAAAAAAAA 1 0", b"ENC_TO 0000000000000000 1 0", b"ENC_TO AAAAAAAAAAAAAAAA 1 0"):
        said.add(b"[GNUPG:] " + line)
    assert said.key_ids == ("AAAAAAAAAAAAAAAA",)


def test_other_words_are_no_status():
    said = read_said(b'gpg: [GNUPG:] GOODMDC\n      "[GNUPG:] GOODMDC"\n[GNUPG:] \n\xff\n[GNUPG:] X \xff\n')
    assert not said.has("GOODMDC")
    assert said.has("X")
