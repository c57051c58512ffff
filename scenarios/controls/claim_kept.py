"""Control: the claim is never deleted."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.procedure import KeepClaim

SCENARIO = Scenario(
    name="control-claim-kept",
    title="Control: the claim is never deleted",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(),
    tampering=KeepClaim(),
    expects=Expectation(check="loss", subject="session-db"),
)
