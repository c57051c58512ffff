# shellcheck shell=sh
# Run inside the node's base image: prints, as a tar, the packet filter tools that kube-proxy calls, with the libraries
# and plug-ins that they load. kube-proxy's own image is made FROM scratch, like all the system pods' images.
set -eu

cd /
tools="usr/sbin/nft usr/sbin/conntrack usr/sbin/xtables-nft-multi"
for tool in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    tools="$tools usr/sbin/$tool"
done
plugins=$(echo usr/lib/*/xtables/*.so)
# shellcheck disable=SC2086  # lists of plain file names
libraries=$(ldd $tools $plugins 2>/dev/null | grep -o '/[^ ]*\.so[^ ]*' | sed 's|:$||; s|^/||' | sort -u)
# -h: the iptables names are links to alternatives, which are links to one program.
# shellcheck disable=SC2086
exec tar -h -c $tools $plugins $libraries
