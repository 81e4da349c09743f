// What a PE does between two looks at it, from one known place to the next: a message it hears with the visit one cycle
// later, or a visit; the visits that waited before, and the choice of those that wait behind. Found by its situation
// and its chain; its values have to fit the tape.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <climits>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "stream/arena.hpp"
#include "stream/memo.hpp"
#include "stream/partial.hpp"

namespace wafersim::stream {

class Shortcuts {
  public:
    static constexpr uint32_t kNoMessage = UINT32_MAX;
    static constexpr uint32_t kOnly = UINT32_C(1) << 31;  // with a message: without the visit one cycle later
    struct Key {
        uint32_t at = 0, message = kNoMessage;
        int32_t chain = 0;
        int32_t dt = 0;  // cycles since the situation was taken
        bool operator==(const Key& o) const {
            using Halves = std::array<uint64_t, 2>;
            const auto a = std::bit_cast<Halves>(*this), b = std::bit_cast<Halves>(o);
            return ((a[0] ^ b[0]) | (a[1] ^ b[1])) == 0;
        }
        uint64_t hash() const {
            uint64_t h = (uint64_t{at} << 32 | message) * UINT64_C(0x9e3779b97f4a7c15);
            h = (h ^ h >> 32) + (uint64_t{static_cast<uint32_t>(dt)} << 32 | static_cast<uint32_t>(chain));
            h *= UINT64_C(0x9fb21c651e98df25);
            return h ^ h >> 32;
        }
    };
    static constexpr int kSaid = 2;  // messages that lie in it
    static constexpr int16_t kNoEnd = INT16_MIN;
    static constexpr uint16_t kFirstLook = 8, kLastLook = 1 << 15;
    static constexpr uint64_t kMostVisits = (1 << 13) - 1;
    // All that most passes need, in one cache line; the rest of it lies in another one.
    struct alignas(64) Shortcut {
        Key key;
        uint32_t to = 0;
        int32_t to_chain = 0;
        int32_t due = 0, reach = 0;  // of the PE then
        uint32_t said[kSaid] = {};
        uint32_t values = Classes::kNone, after = Classes::kNone;  // what its tape does for the class asked for last
        HalfRange range{};              // of the PE's own values, if that is all that it asks for
        int32_t chain_end = INT32_MIN;  // of the visits that waited, in cycles since the situation it begins in
        int16_t end = kNoEnd;           // of what else ended
        uint16_t left = kFirstLook;     // uses until it is looked at whether a longer chain lies behind it
        uint32_t num_said : 2 = 0;      // 3: more than lie in it
        uint32_t port0 : 2 = 0, port1 : 2 = 0;
        uint32_t late : 1 = 0;        // it is there a cycle behind the message
        uint32_t any_values : 1 = 0;  // it has no tape
        uint32_t fails : 1 = 0, in_range : 1 = 0, guarded : 1 = 0, writes : 1 = 0;  // for the class
        uint32_t shift : 6 = 0;                                                     // of `range`
        uint32_t rare : 1 = 0;                                                      // something is in its work
        uint32_t visits : 13 = 0;
    };
    static_assert(sizeof(Shortcut) == 64);
    struct alignas(64) Rest {
        Partials::Entry partial;  // of its tape, for the class that was asked for last
        int32_t next = 0;         // another one with this key, for other values; 0: none
        int32_t visit = 0;        // the one that says what it says
        uint32_t work = 0;
        uint8_t num_chains = 0;      // that began in `to` when this was made; more: one of them may be better
        int8_t done = 0;             // launches that ended
        uint16_t span = kFirstLook;  // where `left` began
        int64_t uses = 0;            // before that; less those whose work has been counted
    };
    static_assert(sizeof(Rest) == 64);

    // `most`: how many there may be; they are crowded before.
    explicit Shortcuts(size_t most = 0);

    // By the hash of a key. Inlined in any case: a call of a function that only fetches may be left out.
    [[gnu::always_inline]] void fetch_slot(uint64_t hash) const {
        __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]);
    }
    // Returns where it looked, 0: there is none.
    [[gnu::always_inline]] int32_t fetch(uint64_t hash) const {
        const int32_t i = slots_[probe(hash)].first;
        if (i) __builtin_prefetch(&all_[static_cast<size_t>(i)]);
        return i;
    }
    // Whether the key has been asked for some times in vain; then counted anew.
    bool often(const Key& key) {
        uint8_t& asked = asked_[key.hash() >> 16 & (kAsked - 1)];
        if (++asked < kOften) return false;
        asked = 0;
        return true;
    }
    int32_t find(const Key& key) const { return slots_[slot_of(key)].first; }
    Shortcut& operator[](int32_t i) { return all_[static_cast<size_t>(i)]; }
    const Shortcut& operator[](int32_t i) const { return all_[static_cast<size_t>(i)]; }
    Rest& rest(int32_t i) { return rests_[static_cast<size_t>(i)]; }
    const Rest& rest(int32_t i) const { return rests_[static_cast<size_t>(i)]; }
    // How often it was taken since its work was counted; it is counted now.
    int64_t uses(int32_t i) const { return rest(i).uses + rest(i).span - (*this)[i].left; }
    void counted(int32_t i) { rest(i).uses = int64_t{(*this)[i].left} - rest(i).span; }
    // It has been looked at; the next time is when it has been used twice as often.
    void look_later(int32_t i) {
        Rest& r = rest(i);
        r.uses += r.span;
        (*this)[i].left = r.span = static_cast<uint16_t>(std::min<uint32_t>(2u * r.span, kLastLook));
    }
    // What is counted with its uses, not with every use: few different ones, kept once.
    struct Work {
        Memo::Work work;
        uint64_t waited = 0;
        bool operator==(const Work&) const = default;
    };
    const Work& work(int32_t i) const { return works_[rest(i).work]; }
    uint32_t number_of(const Work& work);
    void add(const Shortcut& s, const Rest& rest);
    void clear();
    // Those that were used, the most used ones first: they lie together then. At most so many as half of them all.
    void keep_used();
    bool crowded() const { return all_.size() > room_; }                // it is time to do so
    int32_t size() const { return static_cast<int32_t>(all_.size()); }  // the first one is none
    size_t bytes() const {
        return all_.size() * (sizeof(Shortcut) + sizeof(Rest)) + sizeof(Slot) * slots_.size() +
               2 * sizeof(Work) * works_.size();
    }

  private:
    struct Slot {
        uint32_t tag = 0;   // of the key
        int32_t first = 0;  // shortcut with it
    };
    static constexpr size_t kRoom = 1000000;   // there is room for so many, and for twice those that were used
    static constexpr size_t kAsked = 1 << 14;  // counts; some keys share one
    static constexpr uint8_t kOften = 8;       // from one trial on a large product, not tuned
    static uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }
    // The next slot, from the one on that the hash leads to, or from another one, with the tag or nothing.
    size_t probe(uint64_t hash) const { return probe(hash, hash); }
    size_t probe(uint64_t hash, size_t i) const {
        const size_t mask = slots_.size() - 1;
        for (i &= mask; slots_[i].first && slots_[i].tag != tag_of(hash);) i = (i + 1) & mask;
        return i;
    }
    // The slot of the key, or that where it would be.
    size_t slot_of(const Key& key) const {
        const uint64_t hash = key.hash();
        size_t i = probe(hash);
        while (slots_[i].first && all_[static_cast<size_t>(slots_[i].first)].key != key)
            i = probe(hash, i + 1);  // another key with its tag
        return i;
    }
    void put(int32_t i);
    std::vector<Slot, LargePages<Slot>> slots_;  // open addressing
    std::vector<uint8_t> asked_;                 // for keys without any
    std::vector<Shortcut, LargePages<Shortcut>> all_;
    std::vector<Rest, LargePages<Rest>> rests_;
    std::vector<Work> works_;
    struct HashWork {
        size_t operator()(const Work& w) const;
    };
    std::unordered_map<Work, uint32_t, HashWork> work_ids_;
    size_t num_keys_ = 0;
    size_t most_, room_;
};

}  // namespace wafersim::stream
