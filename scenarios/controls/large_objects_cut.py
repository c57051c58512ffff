"""Control: a dump is cut before its large objects."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-large-objects-cut",
    title="Control: a dump is cut before its large objects",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(),
    tampering=REGISTRY["dump cut before its large objects"],
    expects=Expectation(check="large-objects", subject="session-db"),
)
