"""`rehearsal verify-backup`: what Chipster's built-in backup wrote, verified without restoring it."""

from __future__ import annotations

import argparse
import sys

from rehearsal.commands.statuses import STATUS
from rehearsal.telling_verify import LiveVerification, tell_verification
from rehearsal.verify_options import declare_verify_options, open_verifier


def declare(parser: argparse.ArgumentParser) -> None:
    """Places, keys and rules."""
    parser.description = (
        "Reads every package of every backup once: fetched, hashed, decrypted, decompressed and hashed "
        "again, against the lists. S3 keys come from the environment or the usual profile."
    )
    declare_verify_options(parser.add_argument)


def act(arguments: argparse.Namespace) -> int:
    """Verify, tell, and return the exit status."""
    live = LiveVerification()
    with open_verifier(arguments) as verifier:
        try:
            found = verifier.verify(live)
        finally:
            live.finish()
        if arguments.json:
            sys.stdout.write(verifier.clean(found.render_json()))
        else:
            print(verifier.clean("\n".join(tell_verification(found))))
    return STATUS[found.verdict]
