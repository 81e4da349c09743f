// Which PEs have an event in which cycle: a wheel of single cycles, one of larger spans behind it, a heap for the rest.
#pragma once
#include <algorithm>
#include <cstdint>
#include <queue>
#include <utility>
#include <vector>

#include "base/types.hpp"

namespace wafersim::stream {

class Queue {
  public:
    Queue() : near_(kSlots), middle_(kSlots), busy_(kSlots / 64), middle_busy_(kSlots / 64) {}

    void push(Cycle t, uint32_t pe) {
        if (t < next_) next_ = t;
        auto& soon = near_[static_cast<size_t>(t) & (kSlots - 1)];
        if (t < near_end_ && !soon.empty() && soon.size() < soon.capacity())  // as most are
            soon.push_back(pe);
        else
            place(t, pe);
    }

    // Earliest cycle from `now` on with an event, kForever if none. The wheel does not turn: events that come before
    // that cycle can still be pushed.
    Cycle next(Cycle now) {
        if (next_ < 0) next_ = find(now);
        return next_;
    }
    // The events of a cycle; there are none before it, and none comes any more. The wheel turns to it.
    std::vector<uint32_t>& bucket(Cycle t) {
        if (t >= near_end_) turn(t);
        return near_[static_cast<size_t>(t) & (kSlots - 1)];
    }
    // Those of a cycle soon, as far as they are known.
    const std::vector<uint32_t>& soon(Cycle t) const {
        static const std::vector<uint32_t> none;
        return t < near_end_ ? near_[static_cast<size_t>(t) & (kSlots - 1)] : none;
    }
    void clear(Cycle t) {
        const auto slot = static_cast<size_t>(t) & (kSlots - 1);
        empty(near_[slot], spare_near_);
        busy_[slot / 64] &= ~(UINT64_C(1) << slot % 64);
        if (next_ == t) next_ = kUnknown;
    }

  private:
    static constexpr int kBits = 12;
    static constexpr size_t kSlots = 1 << kBits;

    // Slots take their memory from those that have become empty: else each would keep that of its busiest cycle.
    template <typename T>
    static void add(std::vector<T>& slot, std::vector<std::vector<T>>& spare, const T& entry) {
        if (slot.capacity() == 0 && !spare.empty()) slot.swap(spare.back()), spare.pop_back();
        slot.push_back(entry);
    }
    template <typename T>
    static void empty(std::vector<T>& slot, std::vector<std::vector<T>>& spare) {
        if (slot.capacity() == 0) return;
        slot.clear();
        spare.emplace_back();
        spare.back().swap(slot);
    }

    [[gnu::noinline]] void place(Cycle t, uint32_t pe) {
        if (t < near_end_) {
            const auto slot = static_cast<size_t>(t) & (kSlots - 1);
            add(near_[slot], spare_near_, pe);
            busy_[slot / 64] |= UINT64_C(1) << slot % 64;
        } else if (t < middle_end_) {
            const auto slot = static_cast<size_t>(t >> kBits) & (kSlots - 1);
            add(middle_[slot], spare_middle_, {t, pe});
            middle_busy_[slot / 64] |= UINT64_C(1) << slot % 64;
        } else {
            far_.emplace(t, pe);
        }
    }

    Cycle find(Cycle now) const {
        for (Cycle t = now; t < near_end_;) {
            const auto slot = static_cast<size_t>(t) & (kSlots - 1);
            if (const uint64_t word = busy_[slot / 64] >> slot % 64) return t + __builtin_ctzll(word);
            t += 64 - static_cast<Cycle>(slot % 64);
        }
        for (Cycle span = near_end_ >> kBits; span < middle_end_ >> kBits;) {
            const auto slot = static_cast<size_t>(span) & (kSlots - 1);
            const uint64_t word = middle_busy_[slot / 64] >> slot % 64;
            if (!word) {
                span += 64 - static_cast<Cycle>(slot % 64);
                continue;
            }
            Cycle first = kForever;
            const auto at = slot + static_cast<size_t>(__builtin_ctzll(word));
            for (const Later& later : middle_[at]) first = std::min(first, later.first);
            return first;
        }
        return far_.empty() ? kForever : far_.top().first;
    }

    // The near wheel is empty: it goes to the span of cycle t, with the events there.
    void turn(Cycle t) {
        if (t >= middle_end_) {  // so is the other one
            middle_end_ = ((t >> kBits) + static_cast<Cycle>(kSlots)) << kBits;
            near_end_ = t >> kBits << kBits;
            while (!far_.empty() && far_.top().first < middle_end_) {
                const auto [when, pe] = far_.top();
                far_.pop();
                place(when, pe);
            }
        }
        const Cycle span = t >> kBits;
        const auto slot = static_cast<size_t>(span) & (kSlots - 1);
        near_end_ = (span + 1) << kBits;
        for (const auto& [when, pe] : middle_[slot]) place(when, pe);
        empty(middle_[slot], spare_middle_);
        middle_busy_[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    }

    static constexpr Cycle kUnknown = -1;
    Cycle next_ = kUnknown;
    Cycle near_end_ = kSlots, middle_end_ = static_cast<Cycle>(kSlots) << kBits;
    using Later = std::pair<Cycle, uint32_t>;
    std::vector<std::vector<uint32_t>> near_, spare_near_;
    std::vector<std::vector<Later>> middle_, spare_middle_;
    std::vector<uint64_t> busy_, middle_busy_;
    std::priority_queue<std::pair<Cycle, uint32_t>, std::vector<std::pair<Cycle, uint32_t>>,
                        std::greater<std::pair<Cycle, uint32_t>>>
        far_;
};

}  // namespace wafersim::stream
