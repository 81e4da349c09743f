// The bytes of a snapshot: numbers of variable length, small ones in one byte; times count from the snapshot's cycle.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "program/program.hpp"
#include "stream/arena.hpp"
#include "stream/state.hpp"

namespace wafersim::stream {

// Shows a PE to `Exchange` and gets its bytes.
class Writer {
  public:
    static constexpr bool kReads = false;
    Writer(std::string& bytes, Cycle T, Cycle keep, const std::vector<Cycle>& rest, const Program& program)
        : bytes_(bytes),
          at_(bytes.data()),
          room_(room_of(bytes)),
          now_(T),
          past_(T - keep),
          rest_(rest),
          program_(program) {}
    size_t size() const { return static_cast<size_t>(at_ - bytes_.data()); }
    template <typename... V>
    void values(const V&... v) {
        (put(static_cast<int64_t>(v)), ...);
    }
    // At most seven, in a byte.
    template <typename... V>
    void flags(const V&... v) {
        uint32_t all = 0;
        ((all = 2 * all + v), ...);
        put_raw(all);
    }
    void index(int64_t k) { put_raw(k == kNever ? 0 : 1 + zigzag(k)); }
    void time(Cycle t) {
        if (t <= kMinus || t >= kForever) return put_raw(t >= kForever);
        latest = std::max(latest, t);
        put_raw(2 + zigzag(t - now_));
    }
    void ranked(Cycle t) {  // long past: only the order counts
        if (t > kMinus && t < past_) {
            const auto back = rest_.end() - std::lower_bound(rest_.begin(), rest_.end(), t);
            return put_raw(3 + 2 * static_cast<uint64_t>(back));
        }
        if (t <= kMinus) return put_raw(1);
        latest = std::max(latest, t);
        put_raw(2 * zigzag(t - now_));
    }
    // Which ones there are, a bit each.
    template <typename T, size_t N>
    uint32_t objects(const std::array<T*, N>& all) {
        uint32_t there = 0;
        for (size_t i = 0; i < N; ++i) there |= uint32_t{all[i] != nullptr} << i;
        put_raw(there);
        return there;
    }
    template <typename T>
    bool object(T* p) {
        put_raw(p != nullptr);
        return p;
    }
    void segments(const Seq& s, int64_t) {
        put_raw(s.size());
        for (const Seg& g : s.segments()) {
            time(g.t);
            put_raw(2 * static_cast<uint64_t>(g.n) + g.restricted);
            if (g.n > 1) put_raw(static_cast<uint64_t>(g.gap)), latest = std::max(latest, g.last());
        }
    }
    uint8_t num_tasks(int32_t tile) const {
        return static_cast<uint8_t>(program_.tiles[static_cast<size_t>(tile)].tasks.size());
    }
    template <typename T>
    T* make(size_t) {
        return nullptr;
    }
    Cycle now() const { return now_; }
    Cycle latest = kMinus;

  private:
    static uint64_t zigzag(int64_t v) { return static_cast<uint64_t>(v) << 1 ^ static_cast<uint64_t>(v >> 63); }
    void put(int64_t v) { put_raw(zigzag(v)); }
    [[gnu::always_inline]] void put_raw(uint64_t v) {
        if (v < 128 && at_ < room_)
            *at_++ = static_cast<char>(v);
        else
            put_long(v);
    }
    [[gnu::noinline]] void put_long(uint64_t v) {
        if (at_ >= room_) {
            const auto used = at_ - bytes_.data();
            bytes_.resize(std::max<size_t>(1024, 2 * bytes_.size()));
            at_ = bytes_.data() + used, room_ = room_of(bytes_);
        }
        for (; v >= 128; v >>= 7) *at_++ = static_cast<char>(v | 128);
        *at_++ = static_cast<char>(v);
    }
    static constexpr size_t kLongest = 10;  // bytes of a number
    static char* room_of(std::string& bytes) { return bytes.data() + std::max(bytes.size(), kLongest) - kLongest; }
    std::string& bytes_;  // larger than what is written
    char *at_, *room_;    // a number that begins before `room_` has room
    Cycle now_, past_;
    const std::vector<Cycle>& rest_;
    const Program& program_;
};

// Fills a PE from its bytes.
class Reader {
  public:
    static constexpr bool kReads = true;
    Reader(std::string_view bytes, Cycle T, Cycle keep, Arena& arena)
        : at_(bytes.data()), now_(T), past_(T - keep), arena_(arena) {}
    template <typename... V>
    void values(V&... v) {
        ((v = static_cast<V>(get())), ...);
    }
    template <typename... V>
    void flags(V&... v) {
        const uint64_t all = get_raw();
        uint32_t at = sizeof...(V);
        ((v = all >> --at & 1), ...);
    }
    void index(int64_t& k) {
        const uint64_t v = get_raw();
        k = v == 0 ? kNever : unzigzag(v - 1);
    }
    void time(Cycle& t) {
        const uint64_t v = get_raw();
        t = v == 0 ? kMinus : v == 1 ? kForever : now_ + unzigzag(v - 2);
    }
    void ranked(Cycle& t) {
        const uint64_t v = get_raw();
        t = v % 2 == 0 ? now_ + unzigzag(v / 2) : v == 1 ? kMinus : past_ - static_cast<Cycle>(v / 2 - 1);
    }
    template <typename T, size_t N>
    uint32_t objects(std::array<T*, N>& all) {
        const auto there = static_cast<uint32_t>(get_raw());
        for (uint32_t rest = there; rest; rest &= rest - 1)
            all[static_cast<size_t>(std::countr_zero(rest))] = arena_.make<T>();
        return there;
    }
    template <typename T>
    bool object(T*& p) {
        p = get_raw() ? arena_.make<T>() : nullptr;
        return p;
    }
    void segments(Seq& s, int64_t end) {
        const auto size = get_raw();
        segs_.clear();
        for (uint64_t i = 0; i < size; ++i) {
            Seg g{};
            time(g.t);
            const uint64_t n = get_raw();
            g.n = static_cast<int32_t>(n / 2), g.restricted = n & 1, g.gap = 1;
            if (g.n > 1) g.gap = static_cast<int32_t>(get_raw());
            segs_.push_back(g);
        }
        s.assign(end, segs_);
    }
    uint8_t num_tasks(int32_t) const { return 0; }
    template <typename T>
    T* make(size_t n) {
        return n ? arena_.make<T>(n) : nullptr;
    }
    Cycle now() const { return now_; }

  private:
    static int64_t unzigzag(uint64_t v) { return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1); }
    int64_t get() { return unzigzag(get_raw()); }
    [[gnu::always_inline]] uint64_t get_raw() {
        const auto byte = static_cast<unsigned char>(*at_++);
        return byte < 128 ? byte : get_long(byte);
    }
    [[gnu::noinline]] uint64_t get_long(uint64_t first) {
        uint64_t v = first & 127;
        for (int shift = 7;; shift += 7) {
            const auto byte = static_cast<unsigned char>(*at_++);
            v |= static_cast<uint64_t>(byte & 127) << shift;
            if (byte < 128) return v;
        }
    }
    const char* at_;
    Cycle now_, past_;
    Arena& arena_;
    std::vector<Seg> segs_;
};

}  // namespace wafersim::stream
