#include "stream/seq.hpp"

namespace wafersim::stream {

Seq::Value Seq::at(int64_t k) const {
    Value v;
    if (k >= end_ || k < 0) return v;
    int64_t first = end_;
    v.known = true;
    for (size_t i = segs_.size(); i-- > 0;) {
        const Seg& s = segs_[i];
        first -= s.n;
        if (k < first) continue;
        v.restricted = s.restricted;
        v.t = s.t <= kMinus ? kMinus : s.t + (k - first) * s.gap;
        v.left = first + s.n - k;
        v.gap = s.n > 1 ? s.gap : 0;
        v.last_segment = i + 1 == segs_.size();
        return v;
    }
    v.t = kMinus;
    v.left = first - k;
    return v;
}

void Seq::truncate(Cycle T, Seq* tail) {
    int64_t first = end_;
    size_t i = segs_.size();
    while (i > 0 && segs_[i - 1].last() >= T) first -= segs_[--i].n;
    if (tail) tail->segs_.clear(), tail->end_ = end_;
    if (i == segs_.size()) return;
    const Seg cut_seg = segs_[i];
    const int32_t keep = cut_seg.t >= T ? 0 : static_cast<int32_t>((T - 1 - cut_seg.t) / cut_seg.gap) + 1;
    if (tail) {
        tail->segs_.assign(segs_.begin() + static_cast<ptrdiff_t>(i), segs_.end());
        tail->segs_[0].t += static_cast<Cycle>(keep) * cut_seg.gap;
        tail->segs_[0].n -= keep;
    }
    end_ = first + keep;
    segs_.resize(i + (keep > 0), Seg{});
    if (keep) segs_[i].n = keep;
}

void Seq::cut(int64_t end) {
    while (!segs_.empty() && end_ > end) {
        Seg& s = segs_.back();
        const auto over = static_cast<int32_t>(std::min<int64_t>(end_ - end, s.n));
        s.n -= over;
        end_ -= over;
        if (s.n == 0) segs_.pop_back();
    }
    end_ = std::min(end_, end);
}

int64_t Seq::count_before(Cycle T) const {
    int64_t first = end_;
    for (size_t i = segs_.size(); i-- > 0;) {
        const Seg& s = segs_[i];
        first -= s.n;
        if (s.t >= T) continue;
        if (s.t <= kMinus) return first + s.n;
        return first + std::min<int64_t>(s.n, s.gap > 0 ? (T - 1 - s.t) / s.gap + 1 : 1);
    }
    return first;
}

void Seq::append(Cycle t, bool restricted) {
    ++end_;
    if (!segs_.empty()) {
        Seg& s = segs_.back();
        if (s.restricted == restricted && s.t > kMinus && (s.n == 1 || t == s.t + static_cast<Cycle>(s.n) * s.gap)) {
            if (s.n == 1) s.gap = static_cast<int32_t>(t - s.t);
            ++s.n;
            return;
        }
    }
    segs_.push_back({t, 1, 1, restricted});
}

void Seq::append_run(Cycle t, int32_t gap, int64_t n, bool restricted) {
    for (int64_t i = 0; i < 2 && i < n; ++i) append(t + i * gap, restricted);
    if (n <= 2) return;
    Seg& s = segs_.back();
    if (s.n == 1) s.gap = gap;
    if (s.gap == gap)
        s.n += static_cast<int32_t>(n - 2);
    else
        segs_.push_back({t + 2 * gap, static_cast<int32_t>(n - 2), gap, restricted});
    end_ += n - 2;
}

void Seq::append_past(int64_t n) {
    if (n <= 0) return;
    end_ += n;
    if (!segs_.empty() && segs_.back().t <= kMinus)
        segs_.back().n += static_cast<int32_t>(n);
    else if (!segs_.empty())
        segs_.push_back({kMinus, static_cast<int32_t>(n), 1, 0});
}

void Seq::append_range(const Seq& other, int64_t from, int64_t to) {
    while (from < to) {
        const Value v = other.at(from);
        const int64_t n = std::min(v.left, to - from);
        append_run(v.t, v.gap ? v.gap : 1, n, false);
        from += n;
    }
}

void Seq::canonicalize(Cycle T) {
    Seq fresh;
    fresh.end_ = first();
    bool past = true;
    for (const Seg& s : segs_) {
        if (past && s.last() < T) {
            fresh.end_ += s.n;
            continue;
        }
        int32_t skip = 0;
        if (past && s.t < T) skip = static_cast<int32_t>((T - 1 - s.t) / s.gap) + 1;
        past = false;
        fresh.end_ += skip;
        if (s.t <= kMinus)
            fresh.append_past(s.n);
        else
            fresh.append_run(s.t + static_cast<Cycle>(skip) * s.gap, s.gap, s.n - skip, s.restricted);
    }
    for (Seg& s : fresh.segs_)
        if (s.n == 1) s.gap = 1;
    *this = std::move(fresh);
}

void Seq::drop_past_end() {
    while (!segs_.empty() && segs_.back().t <= kMinus) end_ -= segs_.back().n, segs_.pop_back();
}

Difference difference(const Seq& was, const Seq& is, int64_t from, bool as_credit) {
    const int64_t end = std::max(was.end(), is.end());
    for (int64_t k = from; k < end;) {
        const Seq::Value a = was.at(k), b = is.at(k);
        const bool ka = a.known && (!as_credit || a.restricted), kb = b.known && (!as_credit || b.restricted);
        int64_t step = 1;
        if (a.known && b.known)
            step = std::min(a.left, b.left);
        else if (a.known)
            step = a.left;
        else if (b.known)
            step = b.left;
        const Cycle t = std::min(a.known ? a.t : kForever, b.known ? b.t : kForever);
        if (ka != kb) return {k, t};
        if (ka && kb) {
            if (a.t != b.t) return {k, t};
            if (step > 1 && a.gap != b.gap) return {k + 1, std::min(a.t + a.gap, b.t + b.gap)};
        }
        k += std::max<int64_t>(step, 1);
    }
    return {};
}

}  // namespace wafersim::stream
