#!/bin/sh
# The programs that no lock file brings, by apt where this is root: curl, which tests call, and a Chromium without
# windows, which halves the work of browser tests; they do with another one. Says what is missing, and goes on.
set -u

[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt=yes || apt=no
listed=no

bring() {
    command -v "$1" >/dev/null && return
    if [ "$apt" = yes ]; then
        [ "$listed" = yes ] || apt-get update -qq >/dev/null 2>&1
        listed=yes
        apt-get install --yes -qq --no-install-recommends "$1" >/dev/null 2>&1 && return
    fi
    echo "$1 is not here: $2"
}

bring curl "tests that speak HTTP/2 by it, or type what the sandbox prints, will fail"
bring chromium-headless-shell "browser tests take longer with another Chromium"
