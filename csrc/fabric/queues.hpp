// Bounded queues of wavelets: router FIFOs and the compute element's input and output queues.
// An entry is visible from its `ready` cycle on (docs/semantics.md, section 1).
#pragma once
#include <bit>
#include <cstdint>
#include <memory>

#include "base/types.hpp"

namespace wafersim {

inline constexpr uint8_t kFlagControl = 1;
inline constexpr uint8_t kFlagAdvance = 2;  // the local switch advances when this wavelet is granted by its own router

struct Wavelet {
    Cycle ready = 0;
    uint32_t payload = 0;
    uint8_t color = 0;
    uint8_t flags = 0;
    bool control() const { return flags & kFlagControl; }
};

// Ring of wavelets; storage is made at the first push, because most FIFOs of a large fabric stay empty.
class WaveletRing {
  public:
    int count() const { return count_; }
    bool empty() const { return count_ == 0; }
    const Wavelet& front() const { return data_[head_]; }
    const Wavelet& at(int i) const {
        int k = head_ + i;
        if (k >= capacity_) k -= capacity_;
        return data_[k];
    }
    void push(const Wavelet& w, int capacity) {
        if (!data_) {
            data_ = std::make_unique<Wavelet[]>(static_cast<size_t>(capacity));
            capacity_ = static_cast<uint16_t>(capacity);
        }
        int k = head_ + count_;
        if (k >= capacity_) k -= capacity_;
        data_[k] = w;
        ++count_;
    }
    Wavelet pop() {
        const Wavelet w = data_[head_];
        if (++head_ == capacity_) head_ = 0;
        --count_;
        return w;
    }
    bool visible(Cycle t) const { return count_ && data_[head_].ready <= t; }

  private:
    std::unique_ptr<Wavelet[]> data_;
    uint16_t head_ = 0, count_ = 0, capacity_ = 0;
};

// A FIFO in the router: `L(pe, color, port)` of the semantics page. Pops are remembered for one latency, because
// the upstream learns of a free slot that much later.
struct RouterFifo {
    WaveletRing ring;
    Cycle last_grant = -1;
    Cycle pop_base = -1000;   // cycle of the newest remembered pop
    uint64_t pop_history = 0; // bit k: a pop in cycle pop_base - k
    bool upstream_waits = false;
    bool head_blocked = false;  // the head was a candidate without space at least once

    int unknown_pops(Cycle t, int latency) const {
        const Cycle age = t - pop_base;
        if (age >= latency) return 0;
        return std::popcount(pop_history & ((UINT64_C(1) << (latency - age)) - 1));
    }
    bool has_space(Cycle t, int latency, int capacity) const {
        return ring.count() + unknown_pops(t, latency) < capacity;
    }
    Wavelet pop(Cycle t) {
        const Cycle age = t - pop_base;
        pop_history = age >= 64 ? 1 : (pop_history << age) | 1;
        pop_base = t;
        return ring.pop();
    }
};

struct InputQueue {
    WaveletRing ring;
    int16_t color = -1;
    int16_t priority = -1;
    int16_t high_water = 0;
    bool router_waits = false, initialised = false, flush_pending = false, flushed = false;
};

struct OutputQueue {
    WaveletRing ring;
    Cycle last_move = -1;
    int16_t color = -1;
    int16_t priority = -1;
    int16_t high_water = 0;
    bool pe_waits = false, initialised = false, flush_pending = false, flushed = false;
};

}  // namespace wafersim
