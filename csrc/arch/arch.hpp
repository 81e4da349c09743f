// What the machine is: integers handed over by the Python arch presets, ranges checked, no measured value here.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/types.hpp"
#include "program/opcodes.hpp"

namespace wafersim {

struct VopCost {
    int simd = 1;         // elements per beat, at most
    int beat_cycles = 1;  // cycles of one beat on the datapath
    int pace_num = 1;     // beat k not before start + k * num / den
    int pace_den = 1;
};

// Field names and meanings: schema.ArchInt. `value(ArchInt)` reads a slot; hot ones have a member of their own.
struct Arch {
    Arch(std::span<const int64_t> ints, std::span<const int32_t> vops);

    int64_t value(ArchInt slot) const { return ints[static_cast<size_t>(slot)]; }
    int iq_capacity(int queue) const { return iq_depth[queue] + ramp_in; }

    std::vector<int64_t> ints;
    VopCost vop[kNumVops];
    int generation, sram_bytes, hop, ramp_out, ramp_in, link_buffer, ramp_buffer;
    int ramp_pace_num, ramp_pace_den, fabric_write, completion, task_start, task_end, ut_start;
    int vector_raw, vector_drain, dsr_load_use, read_bytes, conflict_period_words, conflict_class_words;
    int conflict_cycles, scalar_dest, map_call, num_uts, num_iq, num_oq, default_simd;
    bool ut_free_choice;
    int iq_depth[8], oq_depth[8];
};

}  // namespace wafersim
