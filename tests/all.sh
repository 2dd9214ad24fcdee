#!/usr/bin/env bash
# Every check, in a virtual environment of its own. Installs what it needs, a browser too where it may.
set -euo pipefail
cd "$(dirname "$0")/.."
trap wait EXIT  # nothing that was begun beside is left behind

# Chromium comes from the system: beside pip, which waits for other servers.
browser() {
  if command -v chromium chromium-browser google-chrome >/dev/null; then
    return
  fi
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
  else
    echo "The browser tests need Chromium: please install it (Debian: apt-get install chromium)." >&2
    return 1
  fi
}
browser &
browser=$!

[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
# pip would compile all that it installs, on one core; a quarter of it is ever imported, and Python keeps what it compiles.
export PYTHONDONTWRITEBYTECODE=
.venv/bin/pip install --no-compile --quiet --disable-pip-version-check -r requirements.txt -r tests/requirements.txt
wait "$browser"

.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/lint-imports

# mypy computes for a minute while tests wait for browsers; what it says comes after theirs.
types="$(mktemp)"
.venv/bin/mypy >"$types" 2>&1 &
mypy=$!

# A worker a core; four are plenty, since each has a model and a browser in memory.
tests=0
.venv/bin/python -m pytest -m "not slow" -n logical --maxprocesses 4 --durations=20 "$@" || tests=$?

types_fit=0
wait "$mypy" || types_fit=$?
cat "$types"
rm "$types"
[ "$tests" = 0 ] && [ "$types_fit" = 0 ]
