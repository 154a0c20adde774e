#!/bin/sh
# The Python to measure with, printed: the distribution's where there is one, else $1. The image's is built with
# profile-guided optimization, as distributions' are; what version managers compile mostly is not, and decides
# a tenth slower.
for python in /usr/bin/python3 /usr/local/bin/python3 "$1"; do
    if "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "$python"
        exit
    fi
done
echo "$1"
