"""The files come back from an incremental backup: half from the bucket, half from the archive."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="s3-lose-files-incremental",
    title="The users' files are lost and come back from the latest incremental backup and the archive",
    loses=("file-storage",),
    loss=DELETE_CLAIMS,
    method=BuiltinS3(restore_from="incremental"),
)
