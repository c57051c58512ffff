import hashlib
import os
import random
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import SecretStr

from rehearsal.builtin_backup import lanes, sealing
from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.sealing import Sealer
from rehearsal.errors import EnvironmentUnfit, RehearsalError
from rehearsal.journal import Journal, read_journal
from rehearsal.shell import Shell

PHRASE = "correct horse battery"
DRAWS = random.Random(1)  # noqa: S311 - no secret
FILES = {f"ab/{number}": DRAWS.randbytes(number * 101) for number in range(30)}
FILES |= {"large": DRAWS.randbytes(3_000_000), "zeroes": bytes(10_000_000), "last": b"last"}
KINDS = ["none", "public-key", "passphrase"]


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    journal = Journal(tmp_path_factory.mktemp("sealing") / "journal.jsonl")
    yield Shell(journal)
    journal.close()


@pytest.fixture(scope="module")
def keyring(shell):
    with Keyring(shell, passphrase=SecretStr(PHRASE)) as keyring:
        keyring.generate("Backup")
        yield keyring


@pytest.fixture
def make(shell, keyring, tmp_path):
    yield lambda kind, recipient="Backup", **options: Sealer(
        shell, keyring, kind, recipient, scratch=tmp_path, **options
    )
    assert os.listdir(tmp_path) == []


def pieces(data, size=70_000):
    edges = [*range(0, len(data), size), len(data)]
    return (data[start:end] for start, end in pairwise(edges))


def sha512(data):
    return hashlib.sha512(data).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_packages_in_order_with_their_figures_as_the_real_commands_open_them(make, shell, keyring, kind):
    """Opened by `gpg --decrypt F | lz4 -d`, the manual's own loop, not by ourselves."""
    sealer = make(kind)
    assert sealer.suffix == (".lz4" if kind == "none" else ".lz4.gpg")
    paths = []
    for sealed in sealer.seal((path, pieces(data)) for path, data in FILES.items()):
        paths.append(sealed.path)
        plain = FILES[sealed.path]
        assert (sealed.size, sealed.sha512) == (len(plain), sha512(plain))
        package = b"".join(sealed.chunks())
        assert package == b"".join(sealed.chunks())
        assert sealed.package_path == sealed.path + sealer.suffix
        assert (sealed.package_size, sealed.package_sha512) == (len(package), sha512(package))
        if kind != "none":
            package = shell.run(keyring.process("--decrypt"), stdin=package).stdout
        opened = subprocess.run(["lz4", "-d", "-q", "-c"], input=package, capture_output=True, check=True)
        assert opened.stdout == plain
    assert paths == list(FILES)


def test_a_frame_is_the_one_that_the_command_makes(make):
    walk = make("none").seal([("a", [FILES["large"]])])
    frame = b"".join(next(walk).chunks())
    walk.close()
    command = subprocess.run(["lz4", "-q", "-c"], input=FILES["large"], capture_output=True, check=True).stdout
    assert frame[:7] == command[:7]  # magic, flags, block size
    assert frame[-4:] == command[-4:]  # checksum of the content


@pytest.mark.parametrize(
    ("size", "small"), [(1000, True), (lanes.SMALL - 100, True), (lanes.SMALL + 1, False)], ids=str
)
def test_only_large_ones_get_a_process_of_their_own(make, shell, size, small):
    before = len(read_journal(shell.journal.path))
    (sealed,) = make("public-key").seal([("a", [DRAWS.randbytes(size)])])
    assert sealed.package_size > size
    commands = [line.get("command", "") for line in read_journal(shell.journal.path)[before:]]
    assert any("--multifile" in command for command in commands) == small


def test_hundreds_of_files_are_a_handful_of_journal_lines(make, shell):
    before = len(read_journal(shell.journal.path))
    for kind in ("public-key", "passphrase"):
        assert len(list(make(kind, rounds=1024).seal((f"{n}", [b"x"]) for n in range(50)))) == 50
    written = [line for line in read_journal(shell.journal.path)[before:] if line["event"].startswith("command")]
    assert len(written) == 3  # a gpg that stays; the first of those that end, before and after
    assert PHRASE not in shell.journal.path.read_text()


def test_a_key_that_only_signs_is_refused(make, keyring):
    signer = keyring.generate("Signs only", sign_only=True)
    for data in (b"small", FILES["large"]):
        with pytest.raises(RehearsalError, match="it can only sign: an encryption subkey is needed"):
            list(make("public-key", signer).seal([("a", [data])]))


def test_an_unknown_key_is_refused(make):
    with pytest.raises(RehearsalError, match="for nobody@here: there is no such key"):
        list(make("public-key", "nobody@here").seal([("a", [b"x"])]))


def test_an_expired_key_seals_nothing_now_and_did_while_it_was_good(make, keyring):
    old = keyring.generate("Old", expired=True)
    for data in (b"small", FILES["large"]):
        with pytest.raises(RehearsalError, match="expired key"):
            list(make("public-key", old).seal([("a", [data])]))
        assert len(list(make("public-key", old, at="20200101T120000").seal([("a", [data])]))) == 1


def test_no_passphrase_is_refused(shell, tmp_path):
    with Keyring(shell) as empty, pytest.raises(RehearsalError, match="none was given"):
        Sealer(shell, empty, "passphrase", scratch=tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_source_that_fails_is_raised_and_leaves_nothing(make, kind, size):
    def failing():
        yield DRAWS.randbytes(size)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(make(kind).seal([("a", [b"x"]), ("b", failing())]))


@pytest.mark.parametrize("kind", KINDS)
def test_leaving_early_leaves_no_process_and_no_file(make, shell, kind):
    before = len(read_journal(shell.journal.path))
    walk = make(kind).seal((f"{number}", [b"x"]) for number in range(100))
    next(walk)
    walk.close()
    events = [line["event"] for line in read_journal(shell.journal.path)[before:]]
    assert events.count("owned") == events.count("gone")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_full_scratch_folder_is_named(make, monkeypatch, kind, size):
    opening = Path.open

    def open_full(path, mode="r", **options):
        full = path.name.endswith((".alone", ".lz4"))
        return opening(Path("/dev/full") if full else path, mode.replace("x", "w") if full else mode, **options)

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(EnvironmentUnfit, match="cannot write it: No space left"):
        list(make(kind).seal([("a", [b"x" * size])]))


def test_packages_wait_for_their_turn_only_in_small_numbers(make, tmp_path):
    """However many files come, only a few are read ahead."""
    read = []

    def files():
        for number in range(300):
            read.append(number)
            yield f"{number}", [b"x" * 1000]

    for done, sealed in enumerate(make("public-key").seal(files())):
        assert sealed.path == str(done)
        assert len(read) - done <= sealing._UNYIELDED + 1
        assert len(list(Path(tmp_path).glob("*/*"))) < 20
