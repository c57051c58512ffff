"""What a command's exit status says."""

from __future__ import annotations

from rehearsal.verdicts import Verdict

STATUS = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 2, Verdict.NOT_RUN: 2}
