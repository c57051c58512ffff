"""Control: the tar stream ends between two files, which tar takes for its end."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-tar-cut",
    title="Control: the tar stream ends between two files, which tar takes for its end",
    loses=("file-storage",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(files_by="tar"),
    tampering=REGISTRY["stream into tar cut between two files"],
    expects=Expectation(check="files", subject="file-storage"),
)
