"""Writes one Docker archive of images, as `kind build node-image` wants to read it: of one layer, made from folders, or
whole ones that `docker save` wrote.

usage: archive.py OUT.tar --image FOLDER REF[,REF...] ENTRYPOINT|- [--image ...] [--saved IMAGE.tar REF ...]

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
# Most are Go programs on a node that lives for minutes: garbage may pile up a while, and the cores have other work.
ENVIRONMENT = ("GOGC=400", "GOMEMLIMIT=512MiB")


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
    config: dict[str, object] = {"Env": [PATH, *ENVIRONMENT]}
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


def read_saved(path: Path) -> tuple[bytes, list[bytes]]:
    """The configuration, whose digest is the image's ID, and the layers of the one image that `docker save` wrote."""
    with tarfile.open(path) as saved:

        def read(name: str) -> bytes:
            stream = saved.extractfile(name)  # follows the links by which docker writes a layer once
            if stream is None:
                raise SystemExit(f"archive.py: {path} has no {name}")
            return stream.read()

        (image,) = json.loads(read("manifest.json"))
        return read(image["Config"]), [read(layer) for layer in image["Layers"]]


def write_archive(out: Path, images: list[list[str]], saved: list[list[str]]) -> None:
    members: dict[str, bytes] = {}
    manifest = []
    repositories: dict[str, dict[str, str]] = {}

    def add(config: bytes, layers: list[bytes], names: list[str]) -> None:
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        members[config_name] = config
        digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
        members.update({f"{digest}/layer.tar": layer for digest, layer in zip(digests, layers, strict=True)})
        manifest.append({"Config": config_name, "RepoTags": names, "Layers": [f"{name}/layer.tar" for name in digests]})
        for name in names:
            repository, _, tag = name.rpartition(":")
            repositories.setdefault(repository, {})[tag] = digests[-1]

    for folder, refs, entrypoint in images:
        layer = pack_layer(Path(folder))
        add(describe(hashlib.sha256(layer).hexdigest(), entrypoint), [layer], refs.split(","))
    for archive, name in saved:
        add(*read_saved(Path(archive)), [name])

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
    parser.add_argument("--saved", nargs=2, action="append", default=[], metavar=("IMAGE.tar", "REF"))
    arguments = parser.parse_args()
    write_archive(arguments.out, arguments.image, arguments.saved)
