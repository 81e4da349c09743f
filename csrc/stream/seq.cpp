#include "stream/seq.hpp"

namespace wafersim::stream {

void Seq::grow(uint32_t wanted) {
    uint32_t capacity = 2 * kInline;
    while (capacity < wanted) capacity *= 2;
    Seg* fresh = new Seg[capacity];
    std::memcpy(static_cast<void*>(fresh), data(), size_ * sizeof(Seg));
    if (on_heap()) delete[] heap_;
    heap_ = fresh;
    capacity_ = capacity;
}

void Seq::drop_front(uint32_t n) {
    Seg* d = data();
    size_ -= n;
    std::memmove(static_cast<void*>(d), d + n, size_ * sizeof(Seg));
    if (on_heap() && size_ <= kInline) {
        Seg* old = heap_;
        std::memcpy(static_cast<void*>(in_), old, size_ * sizeof(Seg));
        capacity_ = kInline;
        delete[] old;
    }
}

void Seq::truncate(Cycle T, Seq* tail) {
    int64_t from = end_;
    Seg* d = data();
    uint32_t i = size_;
    while (i > 0 && d[i - 1].last() >= T) from -= d[--i].n;
    if (tail) tail->size_ = 0, tail->end_ = end_;
    if (i == size_) return;
    const Seg cut_seg = d[i];
    const int32_t keep = cut_seg.t >= T ? 0 : static_cast<int32_t>((T - 1 - cut_seg.t) / cut_seg.gap) + 1;
    if (tail) {
        if (size_ - i > tail->capacity_) tail->grow(size_ - i);
        Seg* to = tail->data();
        tail->size_ = size_ - i;
        std::memcpy(static_cast<void*>(to), d + i, tail->size_ * sizeof(Seg));
        to[0].t += static_cast<Cycle>(keep) * cut_seg.gap;
        to[0].n -= keep;
    }
    end_ = from + keep;
    size_ = i + (keep > 0);
    if (keep) d[i].n = keep;
}

void Seq::cut(int64_t end) {
    while (size_ && end_ > end) {
        Seg& s = data()[size_ - 1];
        const auto over = static_cast<int32_t>(std::min<int64_t>(end_ - end, s.n));
        s.n -= over;
        end_ -= over;
        if (s.n == 0) --size_;
    }
    end_ = std::min(end_, end);
}

void Seq::append_run(Cycle t, int32_t gap, int64_t n, bool restricted) {
    for (int64_t i = 0; i < 2 && i < n; ++i) append(t + i * gap, restricted);
    if (n <= 2) return;
    Seg& s = data()[size_ - 1];
    if (s.n == 1) s.gap = gap;
    if (s.gap == gap && s.n + n <= kMostWords)
        s.n += static_cast<int32_t>(n - 2);
    else
        push({t + 2 * gap, static_cast<int32_t>(n - 2), gap, restricted});
    end_ += n - 2;
}

void Seq::append_past(int64_t n) {
    if (n <= 0) return;
    end_ += n;
    if (size_ && data()[size_ - 1].t <= kMinus)
        data()[size_ - 1].n += static_cast<int32_t>(n);
    else if (size_)
        push({kMinus, static_cast<int32_t>(n), 1, 0});
}

void Seq::append_range(const Seq& other, int64_t from, int64_t to) {
    while (from < to) {
        const Value v = other.at(from);
        const int64_t n = std::min(v.left, to - from);
        append_run(v.t, v.gap ? v.gap : 1, n, false);
        from += n;
    }
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
