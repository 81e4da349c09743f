// A wafer with a program on it: owns the PEs, their SRAM, the fabric and the two wheels, and runs cycles until nothing
// can happen, a limit, a pause or a fault. One thread at a time may use a Machine; different Machines are independent.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "arch/arch.hpp"
#include "engine/wheel.hpp"
#include "fabric/fabric.hpp"
#include "pe/core.hpp"
#include "program/program.hpp"
#include "wafer/sram.hpp"

namespace wafersim {

enum class Status { kFinished, kStuck, kLimit, kInterrupted, kPaused, kFault };

struct Limits {
    Cycle max_cycles = -1;   // -1: none
    double max_seconds = 0;  // 0: none
    int64_t max_events = 0;  // 0: none
    Cycle pause_at = -1;     // absolute cycle, -1: none
};

// One thing that waits when a run is stuck; docs/semantics.md section 7.
struct WaitReport {
    PeCoord pe;
    std::string thread;  // "main", "microthread 3", "task 8"
    std::string reason;  // "input", "output", "queue", "fifo", "microthread", "blocked", "never activated", "done"
    std::string what;    // vector op or instruction
    int line = -1, color = -1, queue = -1, task = -1;
    int64_t done = 0, length = 0, fill = 0;
    std::vector<PeCoord> waits_for;          // PEs whose action would help
    std::vector<std::string> places;         // where wavelets stand, in words
};

struct Leftover {
    PeCoord pe;
    int color;
    std::string where;
    int count;
};

class Machine {
  public:
    Machine(const Tables& tables, std::span<const int64_t> arch, std::span<const int32_t> vops, uint64_t seed);

    // Makes a pending launch on every PE that exports `function`; returns how many.
    int launch(int function, std::span<const uint64_t> args);
    Status run(const Limits& limits, const std::function<bool()>& interrupted);

    Cycle cycle() const { return cycle_; }
    uint64_t events() const { return core_->events + fabric_->events; }
    int width() const { return program_.width; }
    int height() const { return program_.height; }
    const Program& program() const { return program_; }
    const Arch& arch() const { return arch_; }
    Pe* pe(int x, int y);
    uint8_t* sram(int x, int y);
    Fabric& fabric() { return *fabric_; }
    Core& core() { return *core_; }
    const std::optional<RunFault>& fault() const;
    std::vector<Print> prints() const;
    int64_t open_launches() const { return core_->open_launches; }

    void counters(int64_t* out) const;       // [height][width][kNumCounters]
    void event_counts(int64_t* out) const;   // [height][width][kNumEvents]
    void link_wavelets(int64_t* out) const;  // [colors][height][width][5]
    std::vector<WaitReport> waits(size_t limit);
    std::vector<Leftover> leftovers(size_t limit);
    void set_run_ahead(bool on) { core_->run_ahead = on; }

  private:
    void step_cycle(Cycle t);
    bool quiescent_is_stuck() const;
    PeCoord coord(uint32_t pe) const { return fabric_->coord(pe); }
    void trace_forward(uint32_t pe, int color, WaitReport& report);
    void trace_backward(uint32_t pe, int color, WaitReport& report);

    Arch arch_;
    Program program_;
    Wheel routers_, ces_;
    std::unique_ptr<Fabric> fabric_;
    std::unique_ptr<Core> core_;
    SramArena sram_;
    std::vector<int32_t> pe_index_;
    std::vector<Pe> pes_;
    Cycle cycle_ = 0;
    std::optional<RunFault> no_fault_;
};

}  // namespace wafersim
