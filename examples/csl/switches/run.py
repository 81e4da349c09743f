"""One color serves several targets in turn: a switch per PE.

cslc --arch=wse3 layout.csl --fabric-dims=12,3 --fabric-offsets=4,1 --params=width:5,n:6 --memcpy
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

width, n = params["width"], params["n"]
sent = np.arange(100, 100 + (width - 1) * n, dtype=np.uint32)
runner.memcpy_h2d(data, sent, 0, 0, 1, 1, sent.size, **HOW)
runner.launch("main", nonblock=False)
received = np.zeros(sent.size, np.uint32)
runner.memcpy_d2h(received, data, 1, 0, width - 1, 1, n, **HOW)
runner.stop()

np.testing.assert_array_equal(received, sent)
print("SUCCESS!")
