"""Session-db is lost and comes back from its dump; everything else stays untouched."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="lose-session-db",
    title="Session-db is lost and comes back from its dump",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(),
)
