# Where tools and build output lie, and how a step is announced. Sourced by ./test, .ci/run and the scripts beside it.
#
# Everything that can be thrown away is in one directory outside the tree, so that a second clone starts warm and
# removing the directory undoes everything but the wasm target of the Rust toolchain.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export SELVEDGE_CACHE="${SELVEDGE_CACHE:-${HOME:?HOME is not set: set it, or SELVEDGE_CACHE}/.cache/selvedge}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$SELVEDGE_CACHE/target}"
TOOLS="$SELVEDGE_CACHE/tools"
VENV="$SELVEDGE_CACHE/venv"
WASM_TARGET=wasm32-unknown-unknown

failed_steps=()

# say WORDS...: one line.
say() { printf '%s\n' "$*"; }

# die WORDS...: says on stderr, with the script's name, why it ends, and ends it.
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# step NAME COMMAND...: runs the command under a heading with the elapsed seconds and returns its exit code; remembers a
# failure in failed_steps. The command must not be a function that relies on `set -e`: bash turns it off under `||`.
step() {
    local name=$1 start=$SECONDS status=0
    shift
    printf '\n=== %s [at %ss]\n' "$name" "$SECONDS"
    "$@" || status=$?
    if ((status == 0)); then
        printf '=== %s: passed in %ss\n' "$name" "$((SECONDS - start))"
    else
        printf '=== %s: FAILED with exit code %s after %ss\n' "$name" "$status" "$((SECONDS - start))"
        failed_steps+=("$name")
    fi
    return "$status"
}

# say_failed_steps: one line for each.
say_failed_steps() {
    local name
    for name in "${failed_steps[@]}"; do say "failed step: $name"; done
}
