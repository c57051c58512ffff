"""Where kind, kubectl and their images come from on this machine, looked for in one order, and said aloud.

The kit that `make kind-kit` builds is taken where it lies in the cache: it needs no image registry. Otherwise the
machine's own kind and kubectl, with kind's own node image and the images that values.yaml names. An image of the user's
own stands in for those, with a kit or without.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rehearsal.clusters import rclone
from rehearsal.errors import EnvironmentUnfit

STAND_IN = "REHEARSAL_WORKLOAD_IMAGE"
"""Variable: an image in the engine that stands in for those of values.yaml, also in place of the kit's."""

_HINT = "make kind-kit"
# What kind and docker need to find the engine and, on an ordinary machine, the registry.
_PASSED_ON = (
    *("PATH", "HOME", "TMPDIR", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH"),
    *("DOCKER_TLS_VERIFY", "XDG_RUNTIME_DIR", "KIND_EXPERIMENTAL_PROVIDER", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)


@dataclass(frozen=True)
class KindTools:
    """What a kind cluster is made with.

    Attributes:
        kind, kubectl: absolute paths.
        node_image: "" for kind's own.
        workload_image: stands in for the images of values.yaml; "" for none.
        image_to_load: that one, where the node image does not hold it.
        config: of the cluster, or None.
        choice: one sentence: what was taken and why.
    """

    kind: Path
    kubectl: Path
    node_image: str
    workload_image: str
    config: Path | None
    choice: str
    image_to_load: str = ""

    def reasons(self) -> tuple[str, ...]:
        """Why the cluster's configuration is as it is: the comments of its file."""
        if self.config is None:
            return ()
        lines = self.config.read_text(encoding="utf-8").splitlines()
        return tuple(line.partition("# ")[2].strip() for line in lines if "# " in line)


def find_kind_tools(environment: Mapping[str, str] | None = None) -> KindTools:
    """The kit, else what is on the PATH.

    Raises:
        EnvironmentUnfit: neither is complete; the message names what is missing and the next command.
    """
    environment = os.environ if environment is None else environment
    stand_in = environment.get(STAND_IN, "")
    kit = _kit_cache(environment) / "current" / "kit.env"
    if kit.is_file():
        return _read_kit(kit, stand_in)
    found = {name: shutil.which(name, path=environment.get("PATH")) for name in ("kind", "kubectl")}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise EnvironmentUnfit(
            f"no kind kit, and {' and '.join(missing)} not on the PATH",
            where=str(kit),
            hint=f"{_HINT}, which builds a kit with both; or install what is missing",
        )
    images = _name(stand_in) if stand_in else f"{rclone.IMAGE} for S3, the images of values.yaml"
    return KindTools(
        kind=Path(str(found["kind"])).absolute(),
        kubectl=Path(str(found["kubectl"])).absolute(),
        node_image="",
        workload_image=stand_in,
        config=None,
        image_to_load=stand_in,
        choice=f"{found['kind']} from the PATH, kind's own node image and {images}: no kit was built",
    )


def _name(stand_in: str) -> str:
    return f"{stand_in} ({STAND_IN}) in place of the images of values.yaml"


def _kit_cache(environment: Mapping[str, str]) -> Path:
    if chosen := environment.get("REHEARSAL_KIT_CACHE"):
        return Path(chosen)
    cache = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME", "~")).expanduser() / ".cache")
    return Path(cache) / "chipster-rehearsal-kit"


def _read_kit(path: Path, stand_in: str) -> KindTools:
    pairs = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines() if line[:1] not in ("", "#"))
    kit = {key: value for key, _, value in pairs}
    wanted = ("KIT_KIND", "KIT_KUBECTL", "KIT_NODE_IMAGE", "KIT_WORKLOAD_IMAGE", "KIT_CLUSTER_CONFIG")
    if missing := [key for key in wanted if not kit.get(key)]:
        raise EnvironmentUnfit(f"the kit does not say {', '.join(missing)}", where=str(path), hint=_HINT)
    for key in ("KIT_KIND", "KIT_KUBECTL", "KIT_CLUSTER_CONFIG"):
        if not Path(kit[key]).is_file():
            raise EnvironmentUnfit(f"the kit names a file that is not there: {kit[key]}", where=str(path), hint=_HINT)
    image = stand_in or kit["KIT_WORKLOAD_IMAGE"]
    lies_in_node = image == kit["KIT_WORKLOAD_IMAGE"] and kit.get("KIT_NODE_HAS_WORKLOAD") == "yes"
    return KindTools(
        kind=Path(kit["KIT_KIND"]),
        kubectl=Path(kit["KIT_KUBECTL"]),
        node_image=kit["KIT_NODE_IMAGE"],
        workload_image=image,
        config=Path(kit["KIT_CLUSTER_CONFIG"]),
        image_to_load="" if lies_in_node else image,
        choice=f"the kit {kit.get('KIT_DIGEST', '')}, Kubernetes {kit.get('KIT_KUBERNETES_VERSION', '')}: "
        f"built on this machine, no image registry is asked{f'; {_name(stand_in)}' if stand_in else ''}",
    )


def name_engine() -> str:
    """The engine that docker and kind talk to now, as its variable names it; "" for the machine's own."""
    environment = engine_environment()
    named = (f"{name}={environment[name]}" for name in ("DOCKER_HOST", "DOCKER_CONTEXT") if environment.get(name))
    return next(named, "")


def engine_environment() -> dict[str, str]:
    """What kind and docker get of our environment. No KUBECONFIG: every call names the private one."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {"PATH": os.defpath, **kept, "LANG": "C.UTF-8"}
