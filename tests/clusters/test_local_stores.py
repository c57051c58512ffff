"""Stores on the local cluster: claims, copies into and out of pods, and the guard before anything is destroyed."""

import os
import stat

import pytest
from local_system import (
    FILES_CLAIM,
    FILES_ONLY,
    ONE,
    SESSION,
    SESSION_CLAIM,
    SESSION_SET,
    database,
    psql,
    run,
    server_pid,
)

from rehearsal.deployment import Deployment
from rehearsal.errors import EnvironmentUnfit, Refused, RehearsalError
from rehearsal.processes import read_start_time

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
