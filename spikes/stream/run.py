"""Run a library kernel on the stream prototype and, where it is small enough, on the wavelet engine; compare.

python spikes/stream/run.py gemm --grid 8x8 --set tile=4
python spikes/stream/run.py gemm --grid 256x256 --set tile=4 --only-stream
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from wafersim.arch import Arch
from wafersim.kernels import KernelRun, get
from wafersim.program.schema import TYPE_BYTES, Type

ROOT = Path(__file__).resolve().parents[2]
_ZERO = np.zeros((0, 3), np.int32)


def build(directory: Path) -> Path:
    """Configure and compile the prototype; returns the executable."""
    cmake = shutil.which("cmake") or "cmake"
    for options in (["-S", str(ROOT / "spikes/stream"), "-B", str(directory)], ["--build", str(directory)]):
        subprocess.run([cmake, *options], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return directory / "stream_spike"


class _Names:
    """Stands for a simulator during a kernel's setup and remembers which symbols the host writes."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, name: str, value: Any, rect: Any = None) -> None:
        self.written.append(name)


def symbol_bytes(entry: dict[str, Any]) -> int:
    """Size of a symbol in bytes."""
    kind = entry["type"]
    size = TYPE_BYTES[Type[kind.upper()] if isinstance(kind, str) else Type(kind)]
    return size * int(np.prod(entry["shape"], dtype=np.int64))


def export(run: KernelRun, arch: Arch, path: Path) -> None:
    """Write the tables that the prototype reads."""
    names = _Names()
    run.setup(names, np.random.default_rng(0))
    written = [
        (int(tile.split(":")[1]), entry["address"], symbol_bytes(entry))
        for name in names.written
        for tile, entry in run.program.meta["symbols"][name].items()
    ]
    tables: dict[str, Any] = dict(run.program.tables)
    tables["arch_ints"] = np.asarray(arch.ints(), np.int64)
    tables["vop_costs"] = np.asarray(arch.vop_costs(), np.int32)
    tables["host_written"] = np.array(written, np.int32).reshape(-1, 3) if written else _ZERO
    with path.open("wb") as out:
        out.write(struct.pack("<q", len(tables)))
        for name, table in tables.items():
            data = np.ascontiguousarray(table)
            out.write(struct.pack("<q", len(name)) + name.encode())
            out.write(struct.pack(f"<q{data.ndim}q", data.ndim, *data.shape))
            out.write(struct.pack("<q", data.nbytes) + data.tobytes())


def run_stream(program: Path, run: KernelRun, arch: Arch, *options: str) -> dict[str, Any]:
    """Figures of the prototype; ``stamps`` [H, W, n] if the kernel has some."""
    with tempfile.TemporaryDirectory() as directory:
        tables, control = Path(directory) / "tables.bin", Path(directory) / "control.bin"
        export(run, arch, tables)
        number = run.program.meta["functions"][run.launches[0].function]["number"]
        done = subprocess.run(  # noqa: S603
            [str(program), str(tables), str(number), str(control), *options], capture_output=True, text=True
        )
        if not done.stdout:
            raise RuntimeError(done.stderr.strip() or f"the prototype ended with {done.returncode}")
        figures: dict[str, Any] = json.loads(done.stdout)
        if figures["status"] != "refused":
            figures["stamps"] = _stamps(run, figures.pop("control"), control.read_bytes())
    return figures


def _stamps(run: KernelRun, control: Any, raw: bytes) -> Any:
    """The kernel's stamps, from the tiles' control bytes."""
    symbols = run.program.meta["symbols"].get("stamps")
    tile_map = run.program.tables["tile_map"]
    if symbols is None:
        return None
    sizes = [sum(high - low for low, high, _ in ranges) for ranges in control]
    data, at = np.frombuffer(raw, np.uint8), 0
    count = next(iter(symbols.values()))["shape"][0]
    stamps = np.zeros((*tile_map.shape, count), np.int64)
    for place, tile in np.ndenumerate(tile_map):
        if tile < 0:
            continue
        entry = symbols.get(f"tile:{tile}")
        for low, high, offset in control[tile] if entry else ():
            for k in range(count):
                start = entry["address"] + 8 * k
                if low <= start and start + 8 <= high:
                    first = at + offset + start - low
                    stamps[place][k] = data[first : first + 8].view(np.int64)[0]
        at += sizes[tile]
    return stamps


def run_wavelet(run: KernelRun, arch: Arch) -> dict[str, Any]:
    """The same run on the wavelet engine, with values."""
    from wafersim.simulate import Simulator

    sim = Simulator(run.program, arch)
    run.setup(sim, np.random.default_rng(0))
    for launch in run.launches:
        sim.launch(launch.function, **launch.args)
    start = time.perf_counter()
    record = sim.run()
    wall = time.perf_counter() - start
    events = sim._machine.events()
    totals = events.reshape(-1, events.shape[-1]).sum(axis=0)
    whole = (0, 0, run.program.width, run.program.height)
    return {
        "cycles": int(record.cycles),
        "run_s": wall,
        "events": int(sim._machine.events_processed),
        "arbitration_losses": int(totals[11]),
        "backpressure": int(totals[12]),
        "stamps": np.asarray(sim.read("stamps", rect=whole)).astype(np.int64),
    }


def compare(
    kernel: str, arch: Arch, width: int, height: int, params: dict[str, str], program: Path
) -> dict[str, Any]:
    """Both engines on one case: cycles, and the largest differences of any PE's stamps (stream - wavelet)."""
    chosen = get(kernel)
    run = chosen.build(arch, width, height, chosen.resolve(params))
    stream = run_stream(program, run, arch)
    if stream["status"] == "refused":
        return stream
    wavelet = run_wavelet(run, arch)
    delta = stream.pop("stamps") - wavelet.pop("stamps")
    return {
        "status": stream["status"],
        "wavelet": wavelet,
        "stream": stream,
        "difference_cycles": stream["cycles"] - wavelet["cycles"],
        "stamp_difference": [int(delta.min()), int(delta.max())],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kernel")
    parser.add_argument("--grid", default="8x8")
    parser.add_argument("--arch", default="wse2")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--only-stream", action="store_true")
    parser.add_argument("--no-memo", action="store_true")
    parser.add_argument("--build", default=str(ROOT / "build/stream"))
    args = parser.parse_args()
    width, height = (int(n) for n in args.grid.split("x"))
    params = dict(item.split("=", 1) for item in args.set)
    arch, program = Arch.load(args.arch), build(Path(args.build))
    if args.only_stream:
        chosen = get(args.kernel)
        run = chosen.build(arch, width, height, chosen.resolve(params))
        result = run_stream(program, run, arch, *(["nomemo"] if args.no_memo else []))
        stamps = result.pop("stamps", None)
        if stamps is not None:
            result["window_cycles"] = int((stamps[..., 1] - stamps[..., 0]).max())
    else:
        result = compare(args.kernel, arch, width, height, params, program)
    print(json.dumps(result, indent=1))
    return 0 if result["status"] == "finished" else 1


if __name__ == "__main__":
    sys.exit(main())
