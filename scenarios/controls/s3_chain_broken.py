"""Control: the latest incremental backup refers to a file that the archive no longer has."""

from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY

SCENARIO = Scenario(
    name="control-s3-chain-broken",
    title="Control: the latest incremental backup refers to a file that the archive no longer has",
    loses=("file-storage",),
    loss=DELETE_CLAIMS,
    method=BuiltinS3(restore_from="incremental"),
    tampering=REGISTRY["chain broken at an old archive"],
    expects=Expectation(check="files", subject="file-storage-"),
)
