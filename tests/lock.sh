#!/usr/bin/env bash
# Makes tests/requirements.lock anew: what requirements.txt resolves to today, each file with its hash.
# Needs uv (`pip install uv`). Run it when requirements.txt changed, or when the audit of the locked set complains.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=tests/requirements.lock
scratch="$(mktemp -d)"
trap 'rm -r "$scratch"' EXIT

# What only torch's CUDA builds for Linux bring along: several gigabytes, and other ones with every torch.
{
  printf 'triton\ncuda-bindings\ncuda-pathfinder\ncuda-toolkit\n'
  for part in cublas cuda-cupti cuda-nvrtc cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse \
    cusparselt-cu13 nccl-cu13 nvjitlink nvshmem-cu13 nvtx; do echo "nvidia-$part"; done
} >"$scratch/cuda.txt"

{
  cat <<'HEAD'
# requirements.txt resolved, for Python 3.11 and newer on Linux, macOS and Windows; made by tests/lock.sh.
#   pip install --require-hashes -r tests/requirements.lock
# On Linux it takes torch's CPU build; its hash is that of the one for Python 3.11 on x86-64. Another one of the same
# version may be installed beforehand: pip keeps it. CUDA's packages are not locked.
HEAD
  uv pip compile requirements.txt --universal --python-version 3.11 --generate-hashes --no-header --quiet \
    --excludes "$scratch/cuda.txt"
} >"$scratch/lock"

# On Linux the CPU build, whose version has a label of its own (2.13.0+cpu) that uv leaves aside: the one pip takes here.
torch="$(grep -o '^torch==[0-9.]*' "$scratch/lock")"
pip download --quiet --no-deps --only-binary=:all: --dest "$scratch/torch" "$torch+cpu"
hash="$(sha256sum "$scratch"/torch/torch-*.whl | cut -d ' ' -f 1)"
sed -i "s|^$torch |$torch ; sys_platform != 'linux' |" "$scratch/lock"
printf "%s+cpu ; sys_platform == 'linux' \\\\\n    --hash=sha256:%s\n" "$torch" "$hash" >>"$scratch/lock"
cp "$scratch/lock" "$lock"
