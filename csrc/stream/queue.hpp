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

    // Earliest cycle from `now` on with an event, kForever if none; the wheel turns to it.
    Cycle next(Cycle now) {
        for (;;) {
            for (Cycle t = now; t < near_end_;) {
                const auto slot = static_cast<size_t>(t) & (kSlots - 1);
                const uint64_t word = busy_[slot / 64] >> slot % 64;
                if (word) {
                    t += __builtin_ctzll(word);
                    return t;
                }
                t += 64 - static_cast<Cycle>(slot % 64);
            }
            now = turn();
            if (now >= kForever) return now;
        }
    }
    std::vector<uint32_t>& bucket(Cycle t) { return near_[static_cast<size_t>(t) & (kSlots - 1)]; }
    void clear(Cycle t) {
        const auto slot = static_cast<size_t>(t) & (kSlots - 1);
        empty(near_[slot], spare_near_);
        busy_[slot / 64] &= ~(UINT64_C(1) << slot % 64);
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

    // The near wheel is empty: fills it with the next span that has events.
    Cycle turn() {
        for (Cycle span = near_end_ >> kBits; span < middle_end_ >> kBits; ++span) {
            const auto slot = static_cast<size_t>(span) & (kSlots - 1);
            if (!middle_busy_[slot / 64] && slot % 64 == 0) {
                span += 63;
                continue;
            }
            if (middle_[slot].empty()) continue;
            near_end_ = (span + 1) << kBits;
            for (const auto& [t, pe] : middle_[slot]) push(t, pe);
            empty(middle_[slot], spare_middle_);
            middle_busy_[slot / 64] &= ~(UINT64_C(1) << slot % 64);
            return span << kBits;
        }
        if (far_.empty()) return kForever;
        near_end_ = far_.top().first >> kBits << kBits;
        middle_end_ = near_end_ + (static_cast<Cycle>(kSlots) << kBits);
        const Cycle now = near_end_;
        while (!far_.empty() && far_.top().first < middle_end_) {
            const auto [t, pe] = far_.top();
            far_.pop();
            push(t, pe);
        }
        return now;
    }

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
