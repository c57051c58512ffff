"""Both ends of a stream through `kubectl exec`: what the pod counted and hashed, told after the command's own output.

kubectl can end with status 0 after a stream was cut (kubernetes/kubernetes#73056), so its word is not enough. The
manual's own command runs inside the pod between two meters (`pod_meter.py`, or bash); when it has ended, one line on
stderr tells its status and the length and SHA-256 of what went in and out. The same line lies in a file of the pod for
when stderr was cut too. Standard output is never touched, memory is flat, and no line means that the stream did not
end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.clusters import pod_meter
from rehearsal.roles import ByteSource, Transfer

END_FILE = "/tmp/.rehearsal-stream"  # noqa: S108 - a path in the pod

# Where the pod has no Python: coreutils, at twice the cost a gigabyte (5.3 against 2.6 s of a processor, measured). The
# command substitution ends only when every meter has let go of its pipe, so nothing is told too early.
_TOOLS = """
token=$1 mode=$2 file=$3; shift 3
exec 5>&1
told=$(
  exec 4>&1
  meter() { tee $2 >(h=$(sha256sum); echo "$1-sha256=${h%% *}" >&4) >(echo "$1-size=$(wc -c)" >&4); }
  feed() {
    case $mode in
      in) meter in -p | "$@" 4>&- 5>&- ;;
      in:*) head -c "${mode#in:}" | meter in -p | "$@" 4>&- 5>&- ;;
      *) "$@" 4>&- 5>&- ;;
    esac
  }
  { feed "$@"; echo "status=${PIPESTATUS[0]}" >&4; } | meter out >&5 5>&-
)
told="$token ${told//$'\\n'/ }"
echo "$told" 2>/dev/null >"$file"
printf '\\nrehearsal-stream %s\\n' "$told" >&2
status=${told##*status=}
exit "${status%%[!0-9]*}"
"""
_CHOOSE = """
program=$1; shift
command -v python3 >/dev/null && exec python3 -I -S -c "$program" "$@"
token=$1 mode=$2 file=$3 tools=$4; shift 4
exec bash -c "$tools" rehearsal-stream "$token" "$mode" "$file" "$@"
"""
_PYTHON = Path(pod_meter.__file__).read_text(encoding="utf-8")
_FIGURE = re.compile(r"(status|in-size|in-sha256|out-size|out-sha256)=([0-9a-f]+)")


@dataclass(frozen=True)
class StreamEnd:
    """What the pod says of a command that ended: its status, and what passed on the pod's side."""

    status: int
    received: Transfer | None
    """Standard input as it arrived in the pod; None where there was none."""
    sent: Transfer
    """Standard output as it left the command."""


def meter_command(argv: Sequence[str], token: str, stdin: ByteSource | None) -> tuple[str, ...]:
    """The command between its meters, for a pod that has bash and coreutils, and python3 if it can.

    Of bytes and files their number is told to the meter, which then waits for no end of file.
    """
    mode = "none" if stdin is None else "in"
    if isinstance(stdin, bytes):
        mode = f"in:{len(stdin)}"
    elif isinstance(stdin, Path) and stdin.is_file():
        mode = f"in:{stdin.stat().st_size}"
    return ("bash", "-c", _CHOOSE, "rehearsal-stream", _PYTHON, token, mode, END_FILE, _TOOLS, *argv)


def take_end(stderr: bytes, token: str) -> tuple[StreamEnd | None, bytes]:
    """The pod's line, and what the command itself had said on stderr; None where there is no whole line."""
    lead = f"\nrehearsal-stream {token} ".encode()
    said, found, rest = stderr.rpartition(lead)
    if not found or b"\n" not in rest:
        return None, stderr
    line, _, after = rest.partition(b"\n")
    return _read_figures(line.decode("ascii", "replace")), said + after


def read_end(content: str, token: str) -> StreamEnd | None:
    """The same from the pod's file; None where it tells of another command."""
    found, _, line = content.strip().partition(" ")
    return _read_figures(line) if found == token else None


def compare_ends(end: StreamEnd, sent: Transfer | None, received: Transfer) -> tuple[str, ...]:
    """What differs between the pod's figures and ours, a sentence each.

    Args:
        sent: our side of standard input; None where there was none.
        received: our side of standard output.
    """
    pairs = [("standard output", end.sent, "left the command", received, "arrived here")]
    if sent is not None:
        pairs.append(("standard input", end.received or Transfer(0, ""), "arrived in the pod", sent, "were sent"))
    return tuple(
        f"{what}: {theirs.size} bytes {did} (SHA-256 {theirs.sha256 or 'unknown'}), "
        f"{ours.size} bytes {we} (SHA-256 {ours.sha256})"
        for what, theirs, did, ours, we in pairs
        if theirs != ours
    )


def _read_figures(line: str) -> StreamEnd | None:
    figures: Mapping[str, str] = dict(_FIGURE.findall(line))
    if "status" not in figures or "out-size" not in figures or "out-sha256" not in figures:
        return None
    received = None
    if "in-size" in figures and "in-sha256" in figures:
        received = Transfer(int(figures["in-size"]), figures["in-sha256"])
    return StreamEnd(int(figures["status"]), received, Transfer(int(figures["out-size"]), figures["out-sha256"]))
