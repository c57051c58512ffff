"""Control: a whole set of the day before is restored."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-yesterdays-set",
    title="Control: a whole set of the day before is restored",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(),
    tampering=REGISTRY["yesterday's set restored"],
    expects=Expectation(check="nonce", subject="session-db"),
)
