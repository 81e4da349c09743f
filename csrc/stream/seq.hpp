// The times at which words pass one stage of the fabric, as linear segments: facts up to now, a prediction beyond.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

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

// A list of segments that sits in place while it is short: one cache line.
class Seq {
  public:
    static constexpr uint32_t kInline = 3;
    static constexpr int32_t kMostWords = 1 << 30;  // of a segment

    Seq() = default;
    ~Seq() {
        if (on_heap()) delete[] heap_;
    }
    Seq(const Seq& o) : end_(o.end_) { copy(o); }
    Seq(Seq&& o) noexcept { std::memcpy(static_cast<void*>(this), &o, sizeof *this), o.forget(); }
    Seq& operator=(const Seq& o) {
        if (this == &o) return *this;
        size_ = 0;
        end_ = o.end_;
        copy(o);
        return *this;
    }
    Seq& operator=(Seq&& o) noexcept {
        if (this == &o) return *this;
        if (on_heap()) delete[] heap_;
        std::memcpy(static_cast<void*>(this), &o, sizeof *this), o.forget();
        return *this;
    }

    // Number of words so far, predicted ones included; the words before first() are long past.
    int64_t end() const { return end_; }
    int64_t first() const {
        int64_t n = end_;
        for (const Seg& s : segments()) n -= s.n;
        return n;
    }
    std::span<const Seg> segments() const { return {data(), size_}; }
    bool empty() const { return size_ == 0; }
    uint32_t size() const { return size_; }
    Cycle last() const { return size_ ? data()[size_ - 1].last() : kMinus; }
    void clear() { size_ = 0, end_ = 0; }
    void start_at(int64_t end) { size_ = 0, end_ = end; }

    struct Value {
        bool known = false, restricted = false, last_segment = false;
        Cycle t = 0;
        int64_t left = 0;  // words from here to the end of the segment
        int32_t gap = 0;
    };
    Value at(int64_t k) const {
        Value v;
        if (k >= end_ || k < 0) return v;
        int64_t from = end_;
        v.known = true;
        const Seg* d = data();
        for (uint32_t i = size_; i-- > 0;) {
            const Seg& s = d[i];
            from -= s.n;
            if (k < from) continue;
            v.restricted = s.restricted;
            v.t = s.t <= kMinus ? kMinus : s.t + (k - from) * s.gap;
            v.left = from + s.n - k;
            v.gap = s.n > 1 ? s.gap : 0;
            v.last_segment = i + 1 == size_;
            return v;
        }
        v.t = kMinus;
        v.left = from - k;
        return v;
    }
    // Takes back the words that pass at T or later and gives them to `tail` (for a comparison).
    void truncate(Cycle T, Seq* tail);
    void cut(int64_t end);  // takes back the words from index `end` on
    int64_t count_before(Cycle T) const {
        int64_t from = end_;
        const Seg* d = data();
        for (uint32_t i = size_; i-- > 0;) {
            const Seg& s = d[i];
            from -= s.n;
            if (s.t >= T) continue;
            if (s.t <= kMinus) return from + s.n;
            if (s.last() < T) return from + s.n;
            return from + (s.gap == 1 ? T - s.t : (T - 1 - s.t) / s.gap + 1);
        }
        return from;
    }
    void append(Cycle t, bool restricted) {
        ++end_;
        if (size_) {
            Seg& s = data()[size_ - 1];
            if (s.restricted == restricted && s.t > kMinus && s.n < kMostWords &&
                (s.n == 1 || t == s.t + static_cast<Cycle>(s.n) * s.gap)) {
                if (s.n == 1) s.gap = static_cast<int32_t>(t - s.t);
                ++s.n;
                return;
            }
        }
        push({t, 1, 1, restricted});
    }
    void append_run(Cycle t, int32_t gap, int64_t n, bool restricted);
    void append_past(int64_t n);  // words that can hold nobody up
    // Appends words [from, to) of another sequence.
    void append_range(const Seq& other, int64_t from, int64_t to);
    // Forgets segments that passed before T; the time of the last of their words, kMinus if there are none.
    Cycle forget_before(Cycle T) {
        const Seg* d = data();
        uint32_t gone = 0;
        Cycle last = kMinus;
        while (gone < size_ && d[gone].last() < T) last = std::max(last, d[gone++].last());
        if (gone) drop_front(gone);
        return last;
    }
    // The same, and the words before T of the first segment that is left.
    Cycle trim_before(Cycle T) {
        Cycle last = forget_before(T);
        if (size_ && data()[0].t > kMinus && data()[0].t < T) {
            Seg& s = data()[0];
            const Cycle words = (T - s.t + s.gap - 1) / s.gap;
            s.t += words * s.gap;
            last = s.t - s.gap;
            s.n -= static_cast<int32_t>(words);
        }
        return last;
    }
    void assign(int64_t end, std::span<const Seg> segments) {
        size_ = 0;
        if (segments.size() > capacity_) grow(static_cast<uint32_t>(segments.size()));
        std::copy(segments.begin(), segments.end(), data());
        size_ = static_cast<uint32_t>(segments.size());
        end_ = end;
    }
    Cycle last_before(Cycle T) const {  // time of the last word before T
        const Seg* d = data();
        for (uint32_t i = size_; i-- > 0;) {
            if (d[i].t >= T) continue;
            if (d[i].last() < T) return d[i].last();
            return d[i].t + (T - 1 - d[i].t) / d[i].gap * d[i].gap;
        }
        return kMinus;
    }
    void move(Cycle by) {
        Seg* d = data();
        for (uint32_t i = 0; i < size_; ++i)
            if (d[i].t > kMinus) d[i].t += by;
    }

  private:
    bool on_heap() const { return capacity_ > kInline; }
    Seg* data() { return on_heap() ? heap_ : in_; }
    const Seg* data() const { return on_heap() ? heap_ : in_; }
    void forget() { size_ = 0, capacity_ = kInline, end_ = 0; }
    void copy(const Seq& o) {
        if (o.size_ > capacity_) grow(o.size_);
        std::memcpy(static_cast<void*>(data()), o.data(), o.size_ * sizeof(Seg));
        size_ = o.size_;
    }
    void grow(uint32_t wanted);
    void push(const Seg& s) {
        if (size_ == capacity_) grow(size_ + 1);
        data()[size_++] = s;
    }
    void drop_front(uint32_t n);

    int64_t end_ = 0;
    uint32_t size_ = 0, capacity_ = kInline;
    union {
        Seg in_[kInline];
        Seg* heap_;
    };
};
static_assert(sizeof(Seq) == 64);

// First index at which two continuations differ, and the earlier of the two times there. `as_credit` compares what the
// sender may see: words that waited for nothing but their arrival do not count.
struct Difference {
    int64_t k = -1;
    Cycle t = kForever;
};
Difference difference(const Seq& was, const Seq& is, int64_t from, bool as_credit);

}  // namespace wafersim::stream
