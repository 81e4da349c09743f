// What one PE is at stream fidelity: router, queues, threads and main thread, with their predictions. Stages are made
// when they are first used, so that a PE costs what its program uses.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "program/program.hpp"
#include "stream/fifo.hpp"
#include "stream/filter.hpp"
#include "stream/seq.hpp"
#include "stream/words.hpp"

namespace wafersim::stream {

inline constexpr int64_t kNever = INT64_MAX;         // no such word
inline constexpr int kMainOp = 8;                    // thread number of a synchronous op of the main thread
inline constexpr int64_t kNoEnd = INT64_C(1) << 48;  // words of an op of endless length

// What this fidelity cannot represent; the run ends with the reason.
struct Refused : std::runtime_error {
    explicit Refused(const std::string& what, int32_t source = -1) : std::runtime_error(what), line(source) {}
    int32_t line;
};

struct Special {  // a control word, or a word behind which the local switch advances
    int64_t k = 0;
    uint32_t payload = 0;
    bool advance = false;
    bool operator==(const Special&) const = default;
};

using WordsOf = std::unique_ptr<Words>;  // what stands in a stage, with values only

struct LinkFifo {
    Seq a, d;                  // departures upstream (arrival is one latency later), and its own departures
    int64_t blocked = kNever;  // first word that is here, or can come, and cannot leave
    Cycle granted = kMinus;    // last departure that `d` has forgotten, for the order of grants
    Cycle entered = kMinus;    // last arrival that `a` has forgotten, for the order of queues at the ramp
    int8_t come_as = -1;  // its color, or the other one of the pair if a swap flips it on its way; -1: nothing came
    std::vector<Special> specials;
    WordsOf words;  // of `a`
};

// This router's knowledge of a neighbor's FIFO: what was sent, and which departures there hold it up.
struct OutLink {
    Seq sent, credit;
    int64_t blocked = kNever;
    std::vector<Special> specials;
    WordsOf words;  // of `sent`
};

// What a router sends to the host by one of its ports: all of it, until the host reads it.
struct Sink {
    OutLink link;
    int64_t taken = 0;
};

struct Color {
    int32_t color = -1, route = -1, position = 0, iq = -1;
    bool teardown = false, torn = false;          // torn: by a command, since TEARDOWN_PENDING was last read
    Cycle changed = kMinus;                       // last change of the route
    SwitchCommand pending = SwitchCommand::kNop;  // of a control wavelet granted in cycle `changed`; acts behind it
    // The main thread is ahead of the cycle: in cycle `planned` (kForever: none) the route is set and teardown ends.
    Cycle planned = kForever;
    int32_t planned_route = -1;  // -1: as it is
    bool planned_teardown = false;
    Filter* filter = nullptr;  // made when the first route with one comes
    std::array<LinkFifo*, 5> fifo{};
    std::array<OutLink*, 4> out{};
    Sink* sinks = nullptr;  // of each port, made when the first word is to go to the host
};

struct InQueue {
    int32_t color = -1, priority = -1;
    Seq a, b;                       // grants into it, pops
    bool feeds_task = false;        // its words start a data task
    std::vector<Special> specials;  // control wavelets in it
    int64_t cover = 0, blocked = kNever;
    WordsOf words;  // of `a`
};

// Of an output queue whose words have several colors, or one that other queues send too: the words leave it under an
// index of their own, and what they are stands here until they do.
struct Mixed {
    Seq d;                   // moves to the ramp
    Cycle granted = kMinus;  // last one that `d` has forgotten
    uint32_t colors = 0;     // that it has had
    struct Part {            // words up to `end`
        int64_t end = 0;
        int32_t color = -1;
        LinkFifo* ramp = nullptr;
    };
    std::vector<Part> parts;  // of the words that are still in it
    std::vector<Special> specials;
    WordsOf words;
    void end_at(int64_t end) {  // no more words than these
        while (parts.size() > 1 && parts[parts.size() - 2].end >= end) parts.pop_back();
        if (!parts.empty()) parts.back().end = std::min(parts.back().end, end);
    }
};

struct OutQueue {
    bool initialised = false;
    int32_t color = -1, priority = -1;
    Seq b;                    // pushes
    int32_t ramp_color = -1;  // color of all its words, or of the last op's if they are mixed
    int64_t pushed = 0;       // words of all ops so far, announced or not
    Cycle fed = kMinus;       // when the host fed it last; then it stands for a port of the host's, not for a queue
    LinkFifo* ramp = nullptr;
    std::unique_ptr<Mixed> mixed;
    // Its words leave it in the ramp's arrivals, or in moves of its own.
    Seq& moves() { return mixed ? mixed->d : ramp->a; }
    const Seq& moves() const { return mixed ? mixed->d : ramp->a; }
    Cycle last_move() const { return std::max(moves().last(), mixed ? mixed->granted : ramp->entered); }
};

struct OpValues;
struct DropValues {
    void operator()(OpValues* op) const;
};

struct Thread {
    bool live = false, finished = false, synchronous = false, fabric = false, memory_dst = false;
    bool maps = false;                                                // one beat of a MAP
    bool endless = false;                                             // it takes what comes, for ever
    int8_t in[2] = {-1, -1}, out = -1, push = -1, pop[2] = {-1, -1};  // queues and FIFOs
    int32_t cost = 1, pace_num = 1, pace_den = 1, priority = 0, activate = -1, unblock = -1, ok_reg = -1;
    int64_t in_base[2] = {}, base = 0, words = 0;
    int64_t push_base = 0, pop_base[2] = {}, elements = 0;  // of an op on FIFOs
    int32_t row[4] = {}, num_rows = 0;                      // likewise: lengths of rows that its beats do not leave
    bool packed = false;                                    // likewise: a word is two elements
    Cycle stops = kForever;  // a FIFO that is not ready ends it, as predicted; it may only if it is synchronous
    Cycle next_beat = 0, last_issue = kMinus, start = kMinus;
    Cycle due = kForever;         // to be looked at when it has ended, as predicted
    int32_t low = 0, high = 0;    // memory destination
    int8_t needs = 1, takes = 1;  // words of a fabric source that a beat needs, and takes at most
    int32_t reaches = 0;          // end of what a destination with INDEX_OFFSET may write, 0: no such
    Seq own;                      // beats of an op without a fabric operand
    bool on_fifos() const { return push >= 0 || pop[0] >= 0; }
    std::vector<uint8_t> costs;      // of each beat, if they are not all alike
    std::vector<uint32_t> payloads;  // of control wavelets
    int32_t payload_reg = -1, payload_address = -1, payload_step = 0, checked = 0;  // where they come from
    std::vector<std::pair<int32_t, int32_t>> saved;  // descriptor registers and their bases behind the op
    std::unique_ptr<OpValues, DropValues> values;    // with values only
    int32_t cost_of(int64_t beat) const {
        return costs.empty() ? cost : costs[static_cast<size_t>(std::clamp<int64_t>(beat, 0, words - 1))];
    }
    void reset() { *this = Thread{}; }
};

struct Completion {
    Cycle when = 0;
    int32_t thread = -1, activate = -1, unblock = -1;
};

struct Reg {
    uint64_t value = 0;
    Cycle ready = kMinus;
    bool known = true;
};

struct Dsr {
    int32_t dsd = 0;  // interned descriptor with its settings
    Cycle ready = kMinus;
};

struct Recent {  // destination of a vector op that younger ones may read
    Cycle start = kMinus;
    int32_t low = 0, high = 0;
};

// A MAP that is running, its operands as they were at its start.
struct Mapping {
    enum class Phase : uint8_t { kNone, kRead, kCall, kWrite };
    Phase phase = Phase::kNone;
    bool save = false;
    int32_t pc = -1, depth = 0;  // its row; calls outside of its callback
    int32_t activate = -1, unblock = -1;
    int32_t scalar = -1;                         // address of a scalar destination in memory
    int64_t done = 0, length = 0;                // elements
    std::array<int32_t, 3> operand{-1, -1, -1};  // interned descriptors: DST, A, B; -1: none
    bool beat_due() const { return phase == Phase::kRead || phase == Phase::kWrite; }
};

// The main thread as its code sees it. PEs share these (`mains`), with times that count from a cycle of their own.
struct Main {
    int32_t tile = -1;
    bool in_task = false;
    int32_t pc = 0;
    Cycle next_issue = kMinus, next_vector = kMinus, free_at = kMinus, last_issue = kMinus, end = kMinus;
    std::vector<int32_t> calls, slots;
    std::vector<int32_t> lengths;  // of each FIFO: READ_LENGTH, WRITE_LENGTH
    std::vector<Reg> regs;
    std::vector<Dsr> dsrs;
    std::vector<uint8_t> memory, unknown;  // bytes of scalar state
    std::vector<Recent> recent;
    Mapping map;
    uint64_t high = 0, lowered = 0;                 // tasks that are given a priority
    uint64_t active = 0, blocked = 0, cleared = 0;  // task flags set, and blocked flags cleared, by what it runs
    Cycle completes = kForever;                     // of an op that it runs, with an action
    int32_t activate = -1, unblock = -1;
    int32_t priority = static_cast<int32_t>(Priority::kMainMediumLow);
};

// The host's ends of the links that look out of the fabric.
struct HostLinks;
struct DropHostLinks {
    void operator()(HostLinks* links) const;
};

struct Node {
    Cycle router_wake = kForever, element_wake = kForever;  // next events
    Cycle queued = kForever;                                // earliest entry in the queue
    Cycle base = 0, last_issue = kMinus, end = kMinus;      // of the main thread: times of `control` count from base
    uint32_t control = 0;
    uint32_t cells = 0;  // values of registers and scalar state, in units of 8 bytes
    uint64_t active = 0, blocked = 0, high = 0;
    Cycle slot_free = kMinus, ahead = kMinus;
    Cycle pending_start = kMinus, pending_stop = kMinus;
    int32_t tile = -1;
    uint16_t live = 0;        // bit per thread
    uint8_t blocked_uts = 0;  // bit per microthread
    uint8_t edges = 0;        // bit per port that has a neighbor
    uint8_t iqs = 0, oqs = 0, num_colors = 0;
    bool dirty = false;
    bool beside = false;   // its predictions count with an instruction of the main thread
    bool pending = false;  // a stretch of local code has begun; the main thread stands as it was at its start
    Color* colors = nullptr;
    Cycle* last_pick = nullptr;  // of each task
    std::array<InQueue*, 8> iq{};
    std::array<OutQueue*, 8> oq{};
    std::array<Thread*, 9> thread{};
    std::vector<Completion> completions;
    std::vector<int32_t> launches;  // pending: numbers of the launch table
    std::unique_ptr<HostLinks, DropHostLinks> host;
    std::unique_ptr<Fifos> fifos;  // made when an op first uses one

    FifoStage& fifo(int number) { return fifos->stages[static_cast<size_t>(number)]; }
    const FifoStage& fifo(int number) const { return fifos->stages[static_cast<size_t>(number)]; }
    Color* color(int c) {
        for (int i = 0; i < num_colors; ++i)
            if (colors[i].color == c) return colors + i;
        return nullptr;
    }
    // What a thread has done, in its units: words of its output queue, else of its first input queue, else elements of
    // its FIFO, else beats.
    Seq& beats(Thread& t) { return const_cast<Seq&>(static_cast<const Node*>(this)->beats(t)); }
    const Seq& beats(const Thread& t) const {
        return t.out >= 0      ? oq[static_cast<size_t>(t.out)]->b
               : t.in[0] >= 0  ? iq[static_cast<size_t>(t.in[0])]->b
               : t.push >= 0   ? fifo(t.push).push
               : t.pop[0] >= 0 ? fifo(t.pop[0]).pop
                               : t.own;
    }
    void wake_router(Cycle t) { router_wake = std::min(router_wake, t); }
    void wake_element(Cycle t) { element_wake = std::min(element_wake, t); }
    Cycle next() const { return std::min(router_wake, element_wake); }
};

// What the host has for a port that looks out of the fabric stands in the router of a PE of its own beyond that port.
inline constexpr int32_t kHostTile = -2;
struct HostLinks {
    std::array<std::unique_ptr<Node>, 4> beyond;
};

// Words from or to the host.
struct HostWords {
    std::vector<uint32_t> payloads;
    std::vector<uint8_t> control;
    std::vector<Cycle> cycles;  // of arrivals
};

// What one router tells another.
struct Message {
    bool credit = false;
    int32_t color = 0, port = 0;    // port of the router that is told
    Cycle wake = 0;                 // when it can have an effect there
    Seq words;                      // words: departures from now on
    std::vector<Special> specials;  // k counts from the first of these words
    Words carried;                  // likewise, with values only
    // credit: departures that held words up; indices count from the words sent before now
    int64_t from = 0, first_change = 0, blocked = kNever;
    struct Held {
        int64_t k = 0;
        Seg seg{};
    };
    std::vector<Held> held;
};

}  // namespace wafersim::stream
