#include "arch/arch.hpp"

#include <string>

namespace wafersim {
namespace {

int ranged(std::span<const int64_t> ints, ArchInt slot, int64_t low, int64_t high) {
    const auto index = static_cast<size_t>(slot);
    const int64_t v = ints[index];
    if (v < low || v > high)
        throw ProgramFault("arch slot " + std::to_string(index) + " is " + std::to_string(v) + "; allowed " +
                           std::to_string(low) + " to " + std::to_string(high));
    return static_cast<int>(v);
}

}  // namespace

Arch::Arch(std::span<const int64_t> values, std::span<const int32_t> vops) : ints(values.begin(), values.end()) {
    if (ints.size() != kArchInts) throw ProgramFault("arch vector has the wrong length");
    if (vops.size() != kNumVops * 4) throw ProgramFault("vector-op table has the wrong size");
    using A = ArchInt;
    auto get = [&](A slot, int64_t low, int64_t high) { return ranged(values, slot, low, high); };
    generation = get(A::kGeneration, 1, 99);
    sram_bytes = get(A::kSramBytes, 64, 65536);
    hop = get(A::kHopCycles, 1, 31);
    ramp_out = get(A::kRampOutCycles, 1, 31);
    ramp_in = get(A::kRampInCycles, 1, 31);
    link_buffer = get(A::kLinkBuffer, 1, 64);
    ramp_buffer = get(A::kRampBuffer, 1, 64);
    ramp_pace_num = get(A::kRampPaceNum, 1, 1 << 20);
    ramp_pace_den = get(A::kRampPaceDen, 1, 1 << 20);
    if (ramp_pace_num < ramp_pace_den || ramp_pace_num > 2 * ramp_pace_den)
        throw ProgramFault("ramp pace must lie between 1 and 2 cycles per wavelet");
    fabric_write = get(A::kFabricWriteCycles, 1, 31);
    completion = get(A::kCompletionCycles, 1, 31);
    task_start = get(A::kTaskStartCycles, 0, 1000);
    task_end = get(A::kTaskEndCycles, 1, 1000);
    ut_start = get(A::kUtStartCycles, 1, 1000);
    vector_raw = get(A::kVectorRawCycles, 1, 16);
    vector_drain = get(A::kVectorDrainCycles, 1, 1000);
    dsr_load_use = get(A::kDsrLoadUseCycles, 1, 1000);
    read_bytes = get(A::kReadBytesPerCycle, 1, 1024);
    conflict_period_words = get(A::kConflictPeriodBytes, 4, 1024) / 4;
    conflict_class_words = get(A::kConflictClassBytes, 0, 1023) / 4;
    conflict_cycles = get(A::kConflictCycles, 0, 1000);
    scalar_dest = get(A::kScalarDestCycles, 1, 1000);
    map_call = get(A::kMapCallCycles, 1, 1000);
    num_uts = get(A::kNumUts, 1, 8);
    num_iq = get(A::kNumIq, 1, 8);
    num_oq = get(A::kNumOq, 1, 8);
    default_simd = get(A::kDefaultSimd, 0, 3);
    ut_free_choice = get(A::kUtFreeChoice, 0, 1) != 0;
    for (int q = 0; q < 8; ++q) {
        const auto iq = static_cast<A>(static_cast<int>(A::kIqDepth0) + q);
        const auto oq = static_cast<A>(static_cast<int>(A::kOqDepth0) + q);
        iq_depth[q] = get(iq, q < num_iq ? 1 : 0, 1024);
        oq_depth[q] = get(oq, q < num_oq ? 1 : 0, 1024);
    }
    for (int slot = static_cast<int>(A::kCostAlu); slot <= static_cast<int>(A::kLatencyLoad); ++slot)
        get(static_cast<A>(slot), 1, 100000);
    for (int v = 0; v < kNumVops; ++v) {
        VopCost& cost = vop[v];
        cost = {vops[v * 4], vops[v * 4 + 1], vops[v * 4 + 2], vops[v * 4 + 3]};
        if (cost.simd < 1 || cost.simd > 16 || cost.beat_cycles < 1 || cost.beat_cycles > 1000 || cost.pace_num < 1 ||
            cost.pace_den < 1 || cost.pace_num > (1 << 20) || cost.pace_den > (1 << 20))
            throw ProgramFault("vector-op table: row " + std::to_string(v) + " is out of range");
    }
}

}  // namespace wafersim
