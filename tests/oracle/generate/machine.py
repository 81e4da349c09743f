"""A random arch: the constants vary so that no formula hides behind a 1."""

from __future__ import annotations

from random import Random

import numpy as np

from wafersim.program.schema import ARCH_INTS, ArchInt, Simd, VOp, VOpCost

SWITCHABLE_3 = sum(1 << c for c in (*range(10), 12, 13, 16, 17, 20, 21))

#: name -> choices (the first ones are likelier because they repeat)
CHOICES: dict[str, tuple[int, ...]] = {
    "hop_cycles": (1, 1, 2, 3),
    "ramp_out_cycles": (1, 2, 2, 3, 4),
    "ramp_in_cycles": (1, 2, 2, 3, 4),
    "link_buffer": (1, 2, 2, 3, 4),
    "ramp_buffer": (1, 2, 4, 4, 6),
    "fabric_write_cycles": (1, 1, 2, 3),
    "completion_cycles": (1, 1, 2, 3),
    "task_start_cycles": (1, 1, 2, 4),
    "task_end_cycles": (1, 1, 2, 3),
    "ut_start_cycles": (1, 1, 2, 3),
    "vector_raw_cycles": (3, 3, 5, 8, 12),
    "vector_drain_cycles": (1, 3, 3, 4),
    "dsr_load_use_cycles": (1, 4, 4, 5),
    "read_bytes_per_cycle": (8, 8, 16, 16, 4),
    "conflict_period_bytes": (16, 16, 8, 32),
    "conflict_class_bytes": (0, 0, 4),
    "conflict_cycles": (1, 1, 2),
    "cost_alu": (1, 1, 2),
    "cost_mul": (1, 2, 3),
    "cost_div": (3, 5, 8),
    "cost_fp": (1, 1, 2),
    "cost_fdiv": (4, 9),
    "cost_math": (5, 11),
    "cost_load": (1, 1, 2),
    "cost_store": (1, 1, 2),
    "cost_jump": (1, 2, 6),
    "cost_branch_taken": (1, 3, 6),
    "cost_branch_not_taken": (1, 2, 3),
    "cost_call": (1, 3, 6),
    "cost_ret": (1, 3, 6),
    "cost_loop": (1, 2),
    "cost_loop_back": (1, 4, 9),
    "cost_loop_exit": (1, 3),
    "cost_dsd_set": (1, 1, 2),
    "cost_load_dsr": (1, 1, 2),
    "cost_task_control": (1, 1, 2),
    "cost_config": (1, 2, 3),
    "cost_timestamp": (1, 3),
    "cost_random": (1, 2),
    "cost_done": (1, 2),
    "latency_alu": (1, 1, 2),
    "latency_fp": (2, 2, 3, 1),
    "latency_load": (1, 2, 3),
    "map_call_cycles": (1, 3, 6),
    "scalar_dest_cycles": (1, 1, 2),
    "sram_bytes": (4096, 4096, 49152),
}
PACES = ((1, 1), (1, 1), (1, 1), (9, 8), (5, 4), (3, 2), (2, 1))
VECTOR_PACES = ((1, 1), (1, 1), (1, 1), (5, 3), (9, 4), (11, 8))
DEPTHS = {
    2: ((6, 6, 4, 4, 2, 2, 2, 2), (2, 2, 6, 6, 2, 2)),
    3: ((8, 8, 4, 4, 4, 4, 4, 4), (8,) * 8),
}


def random_arch(rng: Random) -> tuple[np.ndarray, np.ndarray]:
    """(arch_ints, vop_costs)."""
    generation = rng.choice((2, 3))
    ints = np.zeros(ARCH_INTS, np.int64)
    for name, choices in CHOICES.items():
        ints[ArchInt[name.upper()]] = rng.choice(choices)
    ints[ArchInt.RAMP_PACE_NUM], ints[ArchInt.RAMP_PACE_DEN] = rng.choice(PACES)
    ints[ArchInt.GENERATION] = generation
    ints[ArchInt.NUM_COLORS] = 24
    ints[ArchInt.NUM_UTS] = 8
    ints[ArchInt.UT_FREE_CHOICE] = int(generation == 3)
    ints[ArchInt.MAX_FABRIC_SOURCES] = 2 if generation == 2 else 1
    ints[ArchInt.MULTI_INPUT_COLORS] = int(generation == 2)
    ints[ArchInt.SWITCHABLE_MASK] = (1 << 24) - 1 if generation == 2 else SWITCHABLE_3
    ints[ArchInt.DEFAULT_SIMD] = Simd.SIMD_32 if generation == 2 else Simd.SIMD_32_OR_64
    ints[ArchInt.COLOR_CONFIG_BASE] = 0xFE40
    ints[ArchInt.SWITCH_CONFIG_BASE] = 0xFE80
    ints[ArchInt.COUNTER_CONFIG_BASE] = 0xFE00
    ints[ArchInt.QUEUE_CONFIG_BASE] = 0xFEB0 if generation == 2 else -1
    for kind, depths in zip(("IQ", "OQ"), DEPTHS[generation], strict=True):
        ints[ArchInt[f"NUM_{kind}"]] = len(depths)
        shallow = rng.random() < 0.3
        for k, depth in enumerate(depths):
            ints[ArchInt[f"{kind}_DEPTH0"] + k] = rng.randint(1, depth) if shallow else depth
    return ints, _vop_costs(rng)


def _vop_costs(rng: Random) -> np.ndarray:
    costs = np.ones((len(VOp), len(VOpCost)), np.int32)
    plain = rng.random() < 0.4
    for row in costs:
        row[VOpCost.SIMD] = rng.choice((1, 2, 4, 4, 8))
        if not plain:
            row[VOpCost.BEAT_CYCLES] = rng.choice((1, 1, 1, 2, 3))
            row[VOpCost.PACE_NUM], row[VOpCost.PACE_DEN] = rng.choice(VECTOR_PACES)
    return costs
