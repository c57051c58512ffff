"""The users' files are lost and come back by kubectl cp; the databases stay untouched."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="lose-files-cp",
    title="The users' files are lost and come back by kubectl cp",
    loses=("file-storage",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(files_by="cp"),
)
