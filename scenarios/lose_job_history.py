"""Job-history is lost and comes back from its dump; everything else stays untouched."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="lose-job-history",
    title="Job-history is lost and comes back from its dump",
    loses=("job-history",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(),
)
