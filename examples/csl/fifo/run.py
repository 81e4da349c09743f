"""A FIFO decouples a fast sender from a slow receiver.

cslc --arch=wse3 layout.csl --fabric-dims=9,3 --fabric-offsets=4,1 --params=n:40,depth:8 --memcpy
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
sent = np.arange(1, n + 1, dtype=np.uint32)
runner.memcpy_h2d(data, sent, 0, 0, 1, 1, n, **HOW)
runner.launch("main", nonblock=False)
received = np.zeros(n, np.uint32)
runner.memcpy_d2h(received, data, 1, 0, 1, 1, n, **HOW)
runner.stop()

np.testing.assert_array_equal(received, sent**2)
print("SUCCESS!")
