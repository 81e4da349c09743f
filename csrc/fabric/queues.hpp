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

// Pushes or pops of the last cycles, at most one per cycle: bit k of `bits` is one in cycle `base` - k.
struct History {
    Cycle base = -1000;
    uint32_t bits = 0;

    // How many in cycles t - span + 1 .. t.
    int within(Cycle t, int span) const {
        const Cycle age = t - base;
        if (age >= span) return 0;
        return std::popcount(bits & static_cast<uint32_t>((UINT64_C(1) << (span - age)) - 1));
    }
    void note(Cycle t) {
        const Cycle age = t - base;
        bits = age >= 32 ? 1 : (bits << age) | 1;
        base = t;
    }
};

// A FIFO in the router: `L(pe, color, port)` of the semantics page, compact. An entry becomes visible one
// latency after its push, a popped slot becomes known to the upstream one latency after the pop; both follow from
// the history of the last cycles, so entries carry no times.
class RouterFifo {
  public:
    static constexpr int kInline = 5;

    RouterFifo() = default;
    RouterFifo(const RouterFifo&) = delete;
    RouterFifo& operator=(const RouterFifo&) = delete;
    ~RouterFifo() { delete[] more_; }

    int count() const { return count_; }
    bool visible(Cycle t, int latency) const { return count_ > pushes_.within(t, latency); }
    bool has_space(Cycle t, int latency, int capacity) const { return count_ + pops_.within(t, latency) < capacity; }
    int unknown_pops(Cycle t, int latency) const { return pops_.within(t, latency); }
    Cycle last_grant() const { return pops_.base < 0 ? -1 : pops_.base; }
    uint32_t payload() const { return (more_ ? more_ : data_)[head_]; }
    uint8_t flags() const { return static_cast<uint8_t>((control_ >> head_ & 1) | (advance_ >> head_ & 1) << 1); }

    void push(uint32_t payload, uint8_t flags, Cycle t, int capacity) {
        if (capacity > kInline && !more_) more_ = new uint32_t[64];
        const int limit = more_ ? 64 : kInline;
        int k = head_ + count_;
        if (k >= limit) k -= limit;
        (more_ ? more_ : data_)[k] = payload;
        const uint64_t bit = UINT64_C(1) << k;
        control_ = flags & kFlagControl ? control_ | bit : control_ & ~bit;
        advance_ = flags & kFlagAdvance ? advance_ | bit : advance_ & ~bit;
        ++count_;
        pushes_.note(t);
    }
    void pop(Cycle t) {
        const int limit = more_ ? 64 : kInline;
        if (++head_ == limit) head_ = 0;
        --count_;
        pops_.note(t);
    }

    bool upstream_waits = false;
    bool head_blocked = false;  // the head was a candidate without space at least once

  private:
    History pushes_, pops_;
    uint32_t data_[kInline] = {};
    uint8_t head_ = 0, count_ = 0;
    uint64_t control_ = 0, advance_ = 0;  // flags of the slots
    uint32_t* more_ = nullptr;            // storage of a deeper FIFO
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
