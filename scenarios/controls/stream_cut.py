"""Control: psql gets a part of the dump, and every status is 0."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-stream-cut",
    title="Control: psql gets a part of the dump, and every status is 0",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(),
    tampering=REGISTRY["stream into psql cut"],
    expects=Expectation(check="rows", subject="session-db"),
)
