"""The sessions come back from the archive server, encrypted with a passphrase."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="s3-lose-session-db-archive",
    title="Session-db is lost and comes back from the archive server, encrypted with a passphrase",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=BuiltinS3(restore_from="archive", sealed_by="passphrase"),
)
