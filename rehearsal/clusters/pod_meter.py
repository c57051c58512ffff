"""Runs in the pod, around one command: copies, counts, hashes what goes in and out, and tells it on stderr at the end.

    python3 -I -S -c THIS TOKEN none|in|in:BYTES END_FILE FALLBACK COMMAND ARGUMENT...

One process with the standard library alone, since every command of a rehearsal goes through it and its start is most of
what it costs. Like `tee -p` the meter of the input reads on when the command closed it, so that what arrived is
counted; like a plain `tee` that of the output stops when nobody takes it any more, and then tells nothing of it. Where
it knows how many bytes will come it waits for no end of file, which containerd can lose: seen, of an empty input on a
busy node, whose pipe stayed open for ever. A Python without the modules becomes FALLBACK, the same in bash.
"""

from __future__ import annotations

import os
import sys

try:
    import fcntl
    import hashlib
    import signal
    import threading
except ImportError:
    token, mode, end_file, fallback, *words = sys.argv[1:]
    os.execvp("bash", ["bash", "-c", fallback, "rehearsal-stream", token, mode, end_file, *words])  # noqa: S606

CHUNK = 1 << 18
SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ
told: list[str] = []


def copy(source: int, target: int, name: str, *, persists: bool, most: int = sys.maxsize) -> None:
    """Everything from one descriptor to the other, or that many bytes, and its figures."""
    for end in (source, target):
        try:  # noqa: SIM105 - contextlib is not worth its import here
            fcntl.fcntl(end, SET_PIPE_SIZE, CHUNK)
        except OSError:
            pass  # no pipe
    digest, size, taken = hashlib.sha256(), 0, True
    while size < most and (chunk := os.read(source, min(CHUNK, most - size))):
        digest.update(chunk)
        size += len(chunk)
        rest = memoryview(chunk)
        try:
            while rest and taken:
                rest = rest[os.write(target, rest) :]
        except BrokenPipeError:
            if not persists:
                os.close(source)  # the command is to hear of it
                return
            taken = False
    told.append(f"{name}-sha256={digest.hexdigest()} {name}-size={size}")


def run_command(command: list[str], source: int, target: int) -> None:
    """Become the command, with these as its standard input and output; what cannot be run is told as a shell would."""
    os.dup2(source, 0)
    os.dup2(target, 1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        missing = isinstance(error, FileNotFoundError) or not is_there(command[0])
        os.write(2, f"{command[0]}: {'command not found' if missing else error.strerror}\n".encode())
        os._exit(127 if missing else 126)


def is_there(name: str) -> bool:
    """Whether a file of this name could be meant: what went wrong may be a folder of the PATH that is closed."""
    return "/" in name or any(os.path.isfile(f"{folder}/{name}") for folder in os.get_exec_path())  # noqa: PTH113


def feed(to_command: int, most: int) -> None:
    """Standard input into the command."""
    copy(0, to_command, "in", persists=True, most=most)
    os.close(to_command)


def main(token: str, mode: str, end_file: str, _: str, *command: str) -> int:
    """Run the command; its status, as a shell tells it."""
    from_command, output = os.pipe()
    with_input, _, wanted = mode.partition(":")
    source, to_command = os.pipe() if with_input == "in" else (0, -1)
    child = os.fork()
    if child == 0:
        run_command(list(command), source, output)
    os.close(output)
    feeder = threading.Thread(target=feed, args=(to_command, int(wanted or sys.maxsize)))
    if with_input == "in":
        os.close(source)
        feeder.start()
    copy(from_command, 1, "out", persists=False)
    ended = os.waitpid(child, 0)[1]
    status = 128 + os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else os.WEXITSTATUS(ended)
    if with_input == "in":
        feeder.join()
    line = f"{token} status={status} {' '.join(told)}\n"
    try:
        with open(end_file, "w") as file:  # noqa: PTH123 - pathlib is not worth its import here
            file.write(line)
    except OSError:
        pass  # the disk is full, say; then stderr alone tells it
    os.write(2, f"\nrehearsal-stream {line}".encode())
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
