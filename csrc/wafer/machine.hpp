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
    int64_t max_work = 0;    // at fidelity stream: placements of words, one or many at once; 0: none
};

// A port that the host feeds.
struct HostPlace {
    PeCoord pe;
    int color, port;
};

// One thing that waits when a run is stuck; docs/semantics.md section 7.
struct WaitReport {
    PeCoord pe;
    std::string thread;  // "main", "microthread 3", "task 8", "launch"
    std::string reason;  // what it lacks: "input", "output", "fifo empty", "fifo full", "resource", "blocked", ...
    std::string kind;    // why it lacks that, in two words: "missing sender", "switch position", ...; "" unknown
    std::string what;    // vector op or instruction
    int line = -1, color = -1, queue = -1, task = -1;
    int function = -1;  // launched function, where there is no task
    int64_t done = 0, length = 0, fill = 0;
    std::vector<PeCoord> waits_for;     // PEs whose action would help
    std::vector<PeCoord> blocked_on;    // those of them that wait themselves and would go on from there
    std::vector<HostPlace> host_ports;  // those that a receiver waits for
    std::vector<std::string> places;    // where wavelets stand and what PEs do, in words
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
    // Host ports (docs/semantics.md, section 9); a port that cannot be one is a ProgramFault.
    void declare_port(int x, int y, int color, int port);
    void feed(int x, int y, int color, int port, std::span<const HostWavelet> words);
    int64_t fed_left(int x, int y, int color, int port) const;      // fed, and not yet taken by the router
    int64_t arrived(int x, int y, int color, int port) const;       // collected and arrived, not yet read
    HostWavelet read_collected(int x, int y, int color, int port);  // the first one that arrived
    void watch(int x, int y, int color, int port, int64_t count);   // ends with the next run
    Status run(const Limits& limits, const std::function<bool()>& interrupted);

    Cycle cycle() const { return cycle_; }
    Cycle reached() const { return reached_; }  // where the run in progress was when `interrupted` was asked last
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

    // Into arrays of zeros; what has no tile or no route stays 0, so that an empty region costs nothing.
    void counters(int64_t* out) const;       // [height][width][kNumCounters]
    void event_counts(int64_t* out) const;   // [height][width][kNumEvents]
    void link_wavelets(int64_t* out) const;  // [colors][height][width][5]
    std::vector<WaitReport> waits(size_t limit);
    std::vector<Leftover> leftovers(size_t limit);
    void set_run_ahead(bool on) { core_->run_ahead = on; }

    // From now on the PEs of a rectangle are recorded in cycles begin .. end - 1, with at most `most` entries of the
    // wanted kinds (a bit per Happening).
    void watch(PeCoord corner, int width, int height, Cycle begin, Cycle end, size_t most, uint32_t kinds);
    const Timeline* timeline() const { return timeline_.get(); }
    std::vector<TimelineEntry> timeline_entries();  // those that are over, then the open ones as they stand

  private:
    void step_cycle(Cycle t);
    bool quiescent_is_stuck() const;
    Cycle place_of_rest(Cycle earliest) const;
    uint32_t id_of(int x, int y) const;
    uint32_t host_port(int x, int y, int color, int port) const;
    void take_back(Cycle end);
    PeCoord coord(uint32_t pe) const { return fabric_->coord(pe); }
    Pe* pe(uint32_t id) { return pe_index_[id] < 0 ? nullptr : &pes_[static_cast<size_t>(pe_index_[id])]; }

    // report.cpp
    WaitReport describe_op(Pe& p, int thread);
    WaitReport describe_main(Pe& p);
    WaitReport describe_blocked(Pe& p, int task);
    WaitReport describe_open_launch(Pe& p);

    // follow.cpp
    struct Stand;
    void trace_forward(uint32_t pe, int color, WaitReport& report);
    void judge_head(const ColorState& cs, int port, Stand& stand, WaitReport& report);
    void judge_full_queue(uint32_t pe, int queue, WaitReport& report);
    void trace_backward(uint32_t pe, int color, WaitReport& report);
    void add_host_ports(const ColorState& cs, uint32_t inputs, std::vector<HostPlace>& found) const;
    void judge_host_port(const HostPlace& place, WaitReport& report);
    bool judge_standing(const ColorState& cs, WaitReport& report);
    bool can_send(uint32_t pe, int color);
    bool goes_on(uint32_t pe, int color, bool sends);
    std::string state_of(uint32_t pe);
    void note(WaitReport& report, const char* kind, uint32_t pe, std::string place);

    Arch arch_;
    Program program_;
    Wheel routers_, ces_;
    std::unique_ptr<Fabric> fabric_;
    std::unique_ptr<Core> core_;
    SramArena sram_;
    std::vector<int32_t> pe_index_;
    std::vector<Pe> pes_;
    Cycle cycle_ = 0;
    Cycle reached_ = 0;
    Cycle began_ = 0;      // cycle in which the run began; a run that goes on after a pause began before it
    bool paused_ = false;  // the last run() ended with a pause
    std::unique_ptr<Timeline> timeline_;
    std::optional<RunFault> no_fault_;
    int64_t trace_budget_ = 0;  // router states that the reports of one waits() call may still look at
};

}  // namespace wafersim
