#!/usr/bin/env bash
# usage: docker run --rm -i --privileged --entrypoint bash NODE_IMAGE -s IMAGE <unpack.sh >changed.tar
# Unpacks IMAGE, one of those that lie packed in the node image, and writes what that changed: containerd's records, and the
# files in a folder beside /var. kind makes a volume of /var and copies into it what the node image holds there, file by
# file, for each cluster; a link to the folder is copied in no time. The packed image stays: a node that cannot use
# containerd's overlayfs snapshotter (see kind's entrypoint) unpacks it again.
set -euo pipefail
image=${1:?usage: unpack.sh IMAGE}
state=/var/lib/containerd
snapshots=$state/io.containerd.snapshotter.v1.overlayfs
unpacked=/kind/unpacked

containerd >/tmp/containerd.log 2>&1 &
for _ in {1..100}; do ctr version >/dev/null 2>&1 && break; sleep 0.1; done
trap 'tail -n 20 /tmp/containerd.log >&2' ERR
mkdir /tmp/mounted
ctr --namespace k8s.io images mount --snapshotter overlayfs "$image" /tmp/mounted >&2
ctr --namespace k8s.io images unmount --rm --snapshotter overlayfs /tmp/mounted >&2
kill %1
wait %1

mkdir -p "$unpacked"
for folder in "$snapshots"/snapshots/*; do
    mv "$folder" "$unpacked/"
    ln -s "$unpacked/${folder##*/}" "$folder"
done
tar -c --numeric-owner --xattrs -C / "${unpacked#/}" "${snapshots#/}" "${state#/}/io.containerd.metadata.v1.bolt"
