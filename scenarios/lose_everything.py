"""The whole data tier is lost: three databases and every user's files come back from one backup set."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Scenario

SCENARIO = Scenario(
    name="lose-everything",
    title="Three databases and every user's files are lost and come back",
    loses=("*",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(files_by="tar"),
)
