"""Without encryption every night is a full one (facts, trap 10), and the databases need another way."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="s3-lose-files-unencrypted",
    title="The users' files are lost and come back from the archive server, not encrypted",
    loses=("file-storage",),
    loss=DELETE_CLAIMS,
    method=BuiltinS3(restore_from="archive", sealed_by="none", databases_by="kubectl"),
)
