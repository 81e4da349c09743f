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

void Shortcuts::add(const Shortcut& s, const Work& work) {
    const auto made = static_cast<int32_t>(all_.size());
    const int32_t first = find(s.key);
    all_.push_back(s);
    works_.push_back(work);
    if (first) {
        all_.back().next = std::exchange((*this)[first].next, made);
        return;
    }
    if (2 * ++num_keys_ > slots_.size()) {
        const auto old = std::exchange(slots_, decltype(slots_)(2 * slots_.size()));
        for (const Slot& slot : old)
            if (slot.first) put(slot.first);
    }
    put(made);
}

void Shortcuts::keep_used(size_t most) {
    std::vector<int32_t> used;
    for (int32_t i = 1; i < size(); ++i)
        if ((*this)[i].uses) used.push_back(i);
    std::stable_sort(used.begin(), used.end(), [&](int32_t a, int32_t b) { return (*this)[a].uses > (*this)[b].uses; });
    if (used.size() > kept_of(most)) used.resize(kept_of(most));
    Shortcuts kept;
    for (const int32_t i : used) {
        Shortcut s = (*this)[i];
        s.next = 0;
        s.uses = 0;
        kept.add(s, work(i));
    }
    *this = std::move(kept);
}

void Shortcuts::clear() {
    *this = Shortcuts();
}

}  // namespace wafersim::stream
