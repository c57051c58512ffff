"""Where the console command and `python -m rehearsal` come in.

Importing takes a moment; Ctrl-C in it ends as quietly as later.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; returns the exit status."""
    try:
        from rehearsal.cli import main as run_command_line
    except KeyboardInterrupt:
        return 130
    return run_command_line()


if __name__ == "__main__":
    sys.exit(main())
