"""Control: a service that was left running writes during the restore."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-service-writes",
    title="Control: a service that was left running writes during the restore",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(),
    tampering=REGISTRY["a service writes during the restore"],
    expects=Expectation(check="rows", subject="session-db"),
)
