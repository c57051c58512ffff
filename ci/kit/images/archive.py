"""Writes one Docker archive of single-layer images from folders, as `kind build node-image` wants to read it.

usage: archive.py OUT.tar --image FOLDER REF[,REF...] ENTRYPOINT|- [--image ...]

Not `docker save`: kind reads only the first metadata file of an archive, and needs every image named there, in full;
docker writes `manifest.json` first and shortens names. So `repositories` comes first here. No time, owner or order of
this machine goes in: the same folders give the same bytes. Python's own library alone: nothing is installed for it.
"""

import argparse
import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def pack_layer(folder: Path) -> bytes:
    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime = entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, arcname=str(path.relative_to(folder)), recursive=False, filter=plain)
    return layer.getvalue()


def describe(layer_digest: str, entrypoint: str) -> bytes:
    config: dict[str, object] = {"Env": [PATH]}
    if entrypoint != "-":
        config["Entrypoint"] = [entrypoint]
    return json.dumps(
        {
            "architecture": ARCHITECTURES[platform.machine()],
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
            "history": [{"created_by": "ci/kit"}],
        }
    ).encode()


def write_archive(out: Path, images: list[list[str]]) -> None:
    members: dict[str, bytes] = {}
    manifest = []
    repositories: dict[str, dict[str, str]] = {}
    for folder, refs, entrypoint in images:
        layer = pack_layer(Path(folder))
        layer_digest = hashlib.sha256(layer).hexdigest()
        config = describe(layer_digest, entrypoint)
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        members[f"{layer_digest}/layer.tar"] = layer
        members[config_name] = config
        names = refs.split(",")
        manifest.append({"Config": config_name, "RepoTags": names, "Layers": [f"{layer_digest}/layer.tar"]})
        for name in names:
            repository, _, tag = name.rpartition(":")
            repositories.setdefault(repository, {})[tag] = layer_digest

    with tarfile.open(out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        head = {"repositories": json.dumps(repositories).encode(), "manifest.json": json.dumps(manifest).encode()}
        for name, content in (head | members).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--image", nargs=3, action="append", required=True, metavar=("FOLDER", "REFS", "ENTRYPOINT"))
    arguments = parser.parse_args()
    write_archive(arguments.out, arguments.image)
