# Sourced by tests/run and examples/demo: finds a Python, makes the virtual environment, installs into it.
# The caller has set -euo pipefail. Nothing outside the environment's folder is changed, but for Debian packages that
# install_debian is asked for.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=${SHADOWMIG_VENV:-$TOP/.venv}

say() { printf '%s\n' "$*" >&2; }

# Print a Python of version 3.11 or newer; SHADOWMIG_PYTHON goes first.
find_python() {
    local name
    for name in ${SHADOWMIG_PYTHON:+"$SHADOWMIG_PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    say "No Python 3.11 or newer was found. Install one, or name it in SHADOWMIG_PYTHON."
    return 1
}

# Install Debian packages if we may: as root, or by sudo that asks for no password. Says so when it may not.
install_debian() {
    local -a as_root=()
    if ! command -v apt-get >/dev/null; then
        say "apt-get is not here, so these are not installed: $*"
        return 1
    fi
    if [ "$(id -u)" != 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            say "Only root may install these: $*. Run: sudo apt-get install $*"
            return 1
        fi
        as_root=(sudo -n)
    fi
    say "Installing $* by apt-get ..."
    local log
    log=$(mktemp)
    # Old package lists can still do, so a failed update alone is no reason to stop.
    "${as_root[@]}" apt-get update -q >"$log" 2>&1 || say "apt-get update failed (no network?); going on."
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$@" >>"$log" 2>&1 </dev/null; then
        tail -n 5 "$log" >&2
        rm -f "$log"
        say "apt-get could not install: $*"
        return 1
    fi
    rm -f "$log"
}

# make_venv WHAT PIP_ARGUMENT...: have an environment with these installed. Quick when pyproject.toml is as it was the
# last time that WHAT was asked for.
make_venv() {
    local what=$1 stamp python state
    shift
    stamp=$VENV/.installed-$what
    state=$(printf '%s ' "$TOP" "$@" | cat - "$TOP/pyproject.toml" | cksum)
    if [ -x "$VENV/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$state" ] && "$VENV/bin/python" -c '' 2>/dev/null; then
        return
    fi
    if ! { [ -x "$VENV/bin/python" ] && "$VENV/bin/python" -m pip --version >/dev/null 2>&1; }; then
        python=$(find_python)
        say "Making $VENV with $("$python" --version) ..."
        if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            install_debian python3-venv || return 1
        fi
        "$python" -m venv --clear "$VENV"
    fi
    rm -f "$stamp"
    say "Installing $what into $VENV ..."
    # pip knows dependency groups from 25.1 on
    if ! "$VENV/bin/python" -m pip install -q --disable-pip-version-check "pip>=25.1" ||
        ! (cd "$TOP" && "$VENV/bin/python" -m pip install -q --disable-pip-version-check "$@"); then
        say "pip could not install what is needed; its message is above. Is there a network?"
        return 1
    fi
    printf '%s\n' "$state" >"$stamp"
}
