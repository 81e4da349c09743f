"""A matrix-vector product on a square of PEs with scatter, broadcast, sum and gather.

cslc --arch=wse3 layout.csl --fabric-dims=11,6 --fabric-offsets=4,1 --params=size:4,n:6 --memcpy
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
ids = {name: runner.get_id(name) for name in ("A", "x", "y")}
runner.load()
runner.run()

size, n = params["size"], params["n"]
rng = np.random.default_rng(3)
a = rng.integers(-4, 4, (size * n, size * n)).astype(np.float32)
x = rng.integers(-4, 4, size * n).astype(np.float32)
blocks = a.reshape(size, n, size, n).transpose(0, 2, 3, 1)  # [PE row, PE column, column, row]
runner.memcpy_h2d(ids["A"], blocks.ravel(), 0, 0, size, size, n * n, **HOW)
runner.memcpy_h2d(ids["x"], x, 0, 0, 1, 1, size * n, **HOW)
runner.launch("main", nonblock=False)
y = np.zeros(size * n, np.float32)
runner.memcpy_d2h(y, ids["y"], size - 1, size - 1, 1, 1, size * n, **HOW)
runner.stop()

np.testing.assert_array_equal(y, a @ x)
print("SUCCESS!")
