// Byte strings kept once and named by number, and the table of transitions.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace wafersim::stream {

inline uint64_t mix(uint64_t h) {
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

class Interner {
  public:
    // Number of the string; `fresh` says whether it is new.
    uint32_t intern(const std::string& s, bool& fresh) {
        uint64_t h = s.size();
        size_t i = 0;
        for (; i + 8 <= s.size(); i += 8) {
            uint64_t w;
            std::memcpy(&w, s.data() + i, 8);
            h = mix(h ^ w) + UINT64_C(0x9e3779b97f4a7c15);
        }
        uint64_t w = 0;
        std::memcpy(&w, s.data() + i, s.size() - i);
        h = mix(h ^ w);
        if (2 * (entries_.size() + 1) > table_.size()) grow();
        size_t at = h & (table_.size() - 1);
        for (; table_[at]; at = (at + 1) & (table_.size() - 1)) {
            const Entry& e = entries_[table_[at] - 1];
            if (e.hash == h && e.size == s.size() && !std::memcmp(bytes(table_[at] - 1), s.data(), s.size())) {
                fresh = false;
                return table_[at] - 1;
            }
        }
        fresh = true;
        if (chunks_.empty() || used_ + s.size() > chunks_.back().size()) {
            chunks_.emplace_back(std::max<size_t>(kChunk, s.size()));
            used_ = 0;
        }
        std::memcpy(chunks_.back().data() + used_, s.data(), s.size());
        entries_.push_back({h, chunks_.back().data() + used_, static_cast<uint32_t>(s.size())});
        used_ += s.size();
        table_[at] = static_cast<uint32_t>(entries_.size());
        return table_[at] - 1;
    }
    const uint8_t* bytes(uint32_t id) const { return entries_[id].data; }
    size_t length(uint32_t id) const { return entries_[id].size; }
    size_t size() const { return entries_.size(); }
    size_t memory() const { return chunks_.size() * kChunk + entries_.capacity() * sizeof(Entry) + table_.size() * 4; }

  private:
    static constexpr size_t kChunk = 1 << 20;
    struct Entry {
        uint64_t hash;
        const uint8_t* data;
        uint32_t size;
    };
    void grow() {
        table_.assign(std::max<size_t>(1024, 2 * table_.size()), 0);
        for (size_t i = 0; i < entries_.size(); ++i) {
            size_t at = entries_[i].hash & (table_.size() - 1);
            while (table_[at]) at = (at + 1) & (table_.size() - 1);
            table_[at] = static_cast<uint32_t>(i) + 1;
        }
    }
    std::vector<std::vector<uint8_t>> chunks_;
    size_t used_ = 0;
    std::vector<Entry> entries_;
    std::vector<uint32_t> table_;
};

// (state, message, distance) -> first transition.
class EventTable {
  public:
    uint32_t& operator()(uint32_t state, uint32_t message, int64_t dt) {
        if (2 * (count_ + 1) > table_.size()) grow();
        size_t at = place(state, message, dt);
        for (;; at = (at + 1) & (table_.size() - 1)) {
            Entry& e = table_[at];
            if (!e.used) {
                ++count_;
                e = {dt, state, message, 0, 1};
                return e.transition;
            }
            if (e.state == state && e.message == message && e.dt == dt) return e.transition;
        }
    }
    size_t memory() const { return table_.size() * sizeof(Entry); }

  private:
    struct Entry {
        int64_t dt = 0;
        uint32_t state = 0, message = 0, transition = 0, used = 0;
    };
    size_t place(uint32_t state, uint32_t message, int64_t dt) const {
        const uint64_t h = mix((static_cast<uint64_t>(state) << 32 | message) ^
                               static_cast<uint64_t>(dt) * UINT64_C(0x9e3779b97f4a7c15));
        return h & (table_.size() - 1);
    }
    void grow() {
        std::vector<Entry> old(std::max<size_t>(1024, 2 * table_.size()));
        old.swap(table_);
        for (const Entry& e : old) {
            if (!e.used) continue;
            size_t at = place(e.state, e.message, e.dt);
            while (table_[at].used) at = (at + 1) & (table_.size() - 1);
            table_[at] = e;
        }
    }
    std::vector<Entry> table_;
    size_t count_ = 0;
};

}  // namespace wafersim::stream
