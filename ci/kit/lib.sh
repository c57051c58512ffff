# What `build` and `engine` share: the pins, the cache's place, questions to the machine, the host's package manager.
# Sourced, never run. Nothing here decides what an image or a binary holds: that is in steps/, and in their digests.
# shellcheck shell=bash

set -a
# shellcheck source=versions.env
source "$KIT_SRC/versions.env"
set +a

KIT_CACHE=${REHEARSAL_KIT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/chipster-rehearsal-kit}
export KIT_CACHE
# The client on the path may be newer than the engine, whose BuildKit may be too old for it: the old builder suits both.
export DOCKER_BUILDKIT=0
export DEBIAN_FRONTEND=noninteractive
# Locales would change what sort and tools print, and with it the digests.
export LC_ALL=C.UTF-8

die() { echo "ci/kit: $*" >&2; exit 1; }

# CapBnd and not CapEff: an ordinary user has no effective capability, and still may ask an engine that has them all.
has_cap_sys_resource() {
    local bounding
    bounding=$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)
    (( (16#$bounding >> 24) & 1 ))
}

engine_answers() { docker info >/dev/null 2>&1; }

# apt_install PACKAGE...: the host's own package manager; where no systemd runs, a freshly installed service must not
# be started by its package (the engine is started by `engine`, with a pid to stop it by).
apt_install() (
    [ "$(id -u)" = 0 ] || die "needs root to apt-get install $*: run as root, or install them first"
    policy=/usr/sbin/policy-rc.d
    if [ ! -d /run/systemd/system ] && [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    apt-get update -q
    apt-get install -q -y --no-install-recommends "$@"
)
