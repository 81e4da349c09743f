// What an instruction of the main thread reads, and what it costs: the table of docs/semantics.md, section 3, without
// the parts that depend on the moment. Both fidelities take it from here.
#pragma once
#include <array>
#include <cstdint>

#include "program/program.hpp"

namespace wafersim {

// Registers and descriptor registers that have to be ready before it issues.
struct Uses {
    std::array<int32_t, 6> regs{};
    std::array<int32_t, 4> dsrs{};
    uint8_t num_regs = 0, num_dsrs = 0;
    bool vector = false;
};
Uses uses_of(const Program& program, const Instr& in);

// Of an operation on registers. `slow`: the result is ready `latency` after the unit is free again, less one cycle.
struct ScalarTiming {
    ArchInt cost = ArchInt::kCostAlu, latency = ArchInt::kLatencyAlu;
    bool slow = false;
};
ScalarTiming scalar_timing(const Instr& in);

}  // namespace wafersim
