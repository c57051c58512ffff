"""The command line: one module of `commands` for each command, loaded when it is asked for.

Exit status: 0 PASS (and every control caught), 1 FAIL, 2 could not tell: usage, environment, INCONCLUSIVE, a control
that was not caught, nothing ran. Errors are one message, never a traceback.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType, ModuleType
from typing import Any

from rehearsal import __version__
from rehearsal.errors import RehearsalError

_COMMANDS = {
    "run": "rehearse scenarios: all of them and the controls, or those named",
    "judge": "judge a finished run again from its files, without a cluster",
    "scenarios": "list the scenarios and controls",
    "doctor": "list every tool found or missing, with the next command to type",
    "prove": "every operator and benign change against the judge: how much it would have caught",
    "verify-backup": "verify what Chipster's built-in backup wrote, without restoring it: a bucket, a copy of one, "
    "an archive",
    "clean": "remove what dead or kept runs left behind, and nothing else",
}
_INTERRUPTED = 130


class _CommandParser(argparse.ArgumentParser):
    """Declares a command's options when they are to be read: what it needs takes up to a second to import."""

    def __init__(self, *, command: str = "", **words: Any) -> None:
        super().__init__(**words)
        self._command = command

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._command:
            module = _load(self._command)
            self._command = ""
            module.declare(self)
            self.set_defaults(act=module.act)
        return super().parse_known_args(args, namespace)


def _load(command: str) -> ModuleType:
    return import_module(f"rehearsal.commands.{command.replace('-', '_')}")


def _read_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="rehearsal",
        description="Proves on a throwaway system that a Chipster server's backups restore, or names what was lost.",
        epilog="Exit status: 0 PASS, 1 FAIL, 2 could not tell.",
    )
    parser.add_argument("--version", action="version", version=f"rehearsal {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_CommandParser)
    for command, words in _COMMANDS.items():
        commands.add_parser(command, help=words, command=command)
    return parser.parse_args(argv)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    raise KeyboardInterrupt(signal.Signals(number).name)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console command; returns the exit status."""
    signal.signal(signal.SIGTERM, _interrupt)  # a stopped CI job cleans up like Ctrl-C
    try:
        arguments = _read_arguments(argv)
        status: int = arguments.act(arguments)
    except RehearsalError as error:
        print(f"rehearsal: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        left = "; ".join(getattr(error, "__notes__", ()))
        print(f"\nrehearsal: interrupted; {left or 'what it had created was removed'}", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    return status
