"""The sieve of Eratosthenes as a chain of data tasks.

cslc --arch=wse3 layout.csl --fabric-dims=15,3 --fabric-offsets=4,1 --params=width:8,count:30 --memcpy
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
prime = runner.get_id("prime")
runner.load()
runner.run()

width = params["width"]
runner.launch("main", nonblock=False)
found = np.zeros(width, np.uint32)
runner.memcpy_d2h(found, prime, 0, 0, width, 1, 1, **HOW)
runner.stop()

primes = [n for n in range(2, params["count"] + 2) if all(n % k for k in range(2, n))]
np.testing.assert_array_equal(found, [0, *primes[: width - 1]])
print("SUCCESS!")
