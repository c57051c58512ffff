"""Proof, before every call that destroys something, that this run created what is about to be destroyed.

A rehearsal deletes volumes; pointed at the wrong cluster it would be the disaster it rehearses. So at creation a
ConfigMap with the run's nonce is written and the API server's address is noted, and before every destructive call both
are looked at again. Whatever does not match, or cannot be read, refuses; nothing was done then.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rehearsal.clusters.kube_reads import Address, KubeReads, read_address
from rehearsal.errors import EnvironmentUnfit, Refused

MARKER = "rehearsal-marker"
"""Name of the ConfigMap."""


@dataclass(frozen=True)
class Guard:
    """Knows what this run created.

    Attributes:
        nonce: this rehearsal's.
        address: of the API server at creation.
    """

    reads: KubeReads
    kubeconfig: Path
    namespace: str
    nonce: str
    address: Address

    def check(self, doing: str) -> None:
        """Return when the namespace is this run's own.

        Args:
            doing: the call that waits, for the message.

        Raises:
            Refused: the marker is missing, unreadable or another's, or the kubeconfig leads elsewhere.
        """
        try:
            there = read_address(self.kubeconfig)
        except EnvironmentUnfit as error:
            self._refuse(doing, error.what)
        if there.server != self.address.server:
            self._refuse(doing, f"the kubeconfig leads to {there.server}, not to {self.address.server}")
        if there != self.address:
            self._refuse(doing, f"the certificate authority of {there.server} is another one")
        try:
            marker = self.reads.read_config_map(MARKER)
        except EnvironmentUnfit as error:
            self._refuse(doing, f"its marker cannot be read: {error.what}")
        if marker is None:
            self._refuse(doing, f"there is no configmap {MARKER}")
        if marker.get("nonce") != self.nonce:
            self._refuse(doing, f"the nonce in configmap {MARKER} is another run's")

    def _refuse(self, doing: str, why: str) -> NoReturn:
        raise Refused(
            f"refused to {doing}: {why}; nothing was done",
            where=f"{self.address.server}, namespace {self.namespace}",
            hint=f"kubectl --kubeconfig {self.kubeconfig} -n {self.namespace} get configmap {MARKER} -o yaml",
        )
