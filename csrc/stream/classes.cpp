#include "stream/classes.hpp"

#include <algorithm>
#include <cstring>

namespace wafersim::stream {

int owned(std::span<const uint64_t> mask, int32_t at, int32_t bytes) {
    const auto* first = reinterpret_cast<const uint8_t*>(mask.data()) + at;
    const auto own = std::count(first, first + bytes, 0);
    return own == 0 ? 0 : own == bytes ? 1 : -1;
}

void set_owned(std::vector<uint64_t>& mask, int32_t at, int32_t bytes, bool own) {
    std::memset(reinterpret_cast<uint8_t*>(mask.data()) + at, own ? 0 : 0xff, static_cast<size_t>(bytes));
}

Classes::Classes(const std::vector<size_t>& cell_bytes)
    : layouts_(1), first_own_(cell_bytes.size()), classes_(1), slots_(1 << 10) {
    for (const size_t bytes : cell_bytes) first_.push_back(layout_of(std::vector<uint64_t>(bytes / 8, UINT64_MAX)));
}

uint32_t Classes::layout_of(const std::vector<uint64_t>& mask) {
    const std::string key(reinterpret_cast<const char*>(mask.data()), 8 * mask.size());
    const auto [it, fresh] = layout_ids_.try_emplace(key, static_cast<uint32_t>(layouts_.size()));
    if (fresh) layouts_.push_back(mask);
    return it->second;
}

void Classes::own_what_differs(int32_t tile, const uint8_t* a, const uint8_t* b, size_t register_bytes) {
    uint32_t& first = first_[static_cast<size_t>(tile)];
    std::vector<uint64_t> mask;
    for (size_t i = 0; i < layouts_[first].size(); ++i) {
        uint64_t left, right;
        std::memcpy(&left, a + 8 * i, 8);
        std::memcpy(&right, b + 8 * i, 8);
        const uint64_t differs = (left ^ right) & layouts_[first][i];
        if (!differs) continue;
        if (mask.empty()) mask = layouts_[first];
        const auto at = static_cast<int32_t>(8 * i);
        if (8 * i < register_bytes) set_owned(mask, at, 8, true);
        for (int32_t half = 0; 8 * i >= register_bytes && half < 4; ++half)
            if (differs >> 16 * half & 0xffff) set_owned(mask, at + 2 * half, 2, true);
    }
    if (mask.empty()) return;
    first = layout_of(mask);
    const auto own = std::find_if(mask.begin(), mask.end(), [](uint64_t word) { return word != UINT64_MAX; });
    first_own_[static_cast<size_t>(tile)] = static_cast<int32_t>(8 * (own - mask.begin()));
}

uint32_t Classes::find(int32_t tile, uint32_t layout, const uint8_t* cells) {
    const std::vector<uint64_t>& shared = layouts_[layout];
    words_.resize(shared.size());
    uint64_t hash = layout;
    for (size_t i = 0; i < shared.size(); ++i) {
        uint64_t word;
        std::memcpy(&word, cells + 8 * i, 8);
        words_[i] = word &= shared[i];
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    const auto short_hash = static_cast<uint32_t>(hash >> 16);
    const size_t mask = slots_.size() - 1;
    size_t at = short_hash & mask;
    for (; slots_[at]; at = (at + 1) & mask) {
        const Class& c = classes_[slots_[at]];
        if (c.hash == short_hash && c.layout == layout && c.tile == tile &&
            (words_.empty() || std::memcmp(c.values, words_.data(), 8 * words_.size()) == 0))
            return slots_[at];
    }
    const auto made = static_cast<uint32_t>(classes_.size());
    classes_.push_back({keep(words_), tile, layout, short_hash});
    slots_[at] = made;
    if (2 * classes_.size() > slots_.size()) grow();
    return made;
}

const uint8_t* Classes::keep(const std::vector<uint64_t>& values) {
    const size_t bytes = 8 * values.size();
    if (bytes == 0) return nullptr;
    if (piece_used_ + bytes > kPiece) {
        pieces_.push_back(std::make_unique_for_overwrite<uint64_t[]>(std::max(kPiece, bytes) / 8));
        piece_used_ = 0;
    }
    uint64_t* to = pieces_.back().get() + piece_used_ / 8;
    std::copy(values.begin(), values.end(), to);
    piece_used_ += bytes;
    return reinterpret_cast<const uint8_t*>(to);
}

void Classes::grow() {
    slots_.assign(2 * slots_.size(), 0);
    const size_t mask = slots_.size() - 1;
    for (size_t i = 1; i < classes_.size(); ++i) {
        size_t at = classes_[i].hash & mask;
        while (slots_[at]) at = (at + 1) & mask;
        slots_[at] = static_cast<uint32_t>(i);
    }
}

void Classes::put(uint32_t i, uint8_t* cells) const {
    const Class& c = classes_[i];
    const std::vector<uint64_t>& shared = layouts_[c.layout];
    for (size_t k = 0; k < shared.size(); ++k) {
        uint64_t mine, value;
        std::memcpy(&mine, cells + 8 * k, 8);
        std::memcpy(&value, c.values + 8 * k, 8);
        mine = (mine & ~shared[k]) | value;
        std::memcpy(cells + 8 * k, &mine, 8);
    }
}

void Classes::join(uint32_t i, const uint8_t* cells, std::vector<uint8_t>& joined) const {
    const Class& c = classes_[i];
    const std::vector<uint64_t>& shared = layouts_[c.layout];
    joined.assign(c.values, c.values + 8 * shared.size());
    for (size_t k = 0; k < shared.size(); ++k) {
        if (shared[k] == UINT64_MAX) continue;
        uint64_t mine, value;
        std::memcpy(&mine, cells + 8 * k, 8);
        std::memcpy(&value, c.values + 8 * k, 8);
        value |= mine & ~shared[k];
        std::memcpy(joined.data() + 8 * k, &value, 8);
    }
}

void Classes::put_own(uint32_t i, const uint8_t* joined, uint8_t* cells) const {
    const std::vector<uint64_t>& shared = layouts_[classes_[i].layout];
    for (size_t k = 0; k < shared.size(); ++k)
        if (shared[k] != UINT64_MAX) std::memcpy(cells + 8 * k, joined + 8 * k, 8);
}

void Classes::clear() {
    classes_.assign(1, {});
    classes_.shrink_to_fit();
    slots_.assign(1 << 10, 0);
    slots_.shrink_to_fit();
    pieces_.clear();
    piece_used_ = kPiece;
}

}  // namespace wafersim::stream
