#!/usr/bin/env bash
# Incremental build of the core into python/wafersim, for working on it. Usage: tools/dev_build.sh [python]
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}
cmake -S . -B build/dev -G Ninja -DCMAKE_BUILD_TYPE=Release -DWAFERSIM_WERROR=ON \
    -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" -DPython_EXECUTABLE="$(command -v "$python")" >/dev/null
ninja -C build/dev
for built in build/dev/_core*.so; do  # not in place: a running process may have the old one
    cp "$built" "python/wafersim/$(basename "$built").new"
    mv "python/wafersim/$(basename "$built").new" "python/wafersim/$(basename "$built")"
done
