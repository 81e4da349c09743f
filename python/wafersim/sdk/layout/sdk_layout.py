"""``SdkLayout``: regions, connections and streams, compiled to an output folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wafersim.errors import ConfigError
from wafersim.sdk.geometry import IntVector
from wafersim.sdk.layout import coloring, csl_text, host_ports
from wafersim.sdk.layout.parts import Color, Place, PortHandle
from wafersim.sdk.layout.region import CodeRegion
from wafersim.sdk.layout.wiring import Wiring
from wafersim.sdk.types import (
    FP16TYPE,
    PathLike,
    SdkCompileArtifacts,
    SdkExecutionPlatform,
    SdkTarget,
)

SOURCE_NAME = "layout.csl"


class SdkLayout:
    """A program layout made in Python.

    Parameters
    ----------
    platform : SdkExecutionPlatform, SdkTarget or path of a fabric file
        The machine to compile for.
    """

    def __init__(self, platform: SdkExecutionPlatform | SdkTarget | PathLike, **kwargs: Any) -> None:
        self._target = _target_of(platform)
        self._regions: dict[str, CodeRegion] = {}
        self._connections: list[tuple[PortHandle, PortHandle]] = []
        self._streams: dict[str, PortHandle] = {}
        self._direct: dict[str, tuple[Color, Place, bool]] = {}

    # -- building ------------------------------------------------------------------------------------------

    def create_code_region(self, source: str, name: str, width: int, height: int) -> CodeRegion:
        """A rectangle of PEs that run a source file."""
        if name in self._regions:
            raise ConfigError(f"code region {name!r} exists already")
        if not Path(source).is_file():
            raise ConfigError(f"code region {name!r}: {source}: no such file")
        self._regions[name] = CodeRegion(source, name, width, height)
        return self._regions[name]

    def connect(self, tx: PortHandle, rx: PortHandle) -> None:
        """Lead an output port's words to an input port."""
        if not tx.is_output or rx.is_output:
            raise ConfigError(f"connect: {tx} and {rx} given, an output port and an input port wanted")
        if tx.size != rx.size:
            raise ConfigError(f"connect: {tx} passes {tx.size} words, {rx} {rx.size}; they must be equal")
        if len(tx.places) != len(rx.places):
            raise ConfigError(
                f"connect: {tx} has {len(tx.places)} PEs, {rx} {len(rx.places)}; they must have equally many"
            )
        self._connections.append((tx, rx))

    def create_input_stream(
        self, port: PortHandle, io_loc: IntVector | None = None, io_buffer_size: int = 1024
    ) -> str:
        """A stream from the host to an input port; its name for `SdkRuntime.send`."""
        return self._stream(port, is_output=False)

    def create_output_stream(
        self, port: PortHandle, io_loc: IntVector | None = None, io_buffer_size: int = 1024
    ) -> str:
        """A stream from an output port to the host; its name for `SdkRuntime.receive`."""
        return self._stream(port, is_output=True)

    def _stream(self, port: PortHandle, is_output: bool) -> str:
        kind = "output" if is_output else "input"
        if port.is_output != is_output:
            raise ConfigError(f"create_{kind}_stream: {port} given, an {kind} port wanted")
        if len(port.region.ports[port.name].places) != 1:
            raise ConfigError(
                f"create_{kind}_stream: {port} has {len(port.places)} PEs; a stream ends at one (put "
                "a region that "
                "deals the words out or gathers them between)"
            )
        if port.name in self._streams:
            raise ConfigError(f"create_{kind}_stream: {port} has a stream already")
        self._streams[port.name] = port
        return port.name

    def create_input_stream_from_loc(self, loc: IntVector, color: Color, prefix: str = "") -> str:
        """A stream from the host to the ramp of a PE whose region paints the color; its name."""
        return self._direct_stream(loc, color, prefix, is_output=False)

    def create_output_stream_from_loc(self, loc: IntVector, color: Color, prefix: str = "") -> str:
        """A stream of a color from a PE to the host; its name."""
        return self._direct_stream(loc, color, prefix, is_output=True)

    def _direct_stream(self, loc: IntVector, color: Color, prefix: str, is_output: bool) -> str:
        name = f"{prefix}{color.get_global_name()}_{loc.x}_{loc.y}"
        if name in self._direct:
            raise ConfigError(f"stream {name!r} exists already; give a prefix of its own")
        self._direct[name] = (color, (loc.x, loc.y), is_output)
        return name

    def hstack(self, children: Sequence[CodeRegion], origin: IntVector | None = None) -> int:
        """Put regions side by side from the first one's place (or ``origin``) on; their width."""
        return self._stack(children, origin, (1, 0))

    def vstack(self, children: Sequence[CodeRegion], origin: IntVector | None = None) -> int:
        """Put regions below each other; their height."""
        return self._stack(children, origin, (0, 1))

    @staticmethod
    def _stack(children: Sequence[CodeRegion], origin: IntVector | None, step: Place) -> int:
        if not children:
            raise ConfigError("hstack, vstack: at least one region wanted")
        x, y = children[0].origin if origin is None else (origin.x, origin.y)
        length = 0
        for region in children:
            region.place(x + step[0] * length, y + step[1] * length)
            length += region.width if step[0] else region.height
        return length

    # -- compiling -----------------------------------------------------------------------------------------

    def compile(
        self,
        out_prefix: str,
        libs: Sequence[str] = (),
        cslc_prefix: str = "",
        save_port_map: bool = False,
        f16_type: FP16TYPE = FP16TYPE.F16,
    ) -> SdkCompileArtifacts:
        """Find the ways and numbers of all colors, compile, write the folder ``out_prefix``."""
        from wafersim.csl.compile import compile_csl
        from wafersim.sdk.folder import Folder

        if not self._regions:
            raise ConfigError("SdkLayout.compile: there is no code region")
        folder_path = Path(out_prefix)
        text, numbers, class_of = self._layout_block()
        folder_path.mkdir(parents=True, exist_ok=True)
        (folder_path / SOURCE_NAME).write_text(text)
        compiled = compile_csl(
            folder_path / SOURCE_NAME,
            arch=self._target.arch,
            import_paths=[Path(lib) for lib in libs],
            fp16=f16_type.name.lower(),
        )
        ports = self._ports(numbers, class_of)
        program = host_ports.open_outputs(compiled.program, ports)
        folder = Folder(folder_path, program, start_values=self._start_values(), ports=ports)
        folder.save()
        if save_port_map:
            (folder_path / "port_map.json").write_text(json.dumps(ports, indent=1) + "\n")
        return SdkCompileArtifacts(folder_path)

    def _layout_block(self) -> tuple[str, dict[str, int], dict[str, str]]:
        regions = list(self._regions.values())
        colors = self._colors()
        joined = [(tx.color.get_global_name(), rx.color.get_global_name()) for tx, rx in self._connections]
        class_of = coloring.classes_of(colors, joined)
        # one more column and row than the regions take, so that there is a way around them
        width = max(region.origin[0] + region.width for region in regions) + 1
        height = max(region.origin[1] + region.height for region in regions) + 1
        wiring = Wiring(regions, class_of, width, height)
        for port in self._streams.values():
            (wiring.host_output if port.is_output else wiring.host_input)(port)
        for tx, rx in self._connections:
            wiring.connect(tx, rx)
        numbers = self._numbers(wiring, colors, class_of)
        for name, color in colors.items():
            color.value = numbers[class_of[name]]
        if not self._connections:
            width, height = width - 1, height - 1
        text = csl_text.layout_text(width, height, regions, wiring.routes, numbers, class_of)
        return text, numbers, class_of

    def _colors(self) -> dict[str, Color]:
        """Every color by its global name; one number given for a name holds for all of that name."""
        found: dict[str, Color] = {}
        for color in self._all_colors():
            first = found.setdefault(color.get_global_name(), color)
            if first.value is None:
                first.value = color.value
            elif color.value not in (None, first.value):
                raise ConfigError(
                    f"color {color.get_global_name()!r}: numbers {first.value} and {color.value} given"
                )
        return found

    def _all_colors(self) -> list[Color]:
        listed: list[Color] = []
        for region in self._regions.values():
            listed += [port.color for port in region.ports.values()]
            listed += [color for color, _ in region.painted.values()]
            for params in region.params.values():
                listed += [value for value in params.values() if isinstance(value, Color)]
        return listed + [color for color, _, _ in self._direct.values()]

    def _numbers(self, wiring: Wiring, colors: dict[str, Color], class_of: dict[str, str]) -> dict[str, int]:
        places: dict[str, set[Place]] = {name: set() for name in dict.fromkeys(class_of.values())}
        switched = set()
        for (place, name), positions in wiring.routes.items():
            places[name].add(place)
            if len(positions) > 1:
                switched.add(name)
        for region in self._regions.values():
            for (x, y), params in region.params.items():
                for value in params.values():
                    if isinstance(value, Color):
                        name = class_of[value.get_global_name()]
                        places[name].add((x + region.origin[0], y + region.origin[1]))
        fixed = {class_of[name]: color.value for name, color in colors.items() if color.value is not None}
        return coloring.allocate(places, fixed, switched, self._target.arch)

    def _ports(self, numbers: dict[str, int], class_of: dict[str, str]) -> dict[str, Any]:
        ports: dict[str, Any] = {}
        for name, port in self._streams.items():
            number = numbers[class_of[port.color.get_global_name()]]
            ports[name] = _port_entry(number, port.places[0], port.is_output, port.size)
        for name, (color, place, is_output) in self._direct.items():
            number = numbers[class_of[color.get_global_name()]]
            ports[name] = _port_entry(number, place, is_output, None)
        return ports

    def _start_values(self) -> dict[str, Any]:
        return {
            f"{symbol}@{region.origin[0]},{region.origin[1]}": data
            for region in self._regions.values()
            for symbol, data in region.symbols.items()
        }


def _port_entry(color: int, place: Place, to_host: bool, size: int | None) -> dict[str, Any]:
    return {"color": color, "x": place[0], "y": place[1], "to_host": to_host, "size": size}


def _target_of(platform: SdkExecutionPlatform | SdkTarget | PathLike) -> SdkTarget:
    if isinstance(platform, SdkExecutionPlatform):
        return platform.target
    if isinstance(platform, SdkTarget):
        return platform
    path = Path(platform)
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"SdkLayout: fabric file {path} cannot be read ({error})") from None
    text = json.dumps(document).lower()
    return SdkTarget.WSE2 if "wse2" in text else SdkTarget.WSE3
