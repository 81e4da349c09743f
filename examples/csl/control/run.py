"""A control wavelet ends a stream of any length; two launches of the same function.

cslc --arch=wse3 layout.csl --fabric-dims=9,3 --fabric-offsets=4,1 --params=n:20 --memcpy
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
data = runner.get_id("data")
runner.load()
runner.run()

n = params["n"]
numbers = np.arange(-5, n - 5, dtype=np.int32)
runner.memcpy_h2d(data, numbers, 0, 0, 1, 1, n, **HOW)
for count in (n, 7):
    runner.launch("main", np.int16(count), nonblock=False)
    result = np.zeros(2, np.int32)
    runner.memcpy_d2h(result, data, 1, 0, 1, 1, 2, **HOW)
    np.testing.assert_array_equal(result, [numbers[:count].sum(), count])
runner.stop()
print("SUCCESS!")
