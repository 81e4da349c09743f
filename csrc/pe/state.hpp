// What one compute element holds: threads, registers, descriptors, task flags, counters.
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/types.hpp"
#include "fabric/fabric.hpp"
#include "pe/operand.hpp"
#include "program/program.hpp"

namespace wafersim {

inline constexpr int kMainThread = 8;  // microthreads are 0..7

struct LiveOp {
    bool live = false, finished = false, endless = false, synchronous = true, packed = false, conflict_pair = false;
    VOp vop = VOp::kMov32;
    Op op = Op::kVop;
    int thread = kMainThread;
    Operand dst, a, b, c;
    const Operand *first = nullptr, *second = nullptr;  // the pair of memory sources that can conflict
    int64_t length = 0, done = 0, beats = 0;
    Cycle launched = 0, start = -1, next_beat = 0, last_issue = -1;
    int priority = 0, width = 1, simd = 0, cost = 1;
    int write_conflict = 0;  // cycles that every beat pays because its writes and reads share a bank
    Settings set;
    uint32_t index = 0, carry = 0;
    int32_t ok_reg = -1, line = -1;
    int32_t task = -1, function = -1;  // what started it: index in tile->tasks, or a launched function
    uint8_t iq_claims = 0, oq_claims = 0;
    uint64_t fifo_push = 0, fifo_pop = 0;
    // MAP: 0 read, 1 callback running, 2 write
    int map_phase = 0, map_entry = 0, map_arg = 0, map_result = 0;
    size_t map_depth = 0;
    int32_t map_return = 0;
};

struct Completion {
    Cycle when = 0;
    int thread = -1;  // microthread that becomes free, -1 none
    int activate = -1, unblock = -1;
    bool by_teardown = false;  // of no op: a teardown command that activates its task
};

struct FifoState {
    int32_t head = 0, count = 0, read_length = 0, write_length = 0;
    bool armed_push = false, armed_pop = false;
};

struct Launch {
    const Function* function = nullptr;
    std::vector<uint64_t> args;
};

// One compute element. The order of the members is that of their use: what every step reads and writes comes first, in
// as few cache lines as it fits; what only some instructions need comes last.
struct alignas(64) Pe {
    // Cycles before `accounted` are in the counters.
    Cycle last_step = -1, accounted = 0, slot_free = 0, free_at = 0;
    Cycle next_issue = 0, next_vector = 0, last_issue = -1;  // main thread
    uint32_t live_uts = 0, blocked_uts = 0;

    bool in_task = false, dead = false;
    bool traced = false;  // a timeline wants what it does
    bool clash_counted = false;
    int32_t task = -1;  // of the main thread: index in tile->tasks, -1 a host launch
    int32_t pc = 0;
    int main_priority = static_cast<int>(Priority::kMainMediumLow);
    const Tile* tile = nullptr;
    CeQueues* queues = nullptr;
    uint8_t* sram = nullptr;
    Cycle recent_newest = -1000;
    uint64_t active = 0, blocked = 0, high_tasks = 0;  // task flags by index in tile->tasks; high_tasks: HIGH priority

    // Arrays in one block of memory, sizes as the tile says.
    uint64_t* regs = nullptr;
    Cycle *reg_ready = nullptr, *dsr_ready = nullptr;
    Dsd *slots = nullptr, *dsrs = nullptr;  // dsrs: the three files one after the other
    Cycle* last_pick = nullptr;             // by task
    FifoState* fifos = nullptr;
    uint32_t id = 0;
    int tail_kind = 0;  // class of the last beat, for a run that ends within it; so is tail_conflict

    // `plan` says what the cycles after `accounted` are, so that a step in which nothing happens leaves no trace.
    struct Stretch {
        Cycle start;
        Counter kind;
    };
    std::vector<Stretch> plan;
    std::vector<Completion> completions;
    size_t next_launch = 0;
    std::vector<Launch> launches;
    std::array<std::unique_ptr<LiveOp>, 9> ops;  // microthreads, then the main thread

    std::array<int64_t, kNumCounters> counters{};
    std::array<int64_t, kNumEvents> events{};
    std::array<int32_t, 3> dsr_first{};
    int32_t launch_line = -1;
    int tail_conflict = 0, open_launches = 0;
    std::vector<int32_t> calls;
    Cycle tsc_offset = 0, tsc_frozen = 0, task_began = 0;
    bool tsc_enabled = true;
    uint32_t random = 0xdeadbeef;
    int recent_next = 0;
    struct Recent {
        Cycle start = -1000;
        int32_t low = 0, high = 0;
    };
    std::array<Recent, 16> recent{};
    std::unique_ptr<std::byte[]> block;

    void allocate(const Tile& of);
    void note_write(Cycle start, int32_t low, int32_t high) {
        recent[static_cast<size_t>(recent_next)] = {start, low, high};
        recent_next = (recent_next + 1) & 15;
        recent_newest = start;
    }
    // Brings the lines that a step reads first into the cache.
    void prefetch(bool again) const {
        if (!again) {
            for (size_t line = 0; line < 6; ++line) __builtin_prefetch(reinterpret_cast<const char*>(this) + 64 * line);
        } else {
            __builtin_prefetch(regs);
            __builtin_prefetch(reg_ready);
            for (uint32_t rest = live_threads(); rest; rest &= rest - 1) __builtin_prefetch(op(std::countr_zero(rest)));
        }
    }
    int launched_function() const { return task < 0 && next_launch ? launches[next_launch - 1].function->number : -1; }
    LiveOp* op(int thread) const { return ops[static_cast<size_t>(thread)].get(); }
    bool main_op_live() const { return ops[kMainThread] && ops[kMainThread]->live; }
    uint32_t live_threads() const { return live_uts | (main_op_live() ? 1u << kMainThread : 0u); }
    int64_t& count(Event e) { return events[static_cast<size_t>(e)]; }
};

}  // namespace wafersim
