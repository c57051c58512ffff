"""Control: a package of the same size with other bytes, which the archive server does not see."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-s3-package-replaced",
    title="Control: a package of the same size with other bytes, which the archive server does not see",
    loses=("file-storage",),
    loss=DELETE_CLAIMS,
    method=BuiltinS3(),
    tampering=REGISTRY["a package with other bytes of the same size"],
    expects=Expectation(check="set-contents", subject="file-storage-"),
)
