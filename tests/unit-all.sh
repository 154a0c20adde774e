#!/bin/sh
# `make unit` on every supported Python that is at hand, each in a virtual environment of its own.
# Fails if it fails on one, or if there is none at hand. PYTHONS="3.12 3.13" narrows the choice.
set -u
cd "$(dirname "$0")/.." || exit 1

pythons=${PYTHONS:-3.11 3.12 3.13 3.14}
passed='' failed='' skipped=''

# A shim of pyenv is there for versions that are not enabled too, and a distribution may lack venv: only
# what really runs, is what its name says and can make an environment counts.
usable() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' "$2" >/dev/null 2>&1
}

# The first usable one: on PATH (where one that does not run may hide another), else of pyenv, enabled or not.
find_python() {
    {
        echo "$PATH" | tr : '\n' | sed "s|\$|/python$1|"
        printf '%s\n' "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python
    } | while read -r candidate; do
        if usable "$candidate" "$1"; then
            echo "$candidate"
            break
        fi
    done
}

for version in $pythons; do
    python=$(find_python "$version")
    if [ -z "$python" ]; then
        skipped="$skipped $version"
        continue
    fi
    environment=.venv-$version
    echo "== Python $version: $python, $environment"
    usable "$environment/bin/python" "$version" || rm -rf "$environment" # its Python is gone, or another one
    if "${MAKE:-make}" --no-print-directory unit PYTHON="$python" VENV="$environment"; then
        passed="$passed $version"
    else
        failed="$failed $version"
    fi
done

echo "== passed:${passed:- none}; failed:${failed:- none}; not at hand:${skipped:- none}"
[ -n "$passed" ] && [ -z "$failed" ]
