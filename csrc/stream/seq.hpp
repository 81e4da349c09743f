// The times at which words pass one stage of the fabric, as linear segments: facts up to now, a prediction beyond.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/types.hpp"

namespace wafersim::stream {

inline constexpr Cycle kMinus = -kForever;  // long past: can hold nobody up any more

// Words i = 0 .. n-1 pass at t + i * gap. `restricted`: they waited here for something other than their arrival.
struct Seg {
    Cycle t;
    int32_t n;
    int32_t gap : 31;
    uint32_t restricted : 1;
    Cycle last() const { return t <= kMinus ? kMinus : t + static_cast<Cycle>(n - 1) * gap; }
};

class Seq {
  public:
    // Number of words so far, predicted ones included; the words before first() are long past.
    int64_t end() const { return end_; }
    int64_t first() const {
        int64_t n = end_;
        for (const Seg& s : segs_) n -= s.n;
        return n;
    }
    Cycle last() const { return segs_.empty() ? kMinus : segs_.back().last(); }
    const std::vector<Seg>& segments() const { return segs_; }
    void clear() { segs_.clear(), end_ = 0; }
    void assign(std::vector<Seg>&& segs, int64_t end) { segs_ = std::move(segs), end_ = end; }

    struct Value {
        bool known = false, restricted = false, last_segment = false;
        Cycle t = 0;
        int64_t left = 0;  // words from here to the end of the segment
        int32_t gap = 0;
    };
    Value at(int64_t k) const;
    // Takes back the words that pass at T or later and gives them to `tail` (for a comparison).
    void truncate(Cycle T, Seq* tail);
    void cut(int64_t end);  // takes back the words from index `end` on
    int64_t count_before(Cycle T) const;
    void append(Cycle t, bool restricted);
    void append_run(Cycle t, int32_t gap, int64_t n, bool restricted);
    void append_past(int64_t n);  // words that can hold nobody up
    // Appends words [from, to) of another sequence.
    void append_range(const Seq& other, int64_t from, int64_t to);
    // One form for one sequence of times: words before T forgotten, segments as long as they can be.
    void canonicalize(Cycle T);
    void drop_past_end();  // long past words at the end say nothing (credits)
    void shift(int64_t by) { end_ -= by; }

  private:
    std::vector<Seg> segs_;
    int64_t end_ = 0;
};

// First index at which two continuations differ, and the earlier of the two times there. `as_credit` compares what the
// sender may see: words that waited for nothing but their arrival do not count.
struct Difference {
    int64_t k = -1;
    Cycle t = kForever;
};
Difference difference(const Seq& was, const Seq& is, int64_t from, bool as_credit);

}  // namespace wafersim::stream
