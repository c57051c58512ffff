"""`--start-services` for real, on the embedded cluster: what a migration adds is listed, what is gone then is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START = """
psql -qX -v ON_ERROR_STOP=1 "$REHEARSAL_DSN_SESSION_DB" -c "
    ALTER TABLE session ADD COLUMN colour varchar(10);
    INSERT INTO flyway_schema_history (installed_rank, version, description, type, script, installed_by, execution_time,
        success) SELECT max(installed_rank) + 1, '18', 'Add colours', 'SQL', 'V18', 'postgres', 1, true
        FROM flyway_schema_history"
psql -qX -v ON_ERROR_STOP=1 "$REHEARSAL_DSN_AUTH" -c "
    UPDATE user_table SET accessed = now(); DELETE FROM user_table WHERE (auth, username) = ('jaas', 'chipster')"
"""


def read_findings(report: dict[str, Any], check: str) -> dict[str, dict[str, Any]]:
    return {finding["subject"]: finding for finding in report["findings"] if finding["check"] == check}


def test_the_two_stages_are_kept_apart(tmp_path: Path) -> None:
    words = ["run", "lose-everything", "--cluster", "local", "--runs", str(tmp_path), "--start-services", START]
    done = subprocess.run(
        [sys.executable, "-m", "rehearsal", *words],
        cwd=ROOT,
        env=os.environ | {"KUBECONFIG": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    folder = tmp_path / "latest" / "lose-everything"
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    phases = [phase["name"] for phase in report["phases"]]
    assert phases[phases.index("inventory after") :][:3] == [
        "inventory after",
        "start-services command",
        "inventory settled",
    ]
    settled = read_findings(report, "settled")
    assert settled["session-db"]["verdict"] == "PASS"
    assert settled["session-db"]["details"][:2] == [
        "migrations: 18 Add colours",
        "new schema: column public.session.colour",
    ]
    assert "migrations: 18 Add colours" in (folder / "report.md").read_text(encoding="utf-8")
    assert "migrations: 18 Add colours" in (folder / "report.html").read_text(encoding="utf-8")
    failed = [finding for finding in report["findings"] if finding["verdict"] == "FAIL"]
    assert [(one["check"], one["subject"]) for one in failed] == [
        ("settled", 'auth: public.user_table ["jaas", "chipster"]')
    ]
    assert read_findings(report, "rows")["auth"]["verdict"] == "PASS", "the first stage is judged for itself"
    assert "--start-services" in report["command"]
