"""The newest night in the bucket is an incremental one; a dump is whole in every night."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="s3-lose-session-db-incremental",
    title="Session-db is lost and comes back from the latest incremental backup in S3",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=BuiltinS3(restore_from="incremental"),
)
