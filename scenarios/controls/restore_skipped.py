"""Control: the restore is skipped."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-restore-skipped",
    title="Control: the restore is skipped",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(),
    tampering=REGISTRY["restore skipped"],
    expects=Expectation(check="nonce", subject="session-db"),
)
