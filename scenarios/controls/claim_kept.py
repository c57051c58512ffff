"""Control: the claim is never deleted."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-claim-kept",
    title="Control: the claim is never deleted",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(),
    tampering=REGISTRY["claim not deleted"],
    expects=Expectation(check="loss", subject="session-db"),
)
