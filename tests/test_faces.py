"""Both faces for real, on the embedded cluster: what a user types, what comes out, what is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import ROOT, command, owned_left, read_report, rehearse, run, servers_of

PASSWORD = "Correct-h0rse/battery"


def run_pytest(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A rehearsal that passes, with known passwords and site commands that look around."""
    runs = tmp_path_factory.mktemp("passed")
    values = runs / "values.yaml"
    databases = {key: {"password": PASSWORD + key} for key in ("auth", "sessionDb", "jobHistory")}
    values.write_text(json.dumps({"databases": databases, "tokens": {"auth": {"privateKey": "s3cret-key-material"}}}))
    look = (
        'psql -XAt "$REHEARSAL_DSN_AUTH" -c "select count(*) from user_table" && '
        'env | grep -o "^REHEARSAL_[A-Z_]*" | sort && ls "$REHEARSAL_BACKUP_SET" && test -d "$REHEARSAL_FILES"'
    )
    return runs, rehearse(runs, "lose-auth", "--values", str(values), "--after-backup", look, "--after-restore", look)


def test_a_rehearsal_passes_and_says_where_the_report_is(
    passed: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    runs, done = passed
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: 1 PASS" in done.stdout
    assert "does not prove: nothing about Kubernetes" in done.stdout
    report = done.stdout.split("report: ")[1].split()[0]
    assert Path(report).is_file()
    left = {path.name for path in (runs / "latest" / "lose-auth").iterdir()}
    assert {"journal.jsonl", "record.json", "report.json", "report.md", "report.html", "logs", "backup"} <= left
    assert "cluster" not in left


def test_the_report_holds_what_is_promised(passed: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    report = read_report(passed[0], "lose-auth")
    assert report["verdict"] == "PASS"
    assert report["cluster"] == "local"
    assert "--cluster local" in report["command"]
    assert {finding["check"] for finding in report["findings"]} >= {"loss", "nonce", "marker", "rows", "untouched"}
    assert [phase["name"] for phase in report["phases"]][:5] == [
        "deploy",
        "seed",
        "nonce",
        "inventory before",
        "back up",
    ]
    assert "postgres" in report["versions"]


def test_the_sites_commands_get_their_environment(passed: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder = passed[0] / "latest" / "lose-auth"
    for name in ("after-backup", "after-restore"):
        said = (folder / "logs" / f"{name}.out").read_text().split()
        assert int(said[0]) > 0
        assert said[1:10] == [
            "REHEARSAL_BACKUP_SET",
            "REHEARSAL_CLUSTER",
            "REHEARSAL_DSN_AUTH",
            "REHEARSAL_DSN_JOB_HISTORY",
            "REHEARSAL_DSN_SESSION_DB",
            "REHEARSAL_FILES",
            "REHEARSAL_JOURNAL",
            "REHEARSAL_RUN_DIR",
            "auth.sql",
        ]
    assert not list(folder.rglob("*pgpass*"))


def test_no_secret_is_left_in_any_file_or_output(passed: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    runs, done = passed
    (runs / "values.yaml").unlink()
    texts = [(Path("output"), (done.stdout + done.stderr).encode())]
    texts += [(path, path.read_bytes()) for path in runs.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(texts) > 20
    for secret in (PASSWORD, "s3cret-key-material"):
        assert [path for path, content in texts if secret.encode() in content] == []


def test_nothing_is_left_behind(passed: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    assert owned_left(passed[0]) == []
    assert servers_of(passed[0]) == []


def test_judging_again_from_the_files_gives_the_same_verdict(
    passed: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    again = run("judge", str(passed[0] / "latest" / "lose-auth"))
    assert (again.returncode, again.stdout.split()) == (0, ["PASS", "lose-auth"])


def test_a_control_is_caught_and_keeps_its_true_verdict(tmp_path: Path) -> None:
    done = rehearse(tmp_path, "control-large-objects-cut")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CAUGHT" in done.stdout
    report = read_report(tmp_path, "control-large-objects-cut")
    assert report["verdict"] == "FAIL"
    assert report["control"]["caught"] is True
    assert report["control"]["expects_check"] == "large-objects"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("databases:\n  auth: [1\n", "values.yaml:3"),
        ("databases:\n  auth:\n    name: session-db\n", "databases.auth.name"),
        ("deployments:\n  fileStorage:\n    storageVolumeSize: lots\n", "deployments.fileStorage.storageVolumeSize"),
    ],
    ids=["no YAML", "two of one name", "no quantity"],
)
@pytest.mark.parametrize("face", ["cli", "pytest"])
def test_malformed_values_are_one_message_and_nothing_is_started(
    tmp_path: Path, text: str, said: str, face: str
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(text)
    runs = tmp_path / "runs"
    if face == "cli":
        done = rehearse(runs, "--values", str(values))
        assert done.returncode == 2
        output = done.stderr
    else:
        done = run_pytest("scenarios", "--cluster", "local", "--runs", str(runs), "--values", str(values))
        assert done.returncode == pytest.ExitCode.USAGE_ERROR
        output = done.stdout + done.stderr
    assert said in output
    assert "Traceback" not in output
    assert not runs.exists()


def test_a_disabled_database_is_out_of_the_rehearsal_and_the_report_says_so(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("databases: {auth: {enabled: false}, jobHistory: {enabled: false}}\n")
    done = rehearse(tmp_path / "runs", "lose-auth", "lose-session-db", "--values", str(values))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT RUN      lose-auth" in done.stdout
    report = read_report(tmp_path / "runs", "lose-session-db")
    assert report["not_rehearsed"] == ["auth", "job-history"]
    assert [store["name"] for store in report["stores"]] == ["session-db", "file-storage-0"]


def test_without_claims_directories_are_emptied_and_the_report_says_so(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(
        "databases: {auth: {hostPath: /mnt/auth}, sessionDb: {enabled: false}, jobHistory: {enabled: false}}\n"
        "deployments: {fileStorage: {storageHostPath: /mnt/files}}\n"
    )
    done = rehearse(tmp_path / "runs", "lose-everything", "--values", str(values))
    assert done.returncode == 0, done.stdout + done.stderr
    report = read_report(tmp_path / "runs", "lose-everything")
    assert {"no claim protects auth: hostPath", "no claim protects file-storage-0: hostPath"} <= set(report["notes"])
    page = (tmp_path / "runs" / "latest" / "lose-everything" / "report.html").read_text(encoding="utf-8")
    assert "no claim protects auth: hostPath" in page


def test_only_what_is_disabled_is_no_success(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("databases: {auth: {enabled: false}}\n")
    done = rehearse(tmp_path / "runs", "lose-auth", "--values", str(values))
    assert done.returncode == 2
    assert "nothing ran" in done.stdout


def test_pytest_face_passes_and_prints_the_report(tmp_path: Path) -> None:
    done = run_pytest("scenarios", "--cluster", "local", "--runs", str(tmp_path), "-k", "lose-auth")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    assert "does not prove: nothing about Kubernetes" in done.stdout
    assert f"report: {tmp_path}" in done.stdout


def test_pytest_face_is_red_when_a_scenario_could_not_tell(tmp_path: Path) -> None:
    words = ("scenarios", "--cluster", "local", "--runs", str(tmp_path), "-k", "lose-auth", "--after-restore", "exit 9")
    done = run_pytest(*words)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "INCONCLUSIVE" in done.stdout
    assert "Traceback" not in done.stdout


def test_pytest_face_is_red_when_nothing_was_selected(tmp_path: Path) -> None:
    done = run_pytest("scenarios", "--cluster", "local", "--runs", str(tmp_path), "-k", "nothing-like-this")
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_pytest_face_is_red_when_only_skips_remain(tmp_path: Path) -> None:
    skipper = tmp_path / "skipper.py"
    skipper.write_text("import pytest\ndef pytest_runtest_setup(item):\n    pytest.skip('not today')\n")
    words = ("scenarios", "--cluster", "local", "--runs", str(tmp_path / "runs"), "-k", "lose-auth", "-p", "skipper")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "1 skipped" in done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A rehearsal whose site command waits after the backup, so that all is up and nothing is lost yet."""
    words = ("run", "lose-everything", "--cluster", "local", "--runs", str(tmp_path), "--after-backup", "sleep 600")
    process = subprocess.Popen(command(*words), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 120
    while "after-backup command" not in _phases(tmp_path):
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        assert time.monotonic() < deadline, "the rehearsal did not come as far as the site's command"
        time.sleep(0.05)
    yield tmp_path, process
    if process.poll() is None:
        process.kill()
    process.communicate()


def _phases(runs: Path) -> list[str]:
    journals = list(runs.glob("*/*/journal.jsonl"))
    lines = journals[0].read_text(encoding="utf-8").splitlines() if journals else []
    entries = [json.loads(line) for line in lines if line.endswith("}")]
    return [entry["phase"] for entry in entries if entry["event"] == "phase"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interruption_leaves_nothing_and_says_how_far_it_came(
    started: tuple[Path, subprocess.Popen[str]], number: signal.Signals
) -> None:
    runs, process = started
    assert owned_left(runs), "the rehearsal is up"
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in output
    assert "Traceback" not in output
    assert owned_left(runs) == []
    assert servers_of(runs) == []
    assert read_report(runs, "lose-everything")["verdict"] == "INCONCLUSIVE"


def test_after_kill_9_clean_removes_what_the_run_owned_and_nothing_else(
    started: tuple[Path, subprocess.Popen[str]],
) -> None:
    runs, process = started
    alive = run("clean", "--runs", str(runs))
    assert owned_left(runs), f"a live run is left alone: {alive.stdout}"
    process.kill()
    process.wait(timeout=30)
    left = owned_left(runs)
    assert any(name.startswith("process") for name in left)
    done = run("clean", "--runs", str(runs))
    assert done.returncode == 0, done.stdout + done.stderr
    assert owned_left(runs) == []
    assert servers_of(runs) == []
    assert (runs / "latest" / "lose-everything" / "backup" / "session-db.sql").is_file(), "evidence stays"
    judged = run("judge", str(runs / "latest" / "lose-everything"))
    assert judged.returncode == 2


def test_judging_what_is_no_run_is_one_message(tmp_path: Path) -> None:
    done = run("judge", str(tmp_path))
    assert done.returncode == 2
    assert "there is no rehearsal here" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("scenarios",), ("doctor",), ("--help",), ("run", "--help")])
def test_the_small_commands_answer(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_a_missing_server_directory_is_one_message(tmp_path: Path) -> None:
    done = rehearse(tmp_path / "runs", "lose-auth", "--pg-bin", str(tmp_path))
    assert done.returncode == 2
    assert "--pg-bin lacks postgres" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_runs_folder_that_cannot_be_made_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = rehearse(tmp_path / "file" / "runs", "lose-auth")
    assert done.returncode == 2
    assert "the run's folder cannot be made" in done.stderr


def test_a_kept_cluster_says_how_to_look_inside_and_how_to_remove_it(tmp_path: Path) -> None:
    done = rehearse(tmp_path, "lose-auth", "--keep")
    try:
        assert done.returncode == 0, done.stderr
        command_line = next(line.strip() for line in done.stdout.splitlines() if "auth_db" in line)
        asked = subprocess.run(
            ["bash", "-c", command_line],
            input="SELECT 'inside';",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "inside" in asked.stdout, asked.stderr
        assert f"remove with: rehearsal clean --runs {tmp_path}" in done.stdout
    finally:
        cleaned = run("clean", "--runs", str(tmp_path))
    assert cleaned.returncode == 0, cleaned.stdout
    assert owned_left(tmp_path) == []
