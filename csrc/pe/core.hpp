// The compute element: task scheduler, main thread, microthreads, scalar and vector units. Phase P of
// docs/semantics.md. wafer/ calls step() for every PE that the wheel names; step() decides what issues, accounts the
// cycles since the last call and wakes itself for the next cycle in which its state can change.
//
// While no microthread lives and nothing else of the PE can act, the main thread runs ahead in one call: nothing
// outside can see or change what it does until it touches the fabric or ends its task.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arch/arch.hpp"
#include "engine/wheel.hpp"
#include "fabric/fabric.hpp"
#include "pe/state.hpp"
#include "pe/uses.hpp"
#include "program/program.hpp"
#include "record/timeline.hpp"

namespace wafersim {

struct Print {
    Cycle cycle;
    PeCoord pe;
    int32_t text;
    std::array<uint64_t, 3> values;
    std::array<int32_t, 3> regs;
};

class Core {
  public:
    Core(const Program& program, const Arch& arch, Fabric& fabric, Wheel& routers, Wheel& ces, uint64_t seed);

    void init(Pe& p, uint32_t id, const Tile& tile, uint8_t* sram) const;
    void step(Pe& p, Cycle t);
    void account(Pe& p, Cycle until) const;
    void teardown_due(Pe& p, Cycle when) const;  // activates task 29 from `when` on

    // What a thread waits for, for reports.
    enum class Wait { kNothing, kPipeline, kPace, kInput, kOutput, kResource };
    Wait thread_wait(Pe& p, int thread, Cycle t);
    bool is_daemon(const LiveOp& op) const;
    struct Claim {
        const char* what = "";  // "input queue", "output queue", "push end", "pop end", "microthread"; "" nothing
        int number = -1, thread = -1, line = -1;
    };
    Claim held_claim(Pe& p, const Instr& in);  // what a live op holds that this instruction needs

    Cycle horizon = kForever;  // the main thread never runs ahead past this cycle,
    Cycle ahead = 1;           // nor further than this at a time
    Cycle end = 0;             // cycle after the last activity
    int64_t open_launches = 0;
    std::optional<RunFault> fault;
    std::vector<Print> prints;
    uint64_t events = 0;
    Timeline* timeline = nullptr;
    TimelineEntry task_entry(const Pe& p, Cycle until) const;
    TimelineEntry vector_entry(const Pe& p, const LiveOp& op, Cycle until) const;
    bool run_ahead = true;  // off only in tests: every instruction is then an event of its own

  private:
    struct Decoded : Uses {
        bool local = false;
    };
    struct MainStatus {
        bool ready = false;
        Cycle from = 0;  // earliest cycle by the pipeline
        Counter before = Counter::kStallPipeline, after = Counter::kStallResource;
    };
    struct Beat {
        int elements = 0;  // 0: cannot; -1: control beat; -2: a FIFO ends the synchronous op
        bool lacks_input = false, lacks_output = false;
    };

    // schedule.cpp
    bool apply_completions(Pe& p, Cycle t) const;
    void check_flush(Pe& p, Cycle t) const;
    void wake_for_flush(const Pe& p, Cycle t);
    bool pick(Pe& p, Cycle t);
    bool pickable(const Pe& p, Cycle t, int& task, int& queue, std::string* problem) const;
    void issue(Pe& p, Cycle t);
    void run_main_ahead(Pe& p, Cycle t);
    void plan(Pe& p, Cycle t);
    void plan_from(Pe& p, Cycle now, Counter before, Cycle until, Counter after) const;
    // Only of cycles that a main thread runs ahead, which lie outside the window of a timeline (see step()).
    static void book(Pe& p, Counter kind, Cycle until) {
        p.counters[static_cast<size_t>(kind)] += until - p.accounted;
        p.accounted = until;
    }
    template <bool Traced>
    void account_as(Pe& p, Cycle until) const;
    // Out of the way of what runs while nothing is traced.
    [[gnu::cold, gnu::noinline]] void account_traced(Pe& p, Cycle until) const;
    [[gnu::cold, gnu::noinline]] void trace_stretch(const Pe& p, Cycle from, Cycle until, Counter kind) const;
    [[gnu::cold, gnu::noinline]] void trace_task(const Pe& p, Cycle until) const;
    [[gnu::cold, gnu::noinline]] void trace_vector(const Pe& p, const LiveOp& op, Cycle until) const;
    MainStatus main_status(Pe& p, Cycle t, bool issuing = false);
    void activate(Pe& p, int id) const;
    uint64_t tasks_named(const Pe& p, BlockSpace space, int id) const;  // mask over tile->tasks
    void set_blocked(Pe& p, BlockSpace space, int id, bool blocked) const;
    void fail(const Pe& p, Cycle t, std::string message, int color = -1, int line = -1);
    void mark(Cycle after) { end = after > end ? after : end; }

    // scalar.cpp, control.cpp, fabric_control.cpp
    Decoded decode(const Instr& in) const;
    void exec(Pe& p, const Instr& in, Cycle t);
    void exec_scalar(Pe& p, const Instr& in, Cycle t);
    void exec_descriptor(Pe& p, const Instr& in, Cycle t);
    void exec_control(Pe& p, const Instr& in, Cycle t);
    void exec_fabric(Pe& p, const Instr& in, Cycle t);
    bool exec_free(Pe& p, const Instr& in, Cycle t);  // PRINT, ASSERT
    int config_word(ArchInt base, int words, int32_t address) const;
    bool touches_configuration(const Pe& p, const Instr& in) const;
    bool odd_configuration(Pe& p, int32_t address, Cycle t);
    static int64_t counter(const Pe& p, Cycle t);
    static uint64_t load_counter(const Pe& p, int word, Cycle t);
    static void store_counter(Pe& p, int word, uint32_t value, Cycle t);
    void store_queue_word(Pe& p, int number, uint32_t value);
    uint64_t load_configuration(Pe& p, int32_t address, Cycle t);
    void store_configuration(Pe& p, int32_t address, uint32_t value, Cycle t);
    int64_t event_count(const Pe& p, int event) const;
    void end_task(Pe& p, Cycle t);

    // vector_start.cpp, vector_beats.cpp
    bool claimed(Pe& p, const Instr& in, bool& queue_clash);
    Cycle raw_until(const Pe& p, const Instr& in, Cycle t) const;
    bool start_op(Pe& p, const Instr& in, Cycle t);  // false: zero length, issued as an instruction
    Operand make_operand(Pe& p, const Instr& in, int32_t encoded) const;
    Settings effective_settings(const Pe& p, const Instr& in) const;
    int microthread_of(const Pe& p, const Instr& in, const Settings& set) const;
    int queue_priority(const Pe& p, const LiveOp& op) const;
    bool bind_queues(Pe& p, const LiveOp& op, Cycle t);
    const Dsd* dsr_of(const Pe& p, int32_t encoded) const;
    int64_t operand_length(const Pe& p, const Dsd& d, bool is_source) const;
    int64_t vector_length(const Pe& p, const Instr& in) const;
    bool settle_range(Pe& p, Operand& o, int64_t length, Cycle t, int line);
    Beat check_beat(Pe& p, LiveOp& op, Cycle t, bool arm);
    int issue_beat(Pe& p, LiveOp& op, const Beat& beat, Cycle t);  // returns cycles taken
    bool bulk_beats(Pe& p, LiveOp& op, Cycle limit);
    bool whole_op(Pe& p, const Instr& in, Cycle at, Cycle limit);
    void finish_op(Pe& p, LiveOp& op, Cycle t, int cost);
    uint32_t fetch(Pe& p, Operand& o, uint32_t fabric_value);
    void store(Pe& p, Operand& o, uint32_t value, Cycle t);
    void map_read(Pe& p, LiveOp& op, Cycle t);
    void map_write(Pe& p, LiveOp& op, Cycle t);
    void push_fifo(Pe& p, int fifo, uint32_t value);
    uint32_t pop_fifo(Pe& p, int fifo);
    uint32_t read_sram(const Pe& p, int32_t address, int bytes) const;
    void write_sram(Pe& p, int32_t address, int bytes, uint32_t value) const;

    const Program& program_;
    const Arch& arch_;
    Fabric& fabric_;
    Wheel& routers_;
    Wheel& ces_;
    uint64_t seed_;
    std::vector<Decoded> decoded_;
};

}  // namespace wafersim
