"""How stores are lost: the manual's own ways of deleting a database and the files.

A loss is real only when the record can show it afterwards: a claim with a new identity and an empty store. The manual
deletes the files with `rm -rf storage/*`, which keeps the claim and every dot file (facts, trap 8), so the harness
deletes the claim behind it as well: a rehearsal is about a lost volume, not about a tidy one.
"""

from __future__ import annotations

from dataclasses import dataclass

from rehearsal.chipster.runbook import REMOVE_FILES
from rehearsal.roles import Stage


@dataclass(frozen=True)
class LoseClaims:
    """Scale the workloads down, delete the claims, deploy again ("How to delete a database")."""

    name: str = "scale to 0, delete the claim, deploy again"

    def lose(self, stage: Stage) -> None:
        """Lose every store of `stage.lost`.

        All workloads go down before the first claim is deleted: a claim that a pod still mounts is only marked.

        Raises:
            Refused: the cluster is not this run's; nothing was touched.
            WaitTimeout: a pod would not go, or would not come back.
        """
        cluster = stage.cluster
        for store in stage.lost:
            if store.kind == "files":
                stage.report_command(store.name, cluster.exec(store.pod, REMOVE_FILES, destructive=True))
        for workload in dict.fromkeys(store.workload for store in stage.lost):
            cluster.scale(workload, 0)
        for store in stage.lost:
            if store.host_path:
                cluster.empty_host_path(store)
            else:
                cluster.delete_claim(store.claim)
        cluster.deploy(stage.deployment)


DELETE_CLAIMS = LoseClaims()
