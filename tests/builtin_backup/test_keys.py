import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.scratch import scratch_folder
from rehearsal.errors import EnvironmentUnfit, RehearsalError, UsageError
from rehearsal.journal import Journal, read_journal
from rehearsal.shell import Shell

PHRASE = "correct horse battery"


@pytest.fixture
def shell(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    yield Shell(journal)
    journal.close()


def agents(home):
    """The gpg-agents that serve a home or one of its copies."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0") if folder.name.isdigit() else []
        except OSError:
            continue
        if words and b"gpg-agent" in words[0] and any(str(home).encode() in word for word in words):
            found.append(int(folder.name))
    return found


def test_a_home_is_private_and_gone_afterwards_with_its_agents(shell):
    with Keyring(shell) as keyring:
        keyring.generate("Somebody")
        home = Path(keyring.process().argv[2])
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert len(agents(home)) == 1
        keyring.export_secret(keyring.list_keys()[0].fingerprint)
        keyring.spread(3)
    assert not home.exists()
    assert agents(home) == []
    events = [(line["event"], line.get("name")) for line in read_journal(shell.journal.path)]
    assert ("owned", str(home)) in events
    assert ("gone", str(home)) in events


def test_the_admins_own_home_is_left_alone(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GNUPGHOME", str(tmp_path / "own"))
    with Keyring(shell) as keyring:
        keyring.generate("Somebody")
    assert sorted(os.listdir(tmp_path)) == ["journal.jsonl"]


def test_what_keys_are_for(shell):
    with Keyring(shell) as keyring:
        good = keyring.generate("Good ä")
        keyring.generate("Signs only", sign_only=True)
        keyring.generate("Old", expired=True)
        keys = {(key.owner, key.primary == key.fingerprint): key for key in keyring.list_keys()}
        assert keys["Good ä", True].fingerprint == good
        flags = {name: (key.encrypts, key.secret, key.expired, key.revoked) for name, key in keys.items()}
        assert flags == {
            ("Good ä", True): (False, True, False, False),
            ("Good ä", False): (True, True, False, False),
            ("Signs only", True): (False, True, False, False),
            ("Old", True): (False, True, True, False),
            ("Old", False): (True, True, True, False),
        }
        opening = {keys["Good ä", False].key_id, keys["Old", False].key_id}
        assert set(keyring.encryption_keys()) == opening
        assert keyring.secret_ids() == {key.key_id for key in keys.values()}


def test_a_public_key_opens_nothing(shell, tmp_path):
    with Keyring(shell) as keyring:
        (tmp_path / "public.asc").write_bytes(keyring.export_public(keyring.generate("Somebody")))
    with Keyring(shell, key_files=[tmp_path / "public.asc"]) as keyring:
        assert [key.encrypts for key in keyring.list_keys()] == [False, True]
        assert keyring.encryption_keys() == ()
        assert keyring.secret_ids() == set()


def test_keys_come_back_from_files(shell, tmp_path):
    with Keyring(shell) as keyring:
        first = keyring.generate("First")
        (tmp_path / "1").write_bytes(keyring.export_secret(first))
        (tmp_path / "2").write_bytes(keyring.export_secret(keyring.generate("Second")))
        ids = keyring.encryption_keys()
    with Keyring(shell, key_files=[tmp_path / "1", tmp_path / "2"]) as keyring:
        assert sorted(keyring.encryption_keys()) == sorted(ids)
        assert keyring.list_keys()[0].fingerprint == first


def test_a_key_added_later_is_in_every_copy(shell):
    with Keyring(shell) as keyring:
        keyring.generate("First")
        assert len(keyring.secret_ids()) == 2
        first, second = keyring.spread(2)
        keyring.generate("Second")
        assert len(keyring.secret_ids()) == 4
        keyring.spread(2)
        names = [sorted(path.name for path in (home / "private-keys-v1.d").iterdir()) for home in (first, second)]
        assert len(names[0]) == 4
        assert names[0] == names[1]


def test_gpg_remembers_the_signatures_it_verified(shell, tmp_path):
    """An imported key and one that was made: in each home every signature is in the keyring's cache already."""
    with Keyring(shell) as other:
        (tmp_path / "key").write_bytes(other.export_secret(other.generate("Other")))
    with Keyring(shell, key_files=(tmp_path / "key",)) as keyring:
        keyring.generate("Ours")
        for home in keyring.spread(2):
            assert not (home / "pubring.kbx").exists()
            packets = shell.run(keyring.process("--list-packets", str(home / "pubring.gpg"))).stdout.decode()
            # `sigcache` of a trust packet: 3 is `checked` and `valid` (GnuPG's g10/packet.h)
            assert packets.count(":signature packet:") == packets.count("sigcache=03") == 4


@pytest.mark.parametrize("content", [b"", b"no key\n", os.urandom(5000)])
def test_a_file_without_a_key_is_refused(shell, tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(UsageError, match=r"(?s)/key: no OpenPGP key in it.*next: gpg --armor"):
        Keyring(shell, key_files=[tmp_path / "key"]).__enter__()
    owned = [line["name"] for line in read_journal(shell.journal.path) if line["event"] == "owned"]
    assert [name for name in owned if os.path.lexists(name)] == []


def test_a_missing_key_file_and_a_huge_one_are_refused(shell, tmp_path):
    with pytest.raises(UsageError, match="nothing: the key cannot be read: No such file"):
        Keyring(shell, key_files=[tmp_path / "nothing"]).__enter__()
    (tmp_path / "disk").touch()
    os.truncate(tmp_path / "disk", 1 << 30)
    with pytest.raises(UsageError, match="larger than 16 MiB"):
        Keyring(shell, key_files=[tmp_path / "disk"]).__enter__()


@pytest.mark.parametrize("phrase", ["two\nlines", "two\r", "nul\0"])
def test_a_passphrase_is_one_line(shell, phrase):
    with pytest.raises(UsageError, match="one line"):
        Keyring(shell, passphrase=SecretStr(phrase))


def test_no_such_key_to_export(shell):
    with Keyring(shell) as keyring, pytest.raises(RehearsalError, match="no such key"):
        keyring.export_public("A" * 40)


def test_a_home_too_deep_for_sockets_is_refused(shell, tmp_path):
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    with pytest.raises(EnvironmentUnfit, match="too long a path for gpg's sockets"):
        Keyring(shell, deep).__enter__()
    assert list(deep.iterdir()) == []


@pytest.fixture
def started(tmp_path, monkeypatch):
    """A folder where gpg, gpgconf and gpg-agent each leave arguments and environment when they start, as `NAME.PID`.

    An agent closes its /proc to everybody but root once it runs.
    """
    folder, tools = tmp_path / "started", tmp_path / "tools"
    folder.mkdir()
    tools.mkdir()
    listed = subprocess.run(["gpgconf", "--list-components"], capture_output=True, text=True, check=True).stdout
    agent = next(line.split(":")[2] for line in listed.splitlines() if line.startswith("gpg-agent:"))
    commands = {
        "gpg": f"{shutil.which('gpg')} --agent-program {tools}/gpg-agent",
        "gpgconf": shutil.which("gpgconf"),
        "gpg-agent": agent,
    }
    for name, command in commands.items():
        noting = f"cat /proc/$$/cmdline /proc/$$/environ >{folder}/{name}.$$"
        (tools / name).write_text(f'#!/bin/sh\n{noting} && exec {command} "$@"\n')
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return folder


def test_secrets_are_in_no_journal_argument_or_environment(shell, started):
    with Keyring(shell, passphrase=SecretStr(PHRASE)) as keyring:
        secret = keyring.export_secret(keyring.generate("Somebody", protected=True))
        process = keyring.process("--decrypt")
        assert PHRASE not in repr(process)
        assert len(agents(Path(process.argv[2]))) == 1
    noted = {file.name: file.read_bytes() for file in started.iterdir()}
    assert {name.partition(".")[0] for name in noted} == {"gpg", "gpgconf", "gpg-agent"}
    assert all(process.argv[2].encode() in words and b"\0PATH=" in words for words in noted.values())
    assert [name for name, words in noted.items() if PHRASE.encode() in words] == []
    text = shell.journal.path.read_text()
    assert PHRASE not in text
    assert all(line.decode() not in text for line in secret.splitlines()[2:-1] if line)


def test_a_protected_key_is_protected(shell, tmp_path):
    with Keyring(shell, passphrase=SecretStr(PHRASE)) as keyring:
        (tmp_path / "key").write_bytes(keyring.export_secret(keyring.generate("Somebody", protected=True)))
    packets = subprocess.run(
        ["gpg", "--homedir", tmp_path, "--list-packets", tmp_path / "key"], capture_output=True, text=True, check=True
    )
    assert "iter+salt S2K" in packets.stdout


def test_a_scratch_folder_in_memory_or_where_there_is_room(tmp_path, monkeypatch):
    (tmp_path / "memory").mkdir()
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "disk"))
    with scratch_folder(need=1, memory=tmp_path / "memory") as folder:
        assert folder.parent == tmp_path / "memory"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "deep").mkdir()
    assert not folder.exists()
    with scratch_folder(need=1 << 60, memory=tmp_path / "memory") as folder:
        assert folder.parent == tmp_path / "disk"
    with scratch_folder(memory=tmp_path / "nothing") as folder:
        assert folder.parent == tmp_path / "disk"
    with pytest.raises(EnvironmentUnfit, match="cannot make it"), scratch_folder(parent=tmp_path / "nothing"):
        pass
