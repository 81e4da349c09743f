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

// Number of ones; the span of cycles looked at is nearly always one or two.
inline int count_ones(uint32_t bits) {
    int n = 0;
    for (; bits; bits &= bits - 1) ++n;
    return n;
}

// A FIFO in the router: `L(pe, color, port)` of the semantics page, in one cache line. An entry becomes visible one
// latency after its push, a popped slot becomes known to the upstream one latency after the pop; both follow from
// the pushes and pops of the last cycles (at most one of each per cycle), so entries carry no times.
class alignas(64) RouterFifo {
  public:
    static constexpr int kInline = 4;

    RouterFifo() = default;
    RouterFifo(const RouterFifo&) = delete;
    RouterFifo& operator=(const RouterFifo&) = delete;
    ~RouterFifo() {
        if (is_deep_) delete deep_;
    }

    int count() const { return count_; }
    bool visible(Cycle t, int latency) const { return count_ > within(push_base_, push_bits_, t, latency); }
    int unknown_pops(Cycle t, int latency) const { return within(pop_base_, pop_bits_, t, latency); }
    bool has_space(Cycle t, int latency, int capacity) const { return count_ + unknown_pops(t, latency) < capacity; }
    // First cycle in which the upstream knows of one pop more; only if there are unknown ones.
    Cycle next_known(Cycle t, int latency) const {
        const auto span = static_cast<int>(latency - (t - pop_base_));
        const uint32_t unknown = pop_bits_ & static_cast<uint32_t>((UINT64_C(1) << span) - 1);
        return pop_base_ - (31 - std::countl_zero(unknown)) + latency;
    }
    Cycle last_grant() const { return pop_base_ < 0 ? -1 : pop_base_; }
    uint32_t payload() const { return is_deep_ ? deep_->data[head_] : data_[head_]; }
    uint8_t flags() const {
        if (is_deep_) return static_cast<uint8_t>((deep_->control >> head_ & 1) | (deep_->advance >> head_ & 1) << 1);
        return static_cast<uint8_t>((control_ >> head_ & 1) | (advance_ >> head_ & 1) << 1);
    }

    void push(uint32_t payload, uint8_t flags, Cycle t, int capacity) {
        if (capacity > kInline) {
            push_deep(payload, flags);
        } else {
            const int k = (head_ + count_) & (kInline - 1);
            data_[k] = payload;
            control_ = static_cast<uint8_t>((control_ & ~(1u << k)) | (flags & kFlagControl ? 1u << k : 0u));
            advance_ = static_cast<uint8_t>((advance_ & ~(1u << k)) | (flags & kFlagAdvance ? 1u << k : 0u));
        }
        ++count_;
        note(push_base_, push_bits_, t);
    }
    void pop(Cycle t) {
        head_ = static_cast<uint8_t>((head_ + 1) & (is_deep_ ? kDeep - 1 : kInline - 1));
        --count_;
        note(pop_base_, pop_bits_, t);
        ++grants;
    }

    uint32_t owner = 0;         // number of the ColorState
    uint32_t grants = 0;        // since Fabric::settle() booked them
    uint32_t backpressure = 0;  // likewise
    uint32_t waiting = 0;  // colors of the upstream router that wait for space here; not 0 at the RAMP: its queues do
    uint8_t port = 0;
    bool head_blocked = false;  // the head was a candidate without space at least once

  private:
    static constexpr int kDeep = 64;
    struct Deep {
        uint32_t data[kDeep] = {};
        uint64_t control = 0, advance = 0;
    };
    // Ones among the bits of cycles t - span + 1 .. t, bit k standing for cycle base - k.
    static int within(Cycle base, uint32_t bits, Cycle t, int span) {
        const Cycle age = t - base;
        return age >= span ? 0 : count_ones(bits & static_cast<uint32_t>((UINT64_C(1) << (span - age)) - 1));
    }
    static void note(Cycle& base, uint32_t& bits, Cycle t) {
        const Cycle age = t - base;
        bits = age >= 32 ? 1 : (bits << age) | 1;
        base = t;
    }
    void push_deep(uint32_t payload, uint8_t flags) {
        if (!is_deep_) deep_ = new Deep, is_deep_ = true;
        const int k = (head_ + count_) & (kDeep - 1);
        const uint64_t bit = UINT64_C(1) << k;
        deep_->data[k] = payload;
        deep_->control = flags & kFlagControl ? deep_->control | bit : deep_->control & ~bit;
        deep_->advance = flags & kFlagAdvance ? deep_->advance | bit : deep_->advance & ~bit;
    }

    bool is_deep_ = false;
    uint8_t head_ = 0, count_ = 0, control_ = 0, advance_ = 0;
    uint32_t push_bits_ = 0, pop_bits_ = 0;
    Cycle push_base_ = -1000, pop_base_ = -1000;
    union {
        uint32_t data_[kInline] = {};
        Deep* deep_;  // storage of a FIFO with more than kInline places
    };
};
static_assert(sizeof(RouterFifo) == 64);

struct InputQueue {
    WaveletRing ring;
    int16_t color = -1;
    int16_t priority = -1;
    uint16_t config_word = 0;  // as last stored
    int16_t high_water = 0;
    uint32_t waiting = 0;  // colors of the router that wait for space here
    bool initialised = false, flush_pending = false, flushed = false;
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
