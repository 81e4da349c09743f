"""Copy a vector to every PE, launch a function on all, copy the results back.

cslc --arch=wse3 layout.csl --fabric-dims=11,6 --fabric-offsets=4,1 --params=size:4,n:8 --memcpy
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
x = runner.get_id("x")
runner.load()
runner.run()

size, n = params["size"], params["n"]
data = np.arange(size * size * n, dtype=np.float32)
runner.memcpy_h2d(x, data, 0, 0, size, size, n, **HOW)
runner.launch("scale", np.float32(0.5), nonblock=False)
result = np.zeros(size * size * n, dtype=np.float32)
runner.memcpy_d2h(result, x, 0, 0, size, size, n, **HOW)
runner.stop()

factor = np.arange(size * size, dtype=np.float32)[:, np.newaxis]
column = np.tile(np.arange(size, dtype=np.float32), size)[:, np.newaxis]
expected = data.reshape(size * size, n) * factor + np.float32(0.5) * column
np.testing.assert_array_equal(result.reshape(size * size, n), expected)
print("SUCCESS!")
