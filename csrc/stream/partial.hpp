// What is left of a tape for the PEs of a class: what it computes from shared values alone is known.
#pragma once
#include <cstdint>
#include <vector>

#include "stream/arena.hpp"
#include "stream/classes.hpp"
#include "stream/tape.hpp"

namespace wafersim::stream {

struct Partial {
    enum class Outcome {
        kFails,  // a guard does not hold
        kHolds,  // if the guards of `rest` hold
        kMixed,  // it loads bytes of which some are the PE's own
    };
    Tape rest;                   // over its own values
    std::vector<uint8_t> after;  // the shared values
    std::vector<uint64_t> mask;  // of what is shared then

    Outcome evaluate(const Tape& tape, const Classes& classes, uint32_t values);

  private:
    using Value = Folded;  // of the rest
    Value computed(const Term& t);
    bool guard(int32_t term, uint64_t value);
    std::vector<Value> values_;
};

// What was found so: of tapes, by their numbers, and classes.
class Partials {
  public:
    struct Entry {
        int32_t tape = -1;
        uint32_t values = Classes::kNone, after = Classes::kNone;
        int32_t rest = -1;  // a tape too, -1: nothing
        bool holds = false, guarded = false, writes = false;
        int32_t near = -1;    // its guards read nothing but the word there, the first of the PE's own
        HalfRanges ranges{};  // then, if they are such
    };
    Partials() : slots_(1 << 12) {}
    const Entry* find(int32_t tape, uint32_t values) const {
        const size_t mask = slots_.size() - 1;
        for (size_t i = place(tape, values); slots_[i].tape >= 0; i = (i + 1) & mask)
            if (slots_[i].tape == tape && slots_[i].values == values) return &slots_[i];
        return nullptr;
    }
    [[gnu::always_inline]] void fetch(int32_t tape, uint32_t values) const {
        __builtin_prefetch(&slots_[place(tape, values)]);
    }
    const Entry& add(const Entry& e);  // not there yet; stays where it is until the next one
    void clear();
    size_t bytes() const { return slots_.size() * sizeof(Entry); }

  private:
    size_t place(int32_t tape, uint32_t values) const {
        const uint64_t h = (static_cast<uint64_t>(tape) << 32 | values) * UINT64_C(0x9fb21c651e98df25);
        return (h ^ h >> 32) & (slots_.size() - 1);
    }
    Entry* put(const Entry& e);
    std::vector<Entry, LargePages<Entry>> slots_;  // open addressing
    size_t size_ = 0;
};

}  // namespace wafersim::stream
