"""Auth is lost and comes back from its dump; everything else stays untouched."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="lose-auth",
    title="Auth is lost and comes back from its dump",
    loses=("auth",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(),
)
