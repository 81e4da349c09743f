"""A function per element of vectors.

cslc --arch=wse3 layout.csl --fabric-dims=8,3 --fabric-offsets=4,1 --params=n:12 --memcpy
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
ids = {name: runner.get_id(name) for name in ("a", "b", "norms", "counts")}
runner.load()
runner.run()

n = params["n"]
rng = np.random.default_rng(2)
a, b = (rng.standard_normal(n).astype(np.float32) for _ in range(2))
runner.memcpy_h2d(ids["a"], a, 0, 0, 1, 1, n, **HOW)
runner.memcpy_h2d(ids["b"], b, 0, 0, 1, 1, n, **HOW)
runner.launch("main", nonblock=False)
norms, counts = np.zeros(n, np.float32), np.zeros(2, np.int32)
runner.memcpy_d2h(norms, ids["norms"], 0, 0, 1, 1, n, **HOW)
runner.memcpy_d2h(counts, ids["counts"], 0, 0, 1, 1, 2, **HOW)
runner.stop()

np.testing.assert_allclose(norms, np.hypot(a, b), rtol=1e-6)
np.testing.assert_array_equal(counts, [(a < 0).sum(), (a >= 0).sum()])
print("SUCCESS!")
