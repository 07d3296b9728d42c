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
fi
[ "$mode" = install ] && [ "$(id -u)" = 0 ] && have apt-get || optional=
missing=${missing# }
optional=${optional# }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        echo "root is needed for: $*" >&2
        sudo "$@"
    else
        echo "As root, run: $*" >&2
        exit 1
    fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

if [ -n "$missing$optional" ]; then
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
    echo "Installing:${missing:+ $missing}${optional:+ $optional}" >&2
    # Lists that were never fetched, or are too old to name what the mirror has, are fetched once.
    # shellcheck disable=SC2086
    apt_install $missing $optional >/dev/null 2>&1 || {
        as_root apt-get update
        apt_install $missing $optional
    }
fi

oldest=0.61.0
version=$(meson --version)
if [ "$(printf '%s\n%s\n' "$oldest" "$version" | sort -V | head -n 1)" != "$oldest" ]; then
    echo "tong needs Meson $oldest or newer; this is $version.  Try: pipx install meson" >&2
    exit 1
fi
