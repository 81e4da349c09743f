"""Program layouts made in Python: regions, colors, ports, streams."""

from wafersim.sdk.layout.parts import (
    Color,
    Edge,
    EdgeRouteInfo,
    PortHandle,
    Route,
    RoutingPosition,
    get_edge_routing,
)
from wafersim.sdk.layout.region import CodeRegion
from wafersim.sdk.layout.sdk_layout import SdkLayout

__all__ = [
    "CodeRegion",
    "Color",
    "Edge",
    "EdgeRouteInfo",
    "PortHandle",
    "Route",
    "RoutingPosition",
    "SdkLayout",
    "get_edge_routing",
]
