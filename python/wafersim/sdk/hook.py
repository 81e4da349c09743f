"""The modules that host scripts import, offered by an importer of this process and of no other.

Nothing is written to the search path, so a vendor's installation on the same machine stays what it is.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence

#: module -> (module of ours, names); a module without names is a package
_TYPES = "wafersim.sdk.types"
_LAYOUT = "wafersim.sdk.layout"
_ELF = "wafersim.sdk.elf_runner"
MODULES: dict[str, list[tuple[str, list[str]]]] = {
    "cerebras": [],
    "cerebras.sdk": [],
    "cerebras.sdk.runtime": [],
    "cerebras.sdk.runtime.sdkruntimepybind": [
        ("wafersim.sdk.runtime", ["SdkRuntime"]),
        (
            _TYPES,
            [
                "FP16TYPE", "MemcpyDataType", "MemcpyOrder", "SdkCompileArtifacts",
                "SdkExecutionPlatform", "SdkTarget", "SimfabConfig", "Task", "get_platform",
                "get_simulator", "get_system",
            ],
        ),
        ("wafersim.sdk.geometry", ["IntRectangle", "IntVector"]),
        (
            _LAYOUT,
            [
                "CodeRegion", "Color", "Edge", "EdgeRouteInfo", "PortHandle", "Route",
                "RoutingPosition", "SdkLayout", "get_edge_routing",
            ],
        ),
    ],
    "cerebras.sdk.sdk_utils": [
        (
            "wafersim.sdk.utils",
            [
                "calculate_cycles", "cast_uint32", "check_rpc_api", "float_to_hex", "get_api_info_dict",
                "get_api_info_dict_from_json", "getOutputNameFromCompileOptions", "input_array_to_u32",
                "is_valid_primitive_type", "make_u48", "memcpy_view", "parse_host_callable_api", "sub_ts",
            ],
        )
    ],
    "cerebras.sdk.runtime.runtime_utils": [
        (
            "wafersim.sdk.utils",
            [
                "calculate_cycles", "input_array_to_u32", "make_u48", "memcpy_view", "output_array_from_u32",
                "sub_ts",
            ],
        ),
        ("wafersim.sdk.portmaps", ["convert_input_tensor", "format_output_tensor", "prepare_output_tensor"]),
    ],
    "cerebras.sdk.debug": [],
    "cerebras.sdk.debug.debug_util": [("wafersim.sdk.debug", ["debug_util"])],
    "cerebras.sdk.client": [("wafersim.sdk.client", ["SdkCompiler", "SdkLauncher", "SdkRuntime"])],
    "cerebras.sdk.client.debug_util": [("wafersim.sdk.client", ["debug_util"])],
    "cerebras.elf": [],
    "cerebras.elf.cself": [(_ELF, ["ELFMemory"])],
    "cerebras.elf.cs_elf_runner": [(_ELF, ["CSELFRunner"])],
    "cerebras.elf.cs_elf_runner.lib": [],
    "cerebras.elf.cs_elf_runner.lib.csl_utils": [(_ELF, ["read_trace"])],
    "cerebras.geometry": [],
    "cerebras.geometry.geometry": [("wafersim.sdk.geometry", ["IntRectangle", "IntVector"])],
    "cerebras.appliance": [],
    "cerebras.appliance.pb": [],
    "cerebras.appliance.pb.sdk": [],
    "cerebras.appliance.pb.sdk.sdk_common_pb2": [(_TYPES, ["MemcpyDataType", "MemcpyOrder"])],
}  # fmt: skip

#: names of older releases
RENAMED = {
    "cerebras.sdk.client.sdk_utils": "cerebras.sdk.sdk_utils",
    "cerebras.sdk.runtime.sdkruntimepy": "cerebras.sdk.runtime.sdkruntimepybind",
    "cerebras_appliance": "cerebras.appliance",
    "cerebras_appliance.sdk": "cerebras.sdk.client",
    "cerebras_appliance.sdk.debug_util": "cerebras.sdk.client.debug_util",
    "cerebras_appliance.pb": "cerebras.appliance.pb",
    "cerebras_appliance.pb.sdk": "cerebras.appliance.pb.sdk",
    "cerebras_appliance.pb.sdk.sdk_common_pb2": "cerebras.appliance.pb.sdk.sdk_common_pb2",
}


class Importer(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of `MODULES` and `RENAMED`, and says so when a script wants another one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        root = fullname.partition(".")[0]
        if root not in ("cerebras", "cerebras_appliance"):
            return None
        if fullname not in MODULES and fullname not in RENAMED:
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: wafersim does not offer it; it offers "
                f"{', '.join(name for name, parts in MODULES.items() if parts)}",
                name=fullname,
            )
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: types.ModuleType) -> None:
        """Fill the module with our names."""
        for source, names in MODULES[RENAMED.get(module.__name__, module.__name__)]:
            ours = importlib.import_module(source)
            for name in names:
                setattr(module, name, getattr(ours, name))


def install() -> None:
    """Offer the modules in this process."""
    if not any(isinstance(finder, Importer) for finder in sys.meta_path):
        sys.meta_path.insert(0, Importer())
