"""The users' files are lost and come back by the tar stream; the databases stay untouched."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="lose-files-tar",
    title="The users' files are lost and come back by the tar stream",
    loses=("file-storage",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(files_by="tar"),
)
