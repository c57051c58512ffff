"""How long a whole run takes, and how much of it is not the manual's own commands.

    .venv/bin/python bench/whole_rehearsal.py [--size s|m|l] [SCENARIO...]

Runs the scenarios on the local cluster and adds up the seconds of the manual's commands (deploying, vacuumlo, pg_dump,
scaling, deleting, deploying again, psql, both copies) and of everything else (seed, marks, inventories, proofs,
judging, reports, clean-up). Both come from one run, so the ratio holds on a noisy machine. Goal at size s: all
scenarios and controls under 60 s; a ratio of at most 1. Verification is the inventory after the restore and judging,
against the restore that it verifies (the inventory before is part of the backup, and told beside it); goals at size m:
at most 15 %, judging alone under 5 s.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rehearsal.judging import judge
from rehearsal.options import Options, choose_size
from rehearsal.record import read_record
from rehearsal.run import Run
from rehearsal.scenario_files import default_folder, load_scenarios, pick_scenarios


def tell_verification(folder: Path) -> str:
    """How long looking and judging took, against the restore."""
    record = read_record(folder)
    started = time.monotonic()
    judge(record, folder)
    judging = time.monotonic() - started
    phases = {phase.name: phase.seconds for phase in record.phases}
    before, after = phases.get("inventory before", 0.0), phases.get("inventory after", 0.0)
    restore = phases.get("restore", 0.0)
    share = f"{(after + judging) / restore:.0%} of it" if restore else "no restore"
    with_before = f", {(before + after + judging) / restore:.0%} with the inventory before" if restore else ""
    return (
        f"restore {restore:.1f} s; inventory before {before:.2f} s, after {after:.2f} s, judging {judging:.2f} s: "
        f"verification is {share}{with_before}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*")
    parser.add_argument("--size", default="s", choices=("s", "m", "l"))
    arguments = parser.parse_args()
    runs = Path(tempfile.mkdtemp(prefix="bench-rehearsal-"))
    wanted = pick_scenarios(load_scenarios(default_folder()), arguments.scenarios)
    commands = other = 0.0
    started = time.monotonic()
    try:
        with Run(Options(cluster="local", runs=runs, size=choose_size(arguments.size))) as run:
            for scenario in wanted:
                before = time.monotonic()
                performed = run.perform(scenario)
                whole = time.monotonic() - before  # with judging, reports and clean-up
                report = json.loads((performed.folder / "report.json").read_text(encoding="utf-8"))
                manual = report["overhead"]["runbook_seconds"]
                commands += manual
                other += whole - manual
                print(
                    f"{performed.outcome:<13} {scenario.name:<28} {whole:6.1f} s: the manual's "
                    f"commands {manual:6.1f} s, everything else {whole - manual:6.1f} s"
                )
                print(f"{'':<13} {tell_verification(performed.folder)}", flush=True)
            outcome = run.outcome
    finally:
        shutil.rmtree(runs, ignore_errors=True)
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{outcome}: {len(wanted)} rehearsals of size {arguments.size} in {seconds:.1f} s; everything else / commands "
        f"= {other:.1f} / {commands:.1f} s = {other / commands:.2f}; peak memory of the harness {peak:.0f} MiB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
