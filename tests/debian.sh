#!/bin/sh
# The README's commands on a bare Debian: what a fresh machine has, and of this one only the network and the certificates it trusts.
# An ordinary user runs them in a clone of the last commit. Nothing stays but what CACHE asks for.
#
#   tests/debian.sh COMMAND...
#
#   SUITE   of Debian: trixie (13) has Python 3.13
#   MORE    packages beside those that the README asks for, with commas: gcc,python3-dev for Python 3.14
#   CACHE   folder that keeps the bare system, packed, for the next time; empty: it is made anew
#   BIND    files and folders of this machine that the other sees too, such as a pip.conf, or packages on a disk
#
# It needs root, debootstrap and a mirror of Debian's packages; without one of them it says so, and that it is skipped.
set -eu

SUITE=${SUITE:-trixie} MORE=${MORE:-} CACHE=${CACHE:-} BIND=${BIND:-}
PACKAGES=python3,python3-venv,make,git,ca-certificates${MORE:+,$MORE}
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt

skipped() {
    echo "test-debian: skipped: $*"
    exit 0
}

bare() { # FOLDER: makes the system in it
    debootstrap --variant=minbase --include="$PACKAGES" "$SUITE" "$1" >"$work/debootstrap.log" 2>&1 ||
        skipped "debootstrap could not make $SUITE: $(tail -n 1 "$work/debootstrap.log")"
}

[ "$(id -u)" = 0 ] || skipped "only root can make a system of its own"
[ -n "$(command -v debootstrap)" ] || skipped "needs debootstrap (apt-get install debootstrap)"
unshare --mount --pid --fork true 2>/dev/null || skipped "namespaces are not allowed here"

project=$(cd "$(dirname "$0")/.." && pwd)
[ -z "$(git -C "$project" status --porcelain)" ] || echo "test-debian: what is not committed is not tested"

work=$(mktemp -d "${TMPDIR:-/tmp}/debian.XXXXXX")
inside=
ended() { # nothing runs on, and nothing stays
    [ -z "$inside" ] || kill -KILL "$inside" 2>/dev/null || true # and with it its namespaces
    wait
    rm -rf --one-file-system "$work" || { sleep 1 && rm -rf --one-file-system "$work"; }
}
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
system=$work/system
if [ -z "$CACHE" ]; then
    bare "$system"
else
    packed=$CACHE/$SUITE${MORE:+,$MORE}.tar
    if [ ! -e "$packed" ]; then
        mkdir -p "$CACHE"
        bare "$work/made"
        tar --numeric-owner -C "$work/made" -cf "$packed.$$" . && mv "$packed.$$" "$packed"
        rm -rf "$work/made"
    fi
    mkdir "$system"
    tar --numeric-owner -C "$system" -xf "$packed"
fi
cp -L /etc/resolv.conf /etc/hosts "$system/etc/"
chroot "$system" useradd --create-home user
git -c advice.detachedHead=false clone --quiet --no-local "$project" "$system/home/user/project"
chroot "$system" chown -R user:user /home/user/project
cat >"$work/inside" <<'EOF'
# In namespaces of mounts and processes: both end with this shell.
set -eu
system=$1
shift
mount -t proc proc "$system/proc"
mount --rbind /dev "$system/dev"
for path in $BIND; do
    if [ -d "$path" ]; then
        mkdir -p "$system$path"
    else
        mkdir -p "$system$(dirname "$path")"
        touch "$system$path"
    fi
    mount --bind -o ro "$path" "$system$path"
done
cd /
chroot "$system" su --login user --whitelist-environment="$PASSED" --command="cd project && $*"
EOF
[ ! -e "$CERTIFICATES" ] || BIND="$CERTIFICATES $BIND"
PASSED=$(env | sed -nE 's/^(PIP_((EXTRA_)?INDEX_URL|TRUSTED_HOST|CERT|PROXY|DEFAULT_TIMEOUT)|(https?|no)_proxy)=.*/\1/Ip' | paste -sd,)
export BIND PASSED
unshare --mount --pid --fork --kill-child --propagation private sh "$work/inside" "$system" "$@" &
inside=$!
wait "$inside"
