"""Control: the built-in dump is restored over tables that a service has made."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-s3-over-tables",
    title="Control: the built-in dump is restored over tables that a service has made",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=BuiltinS3(only_into_empty=False),
    tampering=REGISTRY["built-in dump restored over tables that a service has made"],
    expects=Expectation(check="rows", subject="session-db"),
)
