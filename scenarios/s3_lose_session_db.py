"""The sessions come back from S3, encrypted with a passphrase, into an empty database."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="s3-lose-session-db",
    title="Session-db is lost and comes back from S3, encrypted with a passphrase",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=BuiltinS3(sealed_by="passphrase"),
)
