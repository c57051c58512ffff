"""Control: one row of the restored session-db is changed."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-row-changed",
    title="Control: one row of the restored session-db is changed",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(),
    tampering=REGISTRY["one row changed"],
    expects=Expectation(check="rows", subject="session-db"),
)
