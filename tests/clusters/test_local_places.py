import os

import pytest

from rehearsal.clusters import local_places
from rehearsal.clusters.local_places import (
    PodUsers,
    check_marker,
    choose_root,
    choose_socket_folder,
    is_reachable,
    make_owned,
    read_nonce,
    remove_tree,
)
from rehearsal.errors import EnvironmentUnfit, Refused
from rehearsal.journal import Journal, read_journal

NOBODY = (65534, 65534)


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "journal.jsonl")
    yield opened
    opened.close()


def test_a_folder_is_reachable_only_through_open_folders(tmp_path):
    ours = (os.geteuid(), os.getegid())
    for folder in (tmp_path / "a", tmp_path / "a/b"):
        folder.mkdir(mode=0o700)
    assert is_reachable(tmp_path / "a/b", None)
    assert is_reachable(tmp_path / "a/b", ours)
    assert not is_reachable(tmp_path / "a/b", NOBODY)
    assert is_reachable(tmp_path.parents[-1], NOBODY)


def test_an_unreachable_root_is_moved_and_the_reason_written_down(tmp_path, journal, monkeypatch):
    monkeypatch.delenv("TMPDIR", raising=False)
    (tmp_path / "private").mkdir(mode=0o700)
    chosen = choose_root(journal, tmp_path / "private" / "cluster", PodUsers(NOBODY, NOBODY))
    assert str(chosen).startswith("/var/tmp/rehearsal-")
    assert not chosen.exists()
    assert "cannot reach" in read_journal(journal.path)[0]["message"]
    assert choose_root(journal, tmp_path / "x", PodUsers(None, None)) == tmp_path / "x"


def test_no_reachable_place_is_an_error(tmp_path, journal, monkeypatch):
    monkeypatch.setattr(local_places, "is_reachable", lambda *_: False)
    with pytest.raises(EnvironmentUnfit, match="--runs DIR"):
        choose_root(journal, tmp_path / "x", PodUsers(NOBODY, NOBODY))


def test_the_sockets_path_is_short_enough(monkeypatch, tmp_path):
    assert choose_socket_folder() != choose_socket_folder()
    monkeypatch.setattr(local_places.tempfile, "gettempdir", lambda: "/tmp/" + "long" * 30)
    assert len(f"{choose_socket_folder()}/99/.s.PGSQL.65535") < 107


def test_an_owned_folder_is_journalled_and_marked(tmp_path, journal):
    folder = make_owned(journal, tmp_path / "a" / "b", "nonce")
    line = read_journal(journal.path)[0]
    assert (line["event"], line["kind"], line["name"], line["nonce"]) == ("owned", "directory", str(folder), "nonce")
    assert read_nonce(folder) == "nonce"
    check_marker(folder, "nonce", "removing")
    with pytest.raises(Refused, match="removing refused: its marker names another run"):
        check_marker(folder, "other", "removing")
    (folder / "marker.json").unlink()
    with pytest.raises(Refused, match="there is no marker"):
        check_marker(folder, "nonce", "removing")


@pytest.mark.parametrize("kind", ["full", "link"])
def test_a_folder_that_is_not_ours_is_neither_taken_nor_journalled(tmp_path, journal, kind):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").write_text("keep")
    wanted = tmp_path / "theirs"
    if kind == "link":
        (tmp_path / "empty").mkdir()
        wanted = tmp_path / "link"
        wanted.symlink_to(tmp_path / "empty")
    with pytest.raises(EnvironmentUnfit, match="not empty"):
        make_owned(journal, wanted, "nonce")
    assert read_journal(journal.path) == []


def test_a_tree_is_removed_without_following_links(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "f").write_text("keep")
    tree = tmp_path / "tree"
    (tree / "closed" / "deep").mkdir(parents=True)
    (tree / "closed" / "deep" / "f").write_text("x")
    (tree / "closed" / "out").symlink_to(tmp_path / "outside")
    (tree / "closed" / "deep").chmod(0)
    (tree / "closed").chmod(0o500)
    remove_tree(tree)
    assert not tree.exists()
    assert (tmp_path / "outside" / "f").read_text() == "keep"
    remove_tree(tree)
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(Refused):
        remove_tree(tmp_path / "link")
    assert (tmp_path / "outside" / "f").read_text() == "keep"


def test_what_a_tree_lies_in_keeps_its_mode_when_it_cannot_be_removed(tmp_path, monkeypatch):
    """Owned folders lie directly in /dev/shm and /tmp, and root may change those, too."""
    everybodys = tmp_path / "shm"
    tree = everybodys / "rehearsal-0123"
    tree.mkdir(parents=True)
    everybodys.chmod(0o1777)
    remove = os.rmdir

    def refuse(path, *arguments, **options):
        if os.fspath(path).endswith("rehearsal-0123"):
            raise OSError(39, "Directory not empty")
        remove(path, *arguments, **options)

    monkeypatch.setattr(os, "rmdir", refuse)
    with pytest.raises(EnvironmentUnfit, match="cannot remove it"):
        remove_tree(tree)
    assert everybodys.stat().st_mode & 0o7777 == 0o1777
