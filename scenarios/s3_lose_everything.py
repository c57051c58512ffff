"""The whole data tier comes back from one night's full backup in an S3 bucket, encrypted to a public key."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="s3-lose-everything",
    title="Everything is lost and comes back from a full backup in S3, encrypted to a public key",
    loses=("*",),
    loss=DELETE_CLAIMS,
    method=BuiltinS3(),
)
