"""A site's own commands between the phases, on the embedded cluster: what they change is seen, what they get goes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from command_line import ROOT, command, owned_left, read_report, rehearse, run

from rehearsal.waiting import wait_until

DAMAGE = r"""
set -e
psql -X "$REHEARSAL_DSN_SESSION_DB" -c "
    UPDATE label SET color = color || 'x' WHERE labelid = (SELECT max(labelid::text)::uuid FROM label)"
psql -X "$REHEARSAL_DSN_AUTH" -c "DROP FUNCTION rehearsal_extras.spell CASCADE"
f=$(find "$REHEARSAL_FILES" -type f -size +9c | sort | head -n 1)
printf X | dd of="$f" bs=1 seek=4 conv=notrunc status=none
basename "$f"
psql -XAt "$REHEARSAL_DSN_SESSION_DB" -c "SELECT max(labelid::text) FROM label"
"""


def test_a_run_killed_during_the_sites_command_leaves_passwords_to_clean_alone(tmp_path: Path) -> None:
    values, where = tmp_path / "values.yaml", tmp_path / "where"
    values.write_text("databases: {auth: {password: the-real-one-of-auth}}\n")
    site = f'grep -q the-real-one-of-auth "$PGPASSFILE" && echo "$PGPASSFILE" >{where}; sleep 60'
    words = ["run", "lose-auth", "--cluster", "local", "--runs", str(tmp_path / "runs"), "--values", str(values)]
    process = subprocess.Popen(command(*words, "--after-backup", site), cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: where.is_file() and where.read_text() != "", 60.0, "the site's command")
    finally:
        process.kill()
        process.wait(timeout=30)
    password_file = Path(where.read_text().strip())
    assert password_file.is_file()
    kept = [path for path in (tmp_path / "runs").rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in kept if b"the-real-one-of-auth" in path.read_bytes()], "what people carry away"
    cleaned = run("clean", "--runs", str(tmp_path / "runs"))
    assert cleaned.returncode == 0, cleaned.stdout
    assert not password_file.exists()


def test_what_a_site_command_damages_is_fail_and_named(tmp_path: Path) -> None:
    done = rehearse(tmp_path, "lose-everything", "--after-restore", DAMAGE)
    assert done.returncode == 1, done.stdout + done.stderr
    said = (tmp_path / "latest" / "lose-everything" / "logs" / "after-restore.out").read_text().split()
    path, label = said[-2], said[-1]
    failed = [f for f in read_report(tmp_path, "lose-everything")["findings"] if f["verdict"] == "FAIL"]
    subjects = {finding["subject"] for finding in failed}
    assert any(s.startswith("session-db: public.label [") and label in s for s in subjects)
    assert f"file-storage-0: {path[:2]}/{path}" in subjects
    assert any("auth: function rehearsal_extras.spell" in s for s in subjects)
    assert {finding["check"] for finding in failed} == {"rows", "files", "schema", "sessions"}
    again = run("judge", str(tmp_path / "latest"))
    assert again.returncode == 1
    assert label in again.stdout


def test_a_site_command_that_fails_is_inconclusive(tmp_path: Path) -> None:
    done = rehearse(tmp_path, "lose-auth", "--after-backup", "echo no tape >&2; exit 3")
    assert done.returncode == 2
    assert "ended with status 3: no tape" in done.stderr
    assert read_report(tmp_path, "lose-auth")["verdict"] == "INCONCLUSIVE"
    assert owned_left(tmp_path) == []


def test_what_a_site_does_before_the_backup_is_in_it(tmp_path: Path) -> None:
    add = 'psql -q "$REHEARSAL_DSN_AUTH" -c "CREATE TABLE made_by_a_service (k int PRIMARY KEY)"'
    done = rehearse(tmp_path, "lose-auth", "--before-backup", add)
    assert done.returncode == 0, done.stdout + done.stderr
    report = read_report(tmp_path, "lose-auth")
    names = [phase["name"] for phase in report["phases"]]
    assert names[names.index("seed") : names.index("back up")] == [
        "seed",
        "before-backup command",
        "nonce",
        "inventory before",
    ]
    assert "--before-backup" in report["command"]
    assert "made_by_a_service" in (tmp_path / "latest" / "lose-auth" / "backup" / "auth.sql").read_text()


def test_the_services_are_asked_only_for_what_they_can_write(tmp_path: Path) -> None:
    service = tmp_path / "service.yaml"
    (tmp_path / "token").write_text("a-token-of-nobody")
    service.write_text(
        "backup-admin: http://127.0.0.1:9/backup\nfile-broker-admin: http://127.0.0.1:9/files\n"
        "token-file: token\nbucket: s3://theirs\nendpoint: http://127.0.0.1:9\n"
    )
    names = ("s3-lose-session-db-incremental", "control-s3-wrong-key")
    done = rehearse(tmp_path / "runs", *names, "--backup-service", str(service))
    assert done.returncode == 2
    assert "--backup-service: the nights before the last are written by the stand-in alone" in done.stdout
    assert "--backup-service: its damage is to a set of the stand-in's" in done.stdout
    missing = rehearse(tmp_path / "runs", "s3-lose-files", "--backup-service", str(tmp_path / "none.yaml"))
    assert missing.returncode == 2
    assert "none.yaml: cannot be read: No such file" in missing.stderr


def test_services_that_nobody_reaches_make_it_inconclusive_and_the_report_names_them(tmp_path: Path) -> None:
    service = tmp_path / "service.yaml"
    (tmp_path / "token").write_text("a-token-of-nobody")
    service.write_text(
        "backup-admin: http://127.0.0.1:9/backup\nfile-broker-admin: http://127.0.0.1:9/files\n"
        "token-file: token\nbucket: s3://theirs\nendpoint: http://127.0.0.1:9\n"
    )
    done = rehearse(tmp_path / "runs", "s3-lose-files", "--backup-service", str(service))
    assert done.returncode == 2
    report = read_report(tmp_path / "runs", "s3-lose-files")
    assert report["verdict"] == "INCONCLUSIVE"
    assert report["method"] == "builtin-s3 (full, written by Chipster's own services)"
    assert any(
        "are written and sealed by Chipster's own services at http://127.0.0.1:9/backup" in n for n in report["notes"]
    )
    assert "--backup-service" in report["command"]
    assert "a-token-of-nobody" not in done.stdout + done.stderr + str(report)


def test_a_set_that_a_site_command_spoils_is_seen(tmp_path: Path) -> None:
    done = rehearse(tmp_path, "lose-auth", "--after-backup", 'truncate -s -100 "$REHEARSAL_BACKUP_SET/auth.sql"')
    assert done.returncode == 1
    findings = read_report(tmp_path, "lose-auth")["findings"]
    assert "auth.sql" in [f["subject"] for f in findings if f["check"] == "backup-set" and f["verdict"] == "FAIL"]
