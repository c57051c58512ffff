"""The mixed way: databases by kubectl, files by the built-in backup, which then needs no key."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="s3-lose-everything-mixed",
    title="Everything is lost; databases come back by kubectl, files from S3, not encrypted",
    loses=("*",),
    loss=DELETE_CLAIMS,
    method=BuiltinS3(sealed_by="none", databases_by="kubectl"),
)
