"""Control: one byte of one restored file is flipped."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-byte-flipped",
    title="Control: one byte of one restored file is flipped",
    loses=("file-storage",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(),
    tampering=REGISTRY["one file's byte flipped"],
    expects=Expectation(check="files", subject="file-storage-"),
)
