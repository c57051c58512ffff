# What the steps share. Part of every step's digest: a change here builds all of them anew.
# Each step is sourced after this, by `build`, in a shell of its own with `set -euo pipefail` and with
#   OUT       its own empty folder in the cache, where its result stays
#   TAG       its digest, the tag of the image that it makes
#   PART_x    the OUT of each step that its header needs
#   KIT_SRC   ci/kit, and every pin of versions.env
# A step's header: first line, what it makes and why; `needs:` steps, `pins:` names in versions.env, `from:` files and
# folders of ci/kit. Its digest is made of those: what a step reads and does not name there, it will not be rebuilt for.
# shellcheck shell=bash

# go_build NAME OUT [GO FLAG...]: builds every command that the wrapper module go/NAME lists as `tool`, static and
# checked against its go.sum. Niced: it is minutes of both cores, and what else runs on the machine matters more.
# -v names each package as it is compiled: the sign of life that `build` shows.
go_build() {
    local name=$1 out=$2
    shift 2
    mkdir -p "$out"
    (cd "$KIT_SRC/go/$name" && GOWORK=off CGO_ENABLED=0 nice -n 10 \
        go build -mod=readonly -trimpath -v "$@" -o "$out/" tool)
}

# pinned NAME MODULE VERSION: go.mod says what versions.env says, else somebody forgot `ci/kit/pin`.
pinned() {
    grep -qE "^(require)?[[:space:]]*$2 $3( |$)" "$KIT_SRC/go/$1/go.mod" ||
        die "go/$1/go.mod does not ask for $2 $3, as versions.env does: run ci/kit/pin $1 and commit what it writes"
}

# build_image REF CONTEXT OUT [DOCKER FLAG...]: an image, and its archive beside it: an engine's storage may be wiped.
# --network=host and the proxy's names: the machine's own way to its package mirror is then the build's too.
build_image() {
    local ref=$1 context=$2 out=$3
    shift 3
    docker build --network=host --build-arg http_proxy --build-arg https_proxy --build-arg no_proxy \
        -t "$ref" "$@" "$context"
    keep_image "$ref" "$out"
}

keep_image() {
    docker save "$1" -o "$2/image.tar"
    echo "$1" >"$2/image.ref"
}

# need_image PART: prints the name of the image that a step left in its folder, loaded again where the engine lost it.
need_image() {
    local ref
    ref=$(cat "$1/image.ref")
    docker image inspect "$ref" >/dev/null 2>&1 || docker load -q -i "$1/image.tar" >&2
    echo "$ref"
}
