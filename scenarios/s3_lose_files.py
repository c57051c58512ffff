"""The files come back from one night's full backup, each opened with a passphrase."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="s3-lose-files",
    title="The users' files are lost and come back from a full backup in S3, with a passphrase",
    loses=("file-storage",),
    loss=DELETE_CLAIMS,
    method=BuiltinS3(sealed_by="passphrase"),
)
