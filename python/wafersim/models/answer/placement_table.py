"""The placement as a table: wafers, regions, bytes."""

from __future__ import annotations

from typing import Any

from wafersim.models.placement.planner import Plan, Planner


def placement(planner: Planner, plan: Plan) -> list[dict[str, Any]]:
    """One entry per wafer."""
    placed, wafer = plan.placed, planner.wafer
    width = plan.rhythm.batch * planner.speculation.width
    out = []
    for number, (cut, region) in enumerate(zip(placed.cuts, placed.regions, strict=True)):
        stages = [stage for stage in placed.pipeline if stage.wafer == number]
        out.append(
            {
                "wafer": number,
                "first_layer": cut.first if cut.layers else None,
                "last_layer": cut.last - 1 if cut.layers else None,
                "layers": len(cut.layers),
                "has_embedding": cut.has_embedding,
                "has_head": cut.has_head,
                "regions": len(region.meshes),
                "bands": region.bands,
                "region_pes": f"{region.meshes[0].width}x{region.meshes[0].height}"
                if region.meshes
                else None,
                "layers_per_region": list(region.counts),
                "pe_data_bytes": region.fullest_bytes,
                "pe_sram_bytes": wafer.pe_bytes,
                "pe_free_bytes": wafer.pe_bytes - wafer.overhead_bytes - region.fullest_bytes,
                "used_for": "decode and prefill, in place",
                "step_s": sum(placed.stage_s(stage, width, plan.context) for stage in stages),
            }
        )
    return out
