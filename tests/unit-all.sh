#!/bin/sh
# The fast tests on every supported Python that is at hand, each in a virtual environment of its own.
# Fails if they fail on one, or if there is none at hand. PYTHONS="3.12 3.13" narrows the choice.
set -u
cd "$(dirname "$0")/.." || exit 1

pythons=${PYTHONS:-3.11 3.12 3.13 3.14}
passed='' failed='' skipped=''

# A shim of pyenv may be there for a version that is not enabled, and a distribution may lack venv: only
# what really runs, is what its name says and can make an environment counts.
usable() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' "$2" >/dev/null 2>&1
}

find_python() {
    for candidate in "$(command -v "python$1")" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
        if [ -n "$candidate" ] && [ -x "$candidate" ] && usable "$candidate" "$1"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# Installed means: by this lock file and this project file, completely.
installed() {
    [ -f "$1/.installed" ] && usable "$1/bin/python" "$2" &&
        [ -z "$(find requirements.lock pyproject.toml -newer "$1/.installed")" ]
}

install() {
    echo "installing the locked dependencies into $2"
    rm -rf "$2"
    "$1" -m venv "$2" &&
        "$2/bin/python" -m pip --quiet --disable-pip-version-check install \
            --require-hashes --only-binary :all: -r requirements.lock &&
        "$2/bin/python" -m pip --quiet --disable-pip-version-check install \
            --no-deps --no-build-isolation --editable . &&
        touch "$2/.installed"
}

for version in $pythons; do
    if ! python=$(find_python "$version"); then
        skipped="$skipped $version"
        continue
    fi
    echo "== Python $version ($python)"
    environment=.venv-$version
    if { installed "$environment" "$version" || install "$python" "$environment"; } &&
        "$environment/bin/python" -m pytest -q -m 'not cluster and not sandbox'; then
        passed="$passed $version"
    else
        failed="$failed $version"
    fi
done

echo "== passed:${passed:- none}; failed:${failed:- none}; not at hand:${skipped:- none}"
[ -n "$passed" ] && [ -z "$failed" ]
