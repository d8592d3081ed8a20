#!/bin/bash
# Sets Mordal up: installs the Debian packages that are missing (as root), builds into build/, and
# runs the quick start. Without root it names the missing packages and goes on if none is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'USAGE'
usage: env/install.sh [--prefix DIR] [--test-packages] [--no-quickstart]
  --prefix DIR      also install into DIR: bin, man pages, job scripts, module file
  --test-packages   also install what the tests need, and let no compiler warning pass
  --no-quickstart   don't run docs/quickstart
USAGE
}

die() {
    echo "install.sh: $*" >&2
    exit 1
}

prefix='' sections='build run' quickstart=1
while (($# > 0)); do
    case $1 in
        --prefix) (($# > 1)) || die "--prefix takes a folder"; prefix=$2; shift ;;
        --test-packages) sections='build run test' ;;
        --no-quickstart) quickstart='' ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 64 ;;
    esac
    shift
done

wanted_packages() {
    awk -v sections=" $sections " '!/^#/ && NF && index(sections, " " $1 " ") {print $2}' \
        env/packages.txt
}

missing_packages() {
    local package
    for package in $(wanted_packages); do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            echo "$package"
    done
}

install_packages() {
    local missing
    if ! command -v dpkg-query >/dev/null; then
        echo "no Debian system: make sure that it has the like of env/packages.txt"
        return
    fi
    mapfile -t missing < <(missing_packages)
    if ((${#missing[@]} == 0)); then
        echo "packages: all are there"
    elif [[ $EUID -eq 0 ]]; then
        echo "packages: installing ${missing[*]}"
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
    else
        echo "packages: missing: ${missing[*]}" >&2
        die "run this, then env/install.sh again:  sudo apt-get install ${missing[*]}"
    fi
}

build() {
    local words=(-S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release)
    if [[ $sections == *test* ]]; then
        words+=(-DCMAKE_COMPILE_WARNING_AS_ERROR=ON)
    fi
    if [[ $prefix ]]; then
        words+=("-DCMAKE_INSTALL_PREFIX=$(realpath -m "$prefix")")
    fi
    cmake "${words[@]}"
    cmake --build build
    if [[ $prefix ]]; then
        cmake --install build
        echo "installed into $prefix; module use $prefix/share/modulefiles"
    fi
}

install_packages
build
if [[ $quickstart ]]; then
    build/bin/mordal run docs/quickstart/STUDY.yaml
fi
