"""A matrix-vector product from strided views.

cslc --arch=wse3 layout.csl --fabric-dims=8,3 --fabric-offsets=4,1 --params=rows:6,columns:8 --memcpy
"""

import argparse
import json

import numpy as np
from cerebras.sdk.runtime.sdkruntimepybind import MemcpyDataType, MemcpyOrder, SdkRuntime

parser = argparse.ArgumentParser()
parser.add_argument("--name", default="out", help="folder that cslc wrote")
args = parser.parse_args()
with open(f"{args.name}/out.json", encoding="utf-8") as file:
    params = {name: int(value) for name, value in json.load(file)["params"].items()}

runner = SdkRuntime(args.name)
HOW = {
    "streaming": False,
    "order": MemcpyOrder.ROW_MAJOR,
    "data_type": MemcpyDataType.MEMCPY_32BIT,
    "nonblock": False,
}
ids = {name: runner.get_id(name) for name in ("A", "x", "y", "diagonal")}
runner.load()
runner.run()

rows, columns = params["rows"], params["columns"]
rng = np.random.default_rng(1)
a = rng.integers(-8, 8, (rows, columns)).astype(np.float32)
x = rng.integers(-8, 8, columns).astype(np.float32)
runner.memcpy_h2d(ids["A"], a.ravel(), 0, 0, 1, 1, rows * columns, **HOW)
runner.memcpy_h2d(ids["x"], x, 0, 0, 1, 1, columns, **HOW)
runner.launch("multiply", nonblock=False)
y, diagonal = np.zeros(rows, np.float32), np.zeros(rows, np.float32)
runner.memcpy_d2h(y, ids["y"], 0, 0, 1, 1, rows, **HOW)
runner.memcpy_d2h(diagonal, ids["diagonal"], 0, 0, 1, 1, rows, **HOW)
runner.stop()

np.testing.assert_array_equal(y, a @ x)
np.testing.assert_array_equal(diagonal, np.diagonal(a))
print("SUCCESS!")
