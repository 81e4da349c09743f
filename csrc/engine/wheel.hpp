// The event wheel: which PEs have something to do in which cycle. It moves time and knows nothing of PEs.
//
// Near events (within 64 cycles) sit in contiguous buckets, one bit per PE and cycle keeps each PE in a bucket once;
// far events wait in a heap. A wake-up is a hint: waking a PE that has nothing to do changes nothing.
#pragma once
#include <bit>
#include <cstdint>
#include <queue>
#include <utility>
#include <vector>

#include "base/types.hpp"

namespace wafersim {

class Wheel {
  public:
    explicit Wheel(size_t num_pes) : scheduled_(num_pes, 0) {}

    void wake(uint32_t pe, Cycle when) {
        if (when - now_ >= 64) {
            if (far_.empty() || when < far_.top().first) far_min_ = when;
            far_.emplace(when, pe);
            return;
        }
        const uint64_t bit = UINT64_C(1) << (when & 63);
        if (scheduled_[pe] & bit) return;
        scheduled_[pe] |= bit;
        buckets_[when & 63].push_back(pe);
        busy_ |= bit;
    }

    // Earliest cycle >= now with an event, kForever if none.
    Cycle next() const {
        const Cycle near = busy_ ? now_ + std::countr_zero(std::rotr(busy_, static_cast<int>(now_ & 63))) : kForever;
        return near < far_min_ ? near : far_min_;
    }

    // Makes `when` (a result of next()) the current cycle.
    void advance(Cycle when) {
        now_ = when;
        while (!far_.empty() && far_.top().first - now_ < 64) {
            const auto [cycle, pe] = far_.top();
            far_.pop();
            wake(pe, cycle);
        }
        far_min_ = far_.empty() ? kForever : far_.top().first;
    }

    // The PEs of the current cycle; `visit(pe)` may wake others, the same cycle included.
    // `prefetch(pe, again)` is called twice, a few visits ahead: what the second call
    // looks at was asked for by the first.
    template <typename Prefetch, typename Visit>
    void drain(Prefetch&& prefetch, Visit&& visit) {
        auto& bucket = buckets_[now_ & 63];
        const uint64_t bit = UINT64_C(1) << (now_ & 63);
        for (size_t i = 0; i < bucket.size(); ++i) {
            if (i + 4 < bucket.size()) prefetch(bucket[i + 4], false);
            if (i + 2 < bucket.size()) prefetch(bucket[i + 2], true);
            const uint32_t pe = bucket[i];
            scheduled_[pe] &= ~bit;
            visit(pe);
        }
        bucket.clear();
        busy_ &= ~bit;
    }

    Cycle now() const { return now_; }

  private:
    Cycle now_ = 0;
    uint64_t busy_ = 0;
    Cycle far_min_ = kForever;
    std::vector<uint32_t> buckets_[64];
    std::vector<uint64_t> scheduled_;
    std::priority_queue<std::pair<Cycle, uint32_t>, std::vector<std::pair<Cycle, uint32_t>>,
                        std::greater<std::pair<Cycle, uint32_t>>>
        far_;
};

}  // namespace wafersim
