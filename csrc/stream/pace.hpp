// The pace of a ramp (docs/semantics.md, section 2.2).
#pragma once
#include <algorithm>
#include <cstdint>

#include "base/types.hpp"
#include "stream/seq.hpp"

namespace wafersim::stream {

// num / den cycles per move. The accumulator never resets, so the number of all moves so far says where it stands.
struct Pace {
    int64_t num = 1, den = 1, moves = 0;
    Cycle free = kMinus, skipped = kMinus;  // next move not before; last move that was followed by a pause

    bool even() const { return num == den; }
    bool pauses_behind(int64_t move) const { return move * (num - den) / den > (move - 1) * (num - den) / den; }
    // Moves from now on without a pause between them, at most `wanted`.
    int64_t until_pause(int64_t wanted) const {
        if (even()) return wanted;
        const int64_t pauses = moves * (num - den) / den;  // the next one comes behind the first move that adds one
        return std::min(wanted, ((pauses + 1) * den + num - den - 1) / (num - den) - moves);
    }
    void take(Cycle last, int64_t n) {  // n moves, the last one now
        moves += n;
        free = last + 1;
        if (even() || !pauses_behind(moves)) return;
        skipped = last;
        ++free;
    }
};

}  // namespace wafersim::stream
