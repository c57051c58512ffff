"""What starts only when it is asked for: a command's help is there at once, and old runs are judged without clients."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from rehearsal.cli import main

COMMANDS = ("run", "judge", "scenarios", "doctor", "prove", "verify-backup", "clean")
CLIENTS = ("boto3", "kubernetes", "psycopg", "testcontainers")
LOADED = """
import sys
from rehearsal.cli import main
try:
    main(sys.argv[1:])
finally:
    print(*sorted(set({names!r}) & set(sys.modules)), file=sys.stderr)
"""


def load(argv: Sequence[str], names: Sequence[str]) -> list[str]:
    """Which of these modules a command line has imported."""
    code = LOADED.format(names=tuple(names))
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True, timeout=60)
    return done.stderr.split()


@pytest.mark.parametrize("argv", [["--help"], ["--version"]])
def test_the_commands_help_loads_no_command(argv: list[str]) -> None:
    assert load(argv, (*CLIENTS, "rehearsal.run", "rehearsal.proof.proving")) == []


@pytest.mark.parametrize("argv", [["judge", "--help"], ["clean", "--help"]])
def test_a_command_without_a_cluster_loads_no_client(argv: list[str]) -> None:
    assert load(argv, CLIENTS) == []


def test_a_rehearsal_without_a_bucket_loads_no_client_for_one() -> None:
    assert load(["run", "--help"], ("boto3",)) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: rehearsal {command}" in capsys.readouterr().out


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert [command for command in COMMANDS if f"\n    {command}" not in told] == []


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("", "what it had created was removed"),
        ("something may be left: rehearsal clean", "something may be left: rehearsal clean"),
    ],
)
def test_an_interruption_says_what_became_of_what_it_had_created(
    note: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: object) -> int:
        error = KeyboardInterrupt()
        if note:
            error.add_note(note)
        raise error

    monkeypatch.setattr("rehearsal.commands.scenarios.act", interrupt)
    assert main(["scenarios"]) == 130
    assert capsys.readouterr().err == f"\nrehearsal: interrupted; {said}\n"
