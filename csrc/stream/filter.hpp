// A filter between a router and its ramp (docs/semantics.md, section 5): how many words in a row it treats alike.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "program/program.hpp"
#include "stream/seq.hpp"

namespace wafersim::stream {

struct LinkFifo;

// A counter moves with grants. `is` counts those before now; `ahead` the predicted ones too.
struct Filter {
    struct State {
        FilterKind on = FilterKind::kNone;
        int32_t counter = 0, max = 0;
    };
    struct Part {  // words of a FIFO that are predicted to be counted
        const LinkFifo* fifo = nullptr;
        int64_t from = 0, to = 0;
    };
    FilterKind kind = FilterKind::kNone;  // what it is when it is on
    int32_t limit1 = 0, limit2 = 0, min = 0;
    bool count_data = false, count_control = false;
    State is, ahead;
    std::vector<Part> log;  // in the order of grants

    void load(const RouteClass& r) {
        *this = {};
        kind = is.on = r.filter;
        limit1 = r.limit1, limit2 = r.limit2, min = r.min;
        count_data = r.count_data, count_control = r.count_control;
        is.counter = r.init, is.max = r.max;
        ahead = is;
    }
    bool counts(bool control) const {
        return (ahead.on == FilterKind::kCounter || ahead.on == FilterKind::kSparseCounter) &&
               (control ? count_control : count_data);
    }
    bool passes(bool control) const {
        if (ahead.on == FilterKind::kNone || (ahead.on == FilterKind::kRange && control)) return true;
        return ahead.counter <= ahead.max;
    }
    // Words from the next one on that are treated like it, at most `wanted`.
    int64_t alike(bool control, int64_t wanted) const {
        if (!counts(control)) return wanted;
        const int64_t left = until_wrap(ahead);
        const int64_t passing = int64_t{ahead.max} - ahead.counter + 1;
        return std::min(wanted, passing > 0 ? std::min(passing, left) : left);
    }
    void advance(State& s, int64_t n) const {  // n <= alike
        const bool wraps = n == until_wrap(s);
        const bool at_limit = s.counter <= limit1;
        s.counter = wraps ? 0 : s.counter + static_cast<int32_t>(n);
        if (!wraps || !at_limit || s.on != FilterKind::kSparseCounter) return;
        s.max += limit2;
        if (s.max > 65535) s.on = FilterKind::kNone;
    }

  private:
    int64_t until_wrap(const State& s) const { return (s.counter <= limit1 ? limit1 : 65535) - s.counter + 1; }
};

}  // namespace wafersim::stream
