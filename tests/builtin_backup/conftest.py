"""A keyring with one key, and gpg to seal with: what the tests of opening packages share."""

import os

import pytest
from pydantic import SecretStr
from sealed_packages import PHRASE

from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.unsealing import Unsealer
from rehearsal.journal import Journal
from rehearsal.shell import Shell


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    journal = Journal(tmp_path_factory.mktemp("unsealing") / "journal.jsonl")
    yield Shell(journal)
    journal.close()


@pytest.fixture(scope="module")
def keyring(shell):
    with Keyring(shell, passphrase=SecretStr(PHRASE)) as keyring:
        yield keyring


@pytest.fixture(scope="module")
def recipient(keyring):
    return keyring.generate("Backup")


@pytest.fixture
def unsealer(shell, keyring, tmp_path):
    yield Unsealer(shell, keyring, tmp_path)
    assert os.listdir(tmp_path) == []  # nothing is left behind, whatever happened


@pytest.fixture
def gpg(shell, keyring, recipient):
    def run(data, *arguments):
        arguments = arguments or ("--compress-algo", "none", "--recipient", recipient, "--encrypt")
        if "--symmetric" in arguments:
            arguments = ("--s2k-count", "65536", *arguments)
        return shell.run(keyring.process(*arguments), stdin=data).stdout

    return run
