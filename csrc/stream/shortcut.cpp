#include "stream/shortcut.hpp"

#include <algorithm>
#include <utility>

namespace wafersim::stream {

void Shortcuts::put(int32_t i) {
    const uint64_t hash = all_[static_cast<size_t>(i)].key.hash();
    const size_t mask = slots_.size() - 1;
    size_t at = hash & mask;
    while (slots_[at].first) at = (at + 1) & mask;
    slots_[at] = {tag_of(hash), i};
}

Shortcuts::Shortcuts(size_t most)
    : slots_(1 << 12), asked_(kAsked), works_(1), most_(most), room_(std::min(most, kRoom)) {
    all_.reserve(most + 1);  // pages come when they are touched; nothing is copied when more come
    rests_.reserve(most + 1);
    all_.emplace_back();
    rests_.emplace_back();
}

size_t Shortcuts::HashWork::operator()(const Work& w) const {
    uint64_t h = w.waited;
    for (const uint64_t field : {static_cast<uint64_t>(w.work.end), w.work.words, w.work.leaps, w.work.visits,
                                 w.work.beyond, static_cast<uint64_t>(w.work.most)})
        h = (h ^ field ^ h >> 32) * UINT64_C(0x9fb21c651e98df25);
    return h ^ h >> 32;
}

uint32_t Shortcuts::number_of(const Work& work) {
    const auto [it, fresh] = work_ids_.try_emplace(work, static_cast<uint32_t>(works_.size()));
    if (fresh) works_.push_back(work);
    return it->second;
}

void Shortcuts::add(const Shortcut& s, const Rest& rest) {
    const auto made = static_cast<int32_t>(all_.size());
    const int32_t first = find(s.key);
    all_.push_back(s);
    rests_.push_back(rest);
    if (first) {
        rests_.back().next = std::exchange(this->rest(first).next, made);
        return;
    }
    if (2 * ++num_keys_ > slots_.size()) {
        const auto old = std::exchange(slots_, decltype(slots_)(2 * slots_.size()));
        for (const Slot& slot : old)
            if (slot.first) put(slot.first);
    }
    put(made);
}

void Shortcuts::keep_used() {
    std::vector<std::pair<int64_t, int32_t>> order;
    for (int32_t i = 1; i < size(); ++i)
        if (const int64_t uses = this->uses(i)) order.emplace_back(-uses, i);
    std::sort(order.begin(), order.end());
    order.resize(std::min(order.size(), most_ / 2));
    std::vector<std::pair<Shortcut, Rest>> kept;
    kept.reserve(order.size());
    for (const auto& [rank, i] : order) kept.emplace_back((*this)[i], rest(i));
    all_.resize(1);
    rests_.resize(1);
    std::fill(slots_.begin(), slots_.end(), Slot{});
    num_keys_ = 0;
    for (auto& [s, rest] : kept) {
        rest.next = 0;
        add(s, rest);
        counted(size() - 1);
    }
    room_ = std::min(most_, std::max(kRoom, 2 * kept.size()));
}

void Shortcuts::clear() {
    *this = Shortcuts(most_);
}

}  // namespace wafersim::stream
