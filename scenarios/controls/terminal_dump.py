"""Control: the dump went through a terminal."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-terminal-dump",
    title="Control: the dump went through a terminal",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=KubectlCopy(),
    tampering=REGISTRY["line ends of a dump became CRLF"],
    expects=Expectation(check="schema", subject="session-db"),
)
