"""For whom a package is sealed, read off its head as gpg would say it."""

import pytest
from sealed_packages import DRAWS, SMALL

from rehearsal.builtin_backup.packets import read_recipients


@pytest.mark.parametrize("how", [[], ["--rfc4880"], ["-r", "Backup"]])
def test_recipients_are_those_that_gpg_names(gpg, keyring, recipient, how):
    data = gpg(SMALL, *how, "--recipient", recipient, "--encrypt")
    assert read_recipients(data).key_ids == keyring.encryption_keys()
    both = read_recipients(gpg(SMALL, "--recipient", recipient, "--symmetric", "--encrypt"))
    assert (both.key_ids, both.passphrase, both.hidden) == (keyring.encryption_keys(), True, False)
    hidden = read_recipients(gpg(SMALL, "--throw-keyids", "--recipient", recipient, "--encrypt"))
    assert (hidden.key_ids, hidden.passphrase, hidden.hidden) == ((), False, True)


def test_recipients_are_not_guessed(gpg):
    data = gpg(SMALL)
    assert all(read_recipients(data[:kept]) is None for kept in range(90))
    assert read_recipients(gpg(SMALL, "--store")) is None
    assert read_recipients(gpg(SMALL, "--armor", "--recipient", "Backup", "--encrypt")) is None
    for _ in range(2000):
        read_recipients(DRAWS.randbytes(DRAWS.randrange(200)))
