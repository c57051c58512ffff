"""Control: the private key at hand is not the one that the backup was made for."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-s3-wrong-key",
    title="Control: the private key at hand is not the one that the backup was made for",
    loses=("session-db",),
    loss=DELETE_CLAIMS,
    method=BuiltinS3(),
    tampering=REGISTRY["another private key"],
    expects=Expectation(check="set-contents", subject="session-db"),
)
