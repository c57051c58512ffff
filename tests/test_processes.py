"""Finding a run's processes by their tag, also one that is between fork and exec."""

import os
import signal
import sys
from pathlib import Path

import pytest

from rehearsal.processes import OWNER, find_tagged, identify, tag

LATE = """
import os, sys, time
time.sleep(0.2)
os.execve("/bin/sleep", ["sleep", "60"], {sys.argv[1]: sys.argv[2]})
"""


@pytest.fixture
def late_child(tmp_path):
    """A process that gets its tag 0.2 s after it was started."""
    wanted = os.path.realpath(tmp_path / "journal.jsonl")
    pid = os.posix_spawn(sys.executable, [sys.executable, "-I", "-S", "-c", LATE, OWNER, wanted], {"LANG": "C"})
    yield pid, wanted
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_process_that_is_not_through_its_exec_is_found_all_the_same(late_child):
    pid, journal = late_child
    assert OWNER.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    assert find_tagged()[journal] == [identify(pid)]


def test_a_process_is_told_once(tmp_path):
    journal = tmp_path / "journal.jsonl"
    pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], tag(journal))
    try:
        assert find_tagged()[os.path.realpath(journal)] == [identify(pid)]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
