"""Packages are made with the gpg and lz4 commands, as the server makes them; each kind of damage gets its word."""

import functools
import io
import os
import resource
import threading
import tracemalloc

import lz4.frame
import pytest
from pydantic import SecretStr
from sealed_packages import DRAWS, LARGE, PHRASE, SMALL, assert_closed, lz4_of, open_one, package, sha512

from rehearsal.builtin_backup import lanes, unsealing
from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.reading import Package
from rehearsal.builtin_backup.unsealing import Unsealer
from rehearsal.errors import EnvironmentUnfit, StreamError
from rehearsal.journal import Journal, read_journal
from rehearsal.launch import Process
from rehearsal.shell import Shell

# -- what opens -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plain", [b"", b"x", SMALL, LARGE, bytes(30_000_000)], ids=len)
def test_a_compressed_file(unsealer, plain):
    opened = open_one(unsealer, "ab/ab12.lz4", lz4_of(plain))
    assert (opened.error, opened.plain_size, opened.plain_sha512) == ("", len(plain), sha512(plain))


@pytest.mark.parametrize("plain", [b"", b"x", SMALL, LARGE, bytes(30_000_000)], ids=len)
def test_a_file_sealed_to_a_key(unsealer, gpg, keyring, plain):
    opened = open_one(unsealer, "ab/ab12.lz4.gpg", gpg(lz4_of(plain)))
    assert (opened.error, opened.plain_size, opened.plain_sha512) == ("", len(plain), sha512(plain))
    assert opened.key_ids == keyring.encryption_keys()


@pytest.mark.parametrize("plain", [SMALL, LARGE], ids=len)
@pytest.mark.parametrize(
    "how", [["--symmetric"], ["--armor", "--symmetric"], ["--throw-keyids", "--recipient", "Backup", "--encrypt"]]
)
def test_files_sealed_in_other_ways(unsealer, gpg, recipient, plain, how):
    opened = open_one(unsealer, "a.lz4.gpg", gpg(lz4_of(plain), *how))
    assert (opened.error, opened.plain_sha512, opened.key_ids) == ("", sha512(plain), ())


def test_a_package_that_gpg_compressed_too_and_is_larger_than_its_share(unsealer, gpg, recipient):
    # an admin's own gpg compresses; 3 MB of letters in less than 1 MiB: the lane gives up, and it streams
    letters = bytes(DRAWS.choices(b"ab", k=3_000_000))
    stored = lz4.frame.compress(letters, compression_level=lz4.frame.COMPRESSIONLEVEL_MIN)
    sealed = gpg(stored, "-z", "9", "--recipient", recipient, "--encrypt")
    assert len(sealed) < lanes.SMALL < lanes._LARGEST_OUTPUT < len(stored)
    opened = open_one(unsealer, "a.lz4.gpg", sealed)
    assert (opened.error, opened.plain_sha512) == ("", sha512(letters))


def test_an_expired_key_opens_what_it_always_opened(shell, tmp_path):
    with Keyring(shell) as keyring:
        process = keyring.process(
            "--faked-system-time", "20200101T120000", "--recipient", keyring.generate("Old", expired=True), "--encrypt"
        )
        sealed = shell.run(process, stdin=lz4_of(SMALL)).stdout
        assert open_one(Unsealer(shell, keyring, tmp_path), "a.lz4.gpg", sealed).error == ""


def test_many_of_all_kinds_each_once(unsealer, gpg):
    plain = {f"{number}": DRAWS.randbytes(number * 37) for number in range(120)}
    plain |= {"large": LARGE, "zeroes": bytes(5_000_000)}
    packages = []
    for number, (path, data) in enumerate(plain.items()):
        kind = number % 3
        content = lz4_of(data)
        content = gpg(content) if kind == 1 else gpg(content, "--symmetric") if kind == 2 else content
        packages.append(package(path + (".lz4.gpg" if kind else ".lz4"), content))
    opened = list(unsealer.open_all(packages))
    assert {one.path.split(".")[0]: one.plain_sha512 for one in opened} == {p: sha512(d) for p, d in plain.items()}
    assert len(opened) == len(plain)


def test_the_plain_bytes_go_to_a_sink_that_is_closed(unsealer, gpg, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sinks")
    sinks = []

    def sink(item):
        if item.path.startswith("hash"):
            return None
        sinks.append((folder / item.path).open("wb"))
        return sinks[-1]

    files = {"a.lz4": SMALL, "b.lz4.gpg": SMALL, "c.lz4.gpg": LARGE, "hash.lz4": SMALL, "d.lz4": LARGE}
    packages = [package(path, gpg(lz4_of(data)) if "gpg" in path else lz4_of(data)) for path, data in files.items()]
    assert [one.error for one in unsealer.open_all(packages, sink)] == [""] * 5
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path: data for path, data in files.items() if path != "hash.lz4"
    }
    assert all(stream.closed for stream in sinks)


def test_several_threads_at_a_time(unsealer, gpg):
    data = gpg(lz4_of(SMALL))
    results = []

    def run():
        results.extend(unsealer.open_all(package(f"{number}.lz4.gpg", data) for number in range(40)))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.plain_sha512 for one in results] == [sha512(SMALL)] * 120


# -- what does not ----------------------------------------------------------------------------------------------------


@functools.cache
def frame_of(size):
    return lz4_of({2000: SMALL, 2_500_000: LARGE}[size])


@pytest.mark.parametrize("sealed", [False, True], ids=["lz4", "gpg"])
@pytest.mark.parametrize("size", [2000, 2_500_000])
@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda frame: frame[: len(frame) // 2], "cut: the lz4 frame"),
        (lambda frame: frame[:-1], "cut: the lz4 frame"),
        (lambda frame: frame[:3], "cut: the lz4 frame"),
        (lambda frame: frame + b"garbage", "bytes behind the end of the lz4 frame"),
        (lambda frame: frame + frame, "bytes behind the end of the lz4 frame"),
        (lambda frame: b"not lz4 at all" + frame, "not lz4"),
        (lambda frame: frame[:500] + b"!!" + frame[502:], "damaged lz4"),
        (lambda frame: frame[:-2] + b"!!", "damaged lz4"),
    ],
    ids=["half", "last byte", "head", "garbage", "twice", "text", "flipped", "checksum"],
)
def test_a_broken_frame(unsealer, gpg, sealed, size, spoil, word):
    data = spoil(frame_of(size))
    opened = open_one(unsealer, "a.lz4.gpg" if sealed else "a.lz4", gpg(data) if sealed else data)
    assert_closed(opened, word)


@pytest.mark.parametrize("path", ["a.lz4", "a.lz4.gpg"])
def test_nothing_at_all(unsealer, path):
    assert_closed(open_one(unsealer, path, b""), "empty: ")


def test_gpg_of_nothing(unsealer, gpg):
    assert_closed(open_one(unsealer, "a.lz4.gpg", gpg(b"")), "empty inside: ")


# of a message that came out of a pipe, gpg takes what is behind it for a part of it
BEHIND = ("bytes behind the end of the gpg message", "damaged: gpg's integrity check")


def flip(data, at):
    return data[:at] + bytes((data[at] ^ 0xFF,)) + data[at + 1 :]


@pytest.mark.parametrize("size", [2000, 2_500_000])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data[: len(data) * 3 // 4], ("cut: the gpg message", "damaged: gpg's integrity check")),
        (lambda data: data[:-1], ("cut: the gpg message", "damaged: ")),
        (lambda data: data[:60], ("not a gpg message, or cut",)),
        (lambda data: flip(data, len(data) - 300), ("damaged: gpg's integrity check",)),
        (lambda data: flip(data, 60), ("damaged: the session key",)),
        (lambda data: flip(data, 0), ("not a gpg message",)),
        (lambda data: data + b"garbage", BEHIND),
        (lambda data: data + data, BEHIND),
        (lambda data: data + bytes(10_000), BEHIND),
        (lambda data: b"text" * (len(data) // 4), ("not a gpg message",)),
    ],
    ids=["quarter", "last byte", "head", "flipped", "key", "start", "garbage", "twice", "zeroes", "text"],
)
def test_a_broken_message(unsealer, gpg, size, spoil, words):
    assert_closed(open_one(unsealer, "a.lz4.gpg", spoil(gpg(frame_of(size)))), *words)


@pytest.mark.parametrize("size", [2000, 2_500_000])
def test_a_message_that_is_not_encrypted(unsealer, gpg, size):
    assert_closed(open_one(unsealer, "a.lz4.gpg", gpg(frame_of(size), "--store")), "not encrypted")


@pytest.mark.parametrize("size", [2000, 2_500_000])
def test_a_plaintext_put_behind_a_message(unsealer, gpg, size):
    data = gpg(frame_of(size)) + gpg(b"injected", "--store")
    assert_closed(open_one(unsealer, "a.lz4.gpg", data), *BEHIND)


@pytest.mark.parametrize("size", [2000, 2_500_000])
def test_a_message_without_integrity_protection(unsealer, gpg, recipient, size):
    data = gpg(frame_of(size), "--rfc2440", "--disable-mdc", "--cipher-algo", "3DES", "-r", recipient, "--encrypt")
    assert_closed(open_one(unsealer, "a.lz4.gpg", data), "without integrity protection")


@pytest.mark.parametrize("size", [2000, 2_500_000])
def test_another_key(shell, unsealer, size):
    with Keyring(shell) as other:
        process = other.process("--recipient", other.generate("Other"), "--encrypt")
        data = shell.run(process, stdin=frame_of(size)).stdout
        ids = other.encryption_keys()
    opened = open_one(unsealer, "a.lz4.gpg", data)
    assert_closed(opened, "no secret key")
    assert opened.key_ids == ids


@pytest.mark.parametrize("size", [2000, 2_500_000])
def test_another_passphrase(shell, unsealer, size):
    with Keyring(shell, passphrase=SecretStr("another one")) as other:
        data = shell.run(other.process("--s2k-count", "65536", "--symmetric"), stdin=frame_of(size)).stdout
    assert_closed(open_one(unsealer, "a.lz4.gpg", data), "wrong passphrase")


@pytest.mark.parametrize("size", [2000, 2_500_000])
@pytest.mark.parametrize("armour", [[], ["--armor"]])
def test_no_passphrase(shell, gpg, tmp_path, size, armour):
    data = gpg(frame_of(size), *armour, "--symmetric")
    with Keyring(shell) as empty:
        assert_closed(open_one(Unsealer(shell, empty, tmp_path), "a.lz4.gpg", data), "no passphrase was given")


@pytest.mark.parametrize("how", [["--recipient", "Backup", "--encrypt"], ["--symmetric"]])
def test_no_keyring(shell, gpg, keyring, recipient, tmp_path, how):
    unsealer = Unsealer(shell, None, tmp_path)
    opened = open_one(unsealer, "a.lz4.gpg", gpg(lz4_of(SMALL), *how))
    assert_closed(opened, "no secret key", "no passphrase was given")
    assert opened.key_ids == (keyring.encryption_keys() if "--encrypt" in how else ())
    assert open_one(unsealer, "a.lz4", lz4_of(SMALL)).error == ""


@pytest.mark.parametrize(
    ("phrase", "word"),
    [(None, "the secret key wants its passphrase"), ("wrong one", "wrong passphrase"), (PHRASE, "")],
)
def test_a_protected_key(shell, tmp_path, phrase, word):
    with Keyring(shell, passphrase=SecretStr(PHRASE)) as keyring:
        fingerprint = keyring.generate("Protected", protected=True)
        (tmp_path / "key").write_bytes(keyring.export_secret(fingerprint))
        sealed = [
            shell.run(keyring.process("-r", fingerprint, "--encrypt"), stdin=frame_of(size)).stdout
            for size in (2000, 2_500_000)
        ]
    (tmp_path / "scratch").mkdir()
    secret = None if phrase is None else SecretStr(phrase)
    with Keyring(shell, key_files=[tmp_path / "key"], passphrase=secret) as keyring:
        unsealer = Unsealer(shell, keyring, tmp_path / "scratch")
        for data in sealed * 2:
            assert open_one(unsealer, "a.lz4.gpg", data).error == word


def test_a_broken_package_spoils_no_other(unsealer, gpg, monkeypatch):
    good = gpg(lz4_of(SMALL))
    bad = [good[:700], flip(good, 1500), b"", b"text", gpg(b""), good + b"x", gpg(lz4_of(SMALL), "--store")]
    packages = [package(f"{number}.lz4.gpg", bad[number % 7] if number % 3 else good) for number in range(60)]
    opened = {one.path: one.error for one in unsealer.open_all(packages)}
    assert [number for number in range(60) if not opened[f"{number}.lz4.gpg"]] == list(range(0, 60, 3))


def test_a_source_that_is_cut(unsealer, gpg):
    def cut(data):
        def chunks():
            yield data[: len(data) // 2]
            raise StreamError("the tar stream is cut short at byte 7")

        return chunks

    for path, plain in (("a.lz4", SMALL), ("b.lz4.gpg", SMALL), ("c.lz4.gpg", LARGE)):
        data = lz4_of(plain) if path == "a.lz4" else gpg(lz4_of(plain))
        following = package("next.lz4.gpg", gpg(lz4_of(SMALL)))
        opened = {one.path: one for one in unsealer.open_all([Package(path, len(data), cut(data)), following])}
        assert opened[path].error == "cut: the tar stream is cut short at byte 7"
        assert opened[path].plain_sha512 == ""
        assert opened["next.lz4.gpg"].error == ""


def test_fewer_bytes_than_the_package_has_are_a_cut(unsealer):
    data = lz4_of(SMALL)
    (opened,) = unsealer.open_all([package("a.lz4", data, size=len(data) + 1)])
    assert opened.error == f"cut: {len(data)} of {len(data) + 1} bytes"


def test_a_place_that_fails_is_raised(unsealer):
    def failing():
        yield b"x" * 10
        raise EnvironmentUnfit("access denied")

    for path, size in (("a.lz4", 100), ("a.lz4.gpg", 100), ("a.lz4.gpg", 5_000_000)):
        with pytest.raises(EnvironmentUnfit, match="access denied"):
            list(unsealer.open_all([Package(path, size, failing)]))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
@pytest.mark.parametrize("plain", [SMALL, LARGE], ids=len)
@pytest.mark.parametrize("path", ["a.lz4", "a.lz4.gpg"])
def test_a_full_disk_is_no_fault_of_the_package(unsealer, gpg, path, plain):
    data = lz4_of(plain) if path == "a.lz4" else gpg(lz4_of(plain))
    with pytest.raises(EnvironmentUnfit, match="/dev/full: cannot write it: No space left"):
        list(unsealer.open_all([package(path, data)], lambda _: open("/dev/full", "wb", buffering=0)))  # noqa: PTH123, SIM115


# -- bombs ------------------------------------------------------------------------------------------------------------


def test_more_than_is_listed_is_stopped(unsealer, gpg):
    for path, data in (("a.lz4", lz4_of(LARGE)), ("b.lz4.gpg", gpg(lz4_of(LARGE))), ("c.lz4.gpg", gpg(lz4_of(SMALL)))):
        assert_closed(open_one(unsealer, path, data, limit=lambda _: 1999), "more than 1999 bytes")
    assert open_one(unsealer, "a.lz4", lz4_of(SMALL), limit=lambda _: 2000).error == ""


def test_nothing_beyond_what_is_listed_reaches_a_sink(unsealer):
    class Count(io.RawIOBase):
        size = 0

        def write(self, chunk):
            self.size += len(chunk)
            return len(chunk)

    sink = Count()
    open_one(unsealer, "a.lz4", lz4_of(bytes(100_000_000)), sink=lambda _: sink, limit=lambda _: 3_000_000)
    assert sink.size <= 3_000_000


def test_a_bomb_of_zeroes_takes_no_memory(unsealer):
    bomb = lz4_of(bytes(250_000_000))
    tracemalloc.start()
    opened = open_one(unsealer, "a.lz4", bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (opened.error, opened.plain_size) == ("", 250_000_000)
    assert peak < 8 << 20


def test_a_bomb_inside_gpg_is_stopped_and_takes_no_room(unsealer, gpg, recipient, tmp_path, monkeypatch):
    # 400 MB of one letter: 1.6 MB of lz4, 2 KB when gpg compresses it again
    sealed = gpg(lz4_of(b"a" * 400_000_000), "-z", "9", "--recipient", recipient, "--encrypt")
    assert len(sealed) < 100_000
    largest = []
    explain = unsealing._Call.answer

    def watch(call, answer):
        largest.append(max(path.stat().st_size for path in tmp_path.glob("*/*")))
        return explain(call, answer)

    monkeypatch.setattr(unsealing._Call, "answer", watch)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    opened = open_one(unsealer, "a.lz4.gpg", sealed)
    assert_closed(opened, "more than ")
    assert largest[0] <= lanes._LARGEST_OUTPUT
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


# -- how it is done ---------------------------------------------------------------------------------------------------


def test_hundreds_of_packages_are_a_handful_of_journal_lines(keyring, gpg, tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    small, large, good = gpg(lz4_of(SMALL)), gpg(lz4_of(LARGE)), 0
    packages = [
        package(f"{n}.lz4.gpg", large if n % 20 == 0 else small[: 2000 if n % 10 == 3 else None]) for n in range(200)
    ]
    (tmp_path / "scratch").mkdir()
    for opened in Unsealer(Shell(journal), keyring, tmp_path / "scratch").open_all(packages):
        good += not opened.error
    journal.close()
    assert good == 180
    lines = [line for line in read_journal(journal.path) if line["event"].startswith("command")]
    assert len(lines) <= (os.cpu_count() or 1) + 2  # gpgs that stay; the first of those that end, before and after
    assert PHRASE not in journal.path.read_text()
    commands = {line["command"].split("--passphrase-fd")[1] for line in lines if line["event"] == "command-started"}
    assert commands == {
        " 3 --status-fd 1 --yes --multifile --decrypt 3< SECRET-FILE",
        " 3 --status-fd 2 --decrypt 3< SECRET-FILE",
    }


def test_gpg_is_not_asked_where_no_key_fits(shell, gpg, tmp_path):
    data = [gpg(lz4_of(SMALL)), gpg(lz4_of(SMALL), "--symmetric"), gpg(lz4_of(LARGE))]
    with Keyring(shell) as empty:
        empty.secret_ids()
        before = len(read_journal(shell.journal.path))
        opened = list(Unsealer(shell, empty, tmp_path).open_all(package(f"{n}.lz4.gpg", d) for n, d in enumerate(data)))
        assert len(read_journal(shell.journal.path)) == before
    assert all(one.error for one in opened)


IN_TROUBLE = (
    "head -c 70000 >/dev/null; printf '[GNUPG:] BEGIN_DECRYPTION\\n[GNUPG:] ERROR pkdecrypt_failed 67108902\\n' >&2"
)
"""What gpg says when its agent fails on the session key, having read some of the package."""


@pytest.mark.parametrize(("failures", "error"), [(1, ""), (2, ""), (3, unsealing.gpg_words.DAMAGED_KEY)])
def test_gpg_is_asked_again_before_a_package_is_called_damaged(unsealer, gpg, recipient, monkeypatch, failures, error):
    """Seen in a proof: under load gpg-agent failed on a sound session key, and a good backup was called damaged."""
    sealed = gpg(lz4_of(LARGE), "--recipient", recipient, "--encrypt")
    process, left = Keyring.process, [failures]

    def fail_first(keyring, *arguments, **options):
        left[0] -= "--decrypt" in arguments
        if "--decrypt" in arguments and left[0] >= 0:
            return Process(("sh", "-c", IN_TROUBLE))
        return process(keyring, *arguments, **options)

    monkeypatch.setattr(Keyring, "process", fail_first)
    opened = open_one(unsealer, "a.lz4.gpg", sealed)
    assert (opened.error, opened.sha512) == (error, sha512(sealed))
    assert opened.plain_sha512 == ("" if error else sha512(LARGE))
    told = [line["message"] for line in read_journal(unsealer._shell.journal.path) if line["event"] == "note"]
    assert told[-failures:] == ["gpg on the session key of a.lz4.gpg: ERROR pkdecrypt_failed 67108902"] * failures
