// What `Loop` serves: a sequence whose words are bounded by other sequences and need resources.
#pragma once
#include <algorithm>
#include <cstdint>

#include "stream/fifo.hpp"
#include "stream/seq.hpp"

namespace wafersim::stream {

// Element: of a FIFO in memory, one to take or room for one. Pairs: likewise, where a word is two of them, and the last
// one what is left (`ServerState::elements`).
enum class ConKind : uint8_t { kData, kRoom, kCredit, kSelf, kTail, kElement, kPairs };

// A lower bound on the time of word k of a server: time of word k + off of `s` plus `add`.
struct Con {
    const Seq* s;
    int64_t off;
    int32_t add;
    ConKind kind;
    // Credit: words from here on have no time yet and hold everybody up. Self: words before this one went elsewhere.
    // Tail: of a sequence that several servers append to.
    int64_t blocked;
};

struct ServerState {
    int id = 0, phase = 0;  // phase 0 before phase 1 within a cycle
    int64_t k = 0, k_end = 0;
    uint32_t mask = 0, reach = 0;  // resources that its next word needs; that any of its words may need
    int prio = 0, tie = 0;
    Cycle last = kMinus, prev = kMinus, min_next = 0;
    int32_t cost = 1;
    Cycle start = kMinus;  // first beat; pace_num / pace_den counts from it
    int64_t beats = 0;
    int32_t pace_num = 1, pace_den = 1;
    int num_con = 0, num_out = 0;
    int flag_con[5] = {-1, -1, -1, -1, -1};
    Cycle floor = kForever;                // min_next without the present: for the check that no wake-up came too late
    Cycle ready = 0, raw = kMinus;         // next word's time by its bounds alone; the same of the last granted word
    bool in_period = false, here = false;  // `here`: granted in this run
    bool paced = false;                    // of the resource that `Loop::pace` is about
    // Several servers append to this sequence; constraints 1 and 2 are about the words `depth` before its end.
    const Seq* tail = nullptr;
    int32_t depth = 0;
    int needs = 1, takes = 1;        // words of its sources: those that must be there, at most taken by a beat
    const uint8_t* costs = nullptr;  // of each beat, if they are not all alike
    // Of an op on FIFOs. `coupled`: its words are placed one by one. `stops`: it ends where a FIFO is not ready when
    // its beat is due, as it did if it is `stopped`. `pairs`, `singles`: outputs that count elements, or beats.
    int num_fifos = 0;
    bool coupled = false, stops = false, stopped = false;
    uint32_t pairs = 0, singles = 0;
    int64_t first = 0, elements = 0;    // word that it began with; elements in all
    int32_t row[4] = {}, num_rows = 0;  // no beat reaches beyond a row of a memory operand
    bool plain() const { return needs == 1 && takes == 1 && !costs; }
    // Elements of n packed words from word `at` on.
    int64_t in_pairs(int64_t at, int64_t n) const {
        const int64_t from = 2 * (at - first);
        return std::min(from + 2 * n, elements) - from;
    }
};

struct Server : ServerState {
    Con con[16];  // arrival, and three for each output; those of FIFOs come last
    Seq* out[5];
    FifoEnd fifo[3];
    void reset() { static_cast<ServerState&>(*this) = {}; }
    void add(const Con& c) { con[num_con++] = c; }
};

}  // namespace wafersim::stream
