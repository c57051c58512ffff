"""Control: the disk is full while the files are unpacked."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-disk-full",
    title="Control: the disk is full while the files are unpacked",
    loses=("file-storage",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(files_by="tar"),
    tampering=REGISTRY["disk full while files are unpacked"],
    expects=Expectation(check="files", subject="file-storage"),
)
