#!/bin/sh
# The Python to measure with and to run CI with, printed: $1 where it is built with profile-guided optimization, as
# the image's is, else the distribution's where there is one. What version managers compile mostly is not, and takes
# a tenth longer for everything.
usable() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Distributions ask for it in another way, and always do.
optimized() {
    "$1" -c 'import sys, sysconfig; sys.exit("--enable-optimizations" not in str(sysconfig.get_config_var("CONFIG_ARGS")))'
}

usable "$1" && optimized "$1" && echo "$1" && exit
for python in /usr/bin/python3 /usr/local/bin/python3; do
    usable "$python" && echo "$python" && exit
done
echo "$1"
