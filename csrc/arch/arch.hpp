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

    // Cycles that a beat pays when it reads two addresses (bytes).
    int read_conflict(int64_t a0, int64_t a1) const {
        const int64_t distance = (a0 >> 2) - (a1 >> 2), period = conflict_period_words;
        return ((distance % period) + period) % period == conflict_class_words ? conflict_cycles : 0;
    }
    // Cycles that every beat of an op pays whose destination and a source stay in the banks they begin in.
    int write_conflict(int64_t base, int64_t step, int64_t source, int64_t source_step) const {
        const int64_t period = int64_t{4} * conflict_period_words;
        if (step == 0 || source_step == 0 || step % period || source_step % period) return 0;
        const int64_t distance = ((base >> 2) - (source >> 2)) % conflict_period_words;
        return distance == 0 ? conflict_cycles : 0;
    }

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
