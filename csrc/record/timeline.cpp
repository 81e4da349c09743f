#include "record/timeline.hpp"

#include <algorithm>

namespace wafersim {

void Timeline::add(const TimelineEntry& entry) {
    if (!wants(entry.kind) || !wants(entry.begin, entry.end)) return;
    if (entries_.size() >= most_ && complete_until_ == kForever) complete_until_ = now_;
    if (entry.end <= complete_until_)
        entries_.push_back(entry);
    else
        ++dropped_;
}

void Timeline::stretch(uint32_t pe, Cycle begin, Cycle end, Counter kind) {
    if (!wants(Happening::kStretch)) return;
    begin = std::max(begin, begin_);
    end = std::min(end, end_);
    if (begin >= end) return;
    uint32_t& last = last_stretch_[pe];
    if (last != kNone && end <= complete_until_) {
        TimelineEntry& before = entries_[last];
        if (before.end == begin && before.code == static_cast<int16_t>(kind)) {
            before.end = end;
            return;
        }
    }
    const size_t place = entries_.size();
    TimelineEntry entry;
    entry.begin = begin;
    entry.end = end;
    entry.pe = pe;
    entry.kind = Happening::kStretch;
    entry.code = static_cast<int16_t>(kind);
    add(entry);
    last = entries_.size() > place ? static_cast<uint32_t>(place) : kNone;
}

void Timeline::cut(uint32_t pe, Cycle end) {
    const uint32_t last = last_stretch_[pe];
    if (last != kNone) entries_[last].end = std::min(entries_[last].end, end);
}

}  // namespace wafersim
