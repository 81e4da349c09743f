"""The program of one kind of PE, written in CSL's terms."""

from __future__ import annotations

from wafersim.program.fabric import FabricMixin
from wafersim.program.vector import VectorMixin


class TileProgram(FabricMixin, VectorMixin):
    """The code, data, tasks and queues shared by all PEs that run it (made by `Layout.tile`).

    The methods come in groups: arrays and scalar memory access (`access.MemoryMixin`), scalar values
    (`tile_base.TileBase`), control flow (`flow.FlowMixin`), queues and tasks (`queues.QueueMixin`),
    descriptors (`dsd.DsdMixin`), vector ops (`vector.VectorMixin`), fabric control and time
    (`fabric.FabricMixin`).
    """
