#!/usr/bin/env bash
# Incremental build of the core into python/wafersim, for working on it. Usage: tools/dev_build.sh [python]
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}
cmake -S . -B build/dev -G Ninja -DCMAKE_BUILD_TYPE=Release -DWAFERSIM_WERROR=OFF \
    -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" -DPython_EXECUTABLE="$(command -v "$python")" >/dev/null
ninja -C build/dev
cp build/dev/_core*.so python/wafersim/
