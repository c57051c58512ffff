"""The bucket is lost too: the archive server's directory alone brings everything back."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="s3-lose-everything-archive",
    title="Everything and the bucket are lost and come back from the archive server's directory",
    loses=("*",),
    loss=DELETE_CLAIMS,
    method=BuiltinS3(restore_from="archive"),
)
