"""Lies here so that pytest puts this folder on the path: tests in the folders below share the builders beside it.

Started by a shell in the background, Ctrl-C is ignored, and so it is by every process that a test starts; what a test
says of Ctrl-C must not depend on that.
"""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
