#!/bin/sh
# SPDX-License-Identifier: MIT
# need.sh build|test|install [check]: installs what building, testing or installing tong needs and this machine
# lacks, asking for root only if something is missing; what is merely good to have is added when root asks.
# With "check" only says what is missing.  Plain sh: it must run before anything is installed.
set -eu

what=${1:-build}
mode=${2:-install}

if [ "$(uname -s)" != Linux ]; then
    echo "tong needs Linux: its mechanisms are the Linux kernel's (this is $(uname -s))." >&2
    exit 1
fi

have() {
    command -v "$1" >/dev/null 2>&1
}

compiles() {
    for cc in "${CC:-cc}" gcc clang; do
        have "$cc" && echo "$1" | "$cc" -E - >/dev/null 2>&1 && return 0
    done
    return 1
}

# A compiler without the C library's headers is as good as none.
missing=
optional=
compiles '#include <stdio.h>' || missing="$missing gcc libc6-dev"
have meson || missing="$missing meson"
have ninja || missing="$missing ninja-build"
if [ "$what" = test ]; then
    have pkg-config || have pkgconf || missing="$missing pkgconf"
    compiles '#include <check.h>' || missing="$missing check"
    have python3 || missing="$missing python3"
    have socat || optional="$optional socat"
fi
if [ "$what" = install ]; then
    have scdoc || optional="$optional scdoc"
    compiles '#include <curses.h>' || optional="$optional libncurses-dev"
fi
[ "$mode" = install ] && [ "$(id -u)" = 0 ] && have apt-get || optional=
missing=${missing# }
optional=${optional# }

sudo=
# Lists that were never fetched, or are too old to name what the mirror has, are fetched once.
apt_install() {
    echo "Installing: $*" >&2
    set -- env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
    $sudo "$@" >/dev/null 2>&1 || { $sudo apt-get update && $sudo "$@"; }
}

if [ -n "$missing" ]; then
    if [ "$mode" = check ] || ! have apt-get; then
        {
            echo "tong needs what this machine lacks: $missing"
            echo "  Debian, Ubuntu:  apt-get install $missing"
            echo "  Fedora:          dnf install gcc meson ninja-build check-devel pkgconf socat"
            echo "  Arch:            pacman -S gcc meson ninja check pkgconf socat"
            echo "  Alpine:          apk add gcc musl-dev meson ninja check-dev pkgconf socat"
            echo "  openSUSE:        zypper install gcc meson ninja check-devel pkgconf socat"
        } >&2
        exit 1
    fi
    if [ "$(id -u)" != 0 ]; then
        have sudo || { echo "Missing; as root, run: apt-get install $missing" >&2; exit 1; }
        sudo=sudo
        echo "root is needed for: apt-get install $missing" >&2
    fi
    # shellcheck disable=SC2086
    apt_install $missing
fi
# shellcheck disable=SC2086
[ -z "$optional" ] || apt_install $optional || echo "Going on without: $optional" >&2

oldest=0.61.0
version=$(meson --version)
if [ "$(printf '%s\n%s\n' "$oldest" "$version" | sort -V | head -n 1)" != "$oldest" ]; then
    echo "tong needs Meson $oldest or newer; this is $version.  Try: pipx install meson" >&2
    exit 1
fi
