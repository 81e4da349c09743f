// A sequence of word times on one stage of the fabric, as linear segments, and the loop that serves several sequences
// from shared resources (an output port of a router, the issue slot of a PE, its ramp).
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "base/types.hpp"

namespace wafersim::stream {

inline constexpr Cycle kMinus = INT64_MIN / 4;

// Words i = 0 .. n-1 pass at t + i * gap. `restricted`: they had to wait here for something other than their arrival.
struct Seg {
    Cycle t;
    int32_t n;
    int32_t gap : 31;
    uint32_t restricted : 1;
};

class Seq {
  public:
    int64_t end() const { return end_; }
    size_t num_segments() const { return segs_.size(); }
    Cycle last() const { return segs_.empty() ? kMinus : segs_.back().t + static_cast<Cycle>(segs_.back().n - 1) * segs_.back().gap; }

    struct Value {
        bool known = false, restricted = false, last_segment = false;
        Cycle t = 0;
        int64_t left = 0;  // words from here to the end of the segment
        int32_t gap = 0;
    };
    Value at(int64_t k) const {
        Value v;
        if (k >= end_ || k < 0) return v;
        int64_t first = end_;
        for (size_t i = segs_.size(); i-- > 0;) {
            const Seg& s = segs_[i];
            first -= s.n;
            if (k < first) continue;
            v.known = true;
            v.restricted = s.restricted;
            v.t = s.t + (k - first) * s.gap;
            v.left = first + s.n - k;
            v.gap = s.n > 1 ? s.gap : 0;
            v.last_segment = i + 1 == segs_.size();
            return v;
        }
        v.known = true;  // forgotten: long past
        v.t = kMinus;
        v.left = first - k;
        return v;
    }
    // Forgets the words that pass at T or later; returns them in `tail` (for a comparison).
    void truncate(Cycle T, Seq* tail) {
        if (segs_.size() > 16) forget(T);
        int64_t first = end_;
        size_t i = segs_.size();
        while (i > 0 && segs_[i - 1].t + static_cast<Cycle>(segs_[i - 1].n - 1) * segs_[i - 1].gap >= T) first -= segs_[--i].n;
        if (i == segs_.size()) {
            if (tail) tail->segs_.clear(), tail->end_ = end_;
            return;
        }
        const Seg cut = segs_[i];
        const int32_t keep = cut.t >= T ? 0 : static_cast<int32_t>((T - 1 - cut.t) / cut.gap) + 1;
        if (tail) {
            tail->segs_.assign(segs_.begin() + static_cast<ptrdiff_t>(i), segs_.end());
            tail->segs_[0].t += static_cast<Cycle>(keep) * cut.gap;
            tail->segs_[0].n -= keep;
            tail->end_ = end_;
        }
        end_ = first + keep;
        segs_.resize(i + (keep > 0));
        if (keep) segs_[i].n = keep;
    }
    int64_t count_before(Cycle T) const {
        int64_t first = end_;
        for (size_t i = segs_.size(); i-- > 0;) {
            const Seg& s = segs_[i];
            first -= s.n;
            if (s.t >= T) continue;
            return first + std::min<int64_t>(s.n, s.gap > 0 ? (T - 1 - s.t) / s.gap + 1 : 1);
        }
        return first;
    }
    void append(Cycle t, bool restricted) {
        ++end_;
        if (!segs_.empty()) {
            Seg& s = segs_.back();
            if (s.restricted == restricted) {
                if (s.n == 1 || t == s.t + static_cast<Cycle>(s.n) * s.gap) {
                    if (s.n == 1) s.gap = static_cast<int32_t>(t - s.t);
                    ++s.n;
                    return;
                }
            }
        }
        segs_.push_back({t, 1, 1, restricted});
    }
    void append_run(Cycle t, int32_t gap, int64_t n, bool restricted) {
        if (n <= 0) return;
        append(t, restricted);
        if (n == 1) return;
        append(t + gap, restricted);
        if (n == 2) return;
        Seg& s = segs_.back();
        if (s.gap == gap && s.n > 1) {
            s.n += static_cast<int32_t>(n - 2);
            end_ += n - 2;
        } else {
            segs_.push_back({t + 2 * gap, static_cast<int32_t>(n - 2), gap, restricted});
            end_ += n - 2;
        }
    }
    // Appends words [from, to) of another sequence.
    void append_range(const Seq& other, int64_t from, int64_t to) {
        while (from < to) {
            const Value v = other.at(from);
            const int64_t n = std::min(v.left, to - from);
            append_run(v.t, v.gap ? v.gap : 1, n, false);
            from += n;
        }
    }
    size_t bytes() const { return segs_.capacity() * sizeof(Seg); }

  private:
    void forget(Cycle T) {  // all but the last 80 words of the past: more than any buffer holds
        int64_t words = 0;
        for (size_t i = segs_.size(); i-- > 0;) {
            if (segs_[i].t < T) words += segs_[i].n;
            if (words < 80) continue;
            segs_.erase(segs_.begin(), segs_.begin() + static_cast<ptrdiff_t>(i));
            return;
        }
    }
    std::vector<Seg> segs_;
    int64_t end_ = 0;
};

// First index at which two continuations differ, and the earlier of the two times there; `as_credit` compares what the
// sender may see: unrestricted words do not count.
struct Difference {
    int64_t k = -1;
    Cycle t = kForever;
};
inline Difference difference(const Seq& was, const Seq& is, int64_t from, bool as_credit) {
    const int64_t end = std::max(was.end(), is.end());
    for (int64_t k = from; k < end;) {
        const Seq::Value a = was.at(k), b = is.at(k);
        const bool ka = a.known && (!as_credit || a.restricted), kb = b.known && (!as_credit || b.restricted);
        int64_t step = 1;
        if (a.known && b.known) step = std::min(a.left, b.left);
        else if (a.known) step = a.left;
        else if (b.known) step = b.left;
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

enum class ConKind : uint8_t { kData, kCredit, kSelf };

// A lower bound on the time of word k of a server: time of word k + off of `s` plus `add`.
struct Con {
    const Seq* s = nullptr;
    int64_t off = 0;
    int32_t add = 0;
    ConKind kind = ConKind::kData;
    int64_t blocked = INT64_MAX;  // credit: words from here on have no time yet and hold everybody up
};

struct Server {
    int id = 0, phase = 0;          // phase 0 before phase 1 within a cycle
    int64_t k = 0, k_end = 0;
    uint32_t mask = 0;
    int prio = 0, tie = 0;
    Cycle last = -1, prev = kMinus, min_next = 0;
    int32_t cost = 1;
    Cycle start = -1;               // first beat; pace_num / pace_den counts from it
    int64_t beats = 0;
    int32_t pace_num = 1, pace_den = 1;
    Con con[10];
    int num_con = 0;
    Seq* out[3] = {};
    int flag_con[3] = {-1, -1, -1};
    Cycle floor = kForever;         // min_next without the present: for the check that no wake-up came too late
    Cycle ready = 0, raw = kMinus;  // next word's time by its bounds alone; the same of the last granted word
    bool in_period = false;
    void add(const Con& c) { con[num_con++] = c; }
};

class Loop {
  public:
    uint64_t words = 0, leaps = 0, late = 0;
    bool explain = false;
    Cycle busy = kMinus;  // last use, before the run, of the resources of phase 0

    // Serves from cycle T on until nothing is ready. `exhausted(server)` may give a server more work.
    template <typename Exhausted>
    void run(Server* sv, int n, Cycle T, Cycle slot_free, Exhausted&& exhausted) {
        now_ = T;
        slot_free_ = slot_free;
        for (int i = 0; i < n; ++i) {
            if (sv[i].k >= sv[i].k_end || sv[i].floor >= T) continue;
            Server check = sv[i];
            check.min_next = check.floor;
            const Cycle r = ready(check);
            if (r >= T || (sv[i].phase == 0 && busy >= r)) continue;  // `busy`: the resource was somebody else's then
            ++late;
            if (explain) fprintf(stderr, "late: cycle %ld ready %ld last %ld word %ld tie %d phase %d n %d\n", T, r, sv[i].last, sv[i].k, sv[i].tie, sv[i].phase, n);
        }
        for (;;) {
            Cycle t = kForever;
            for (int i = 0; i < n; ++i) {
                sv[i].ready = sv[i].k < sv[i].k_end ? std::max(ready(sv[i]), T) : kForever;
                if (sv[i].phase == 1 && sv[i].ready < kForever) sv[i].ready = std::max(sv[i].ready, slot_free_);
                t = std::min(t, sv[i].ready);
            }
            if (t >= kForever) return;
            uint32_t used = 0;
            bool granted_first = false;
            for (int phase = 0; phase < 2; ++phase) {
                int order[24], m = 0;
                for (int i = 0; i < n; ++i) {
                    if (sv[i].phase != phase || sv[i].k >= sv[i].k_end) continue;
                    if (phase == 1 && granted_first) sv[i].ready = std::max({ready(sv[i]), T, slot_free_});
                    if (sv[i].ready > t) continue;
                    int j = m++;
                    for (; j > 0 && before(sv[i], sv[order[j - 1]]); --j) order[j] = order[j - 1];
                    order[j] = i;
                }
                for (int j = 0; j < m; ++j) {
                    Server& s = sv[order[j]];
                    if (s.mask & used) continue;
                    used |= s.mask;
                    grant(s, t);
                    if (phase == 0) granted_first = true;
                    else slot_free_ = t + s.cost;
                    if (s.k >= s.k_end) exhausted(s, t);
                }
            }
            T = t + 1;
            if (leap(sv, n, t))
                for (int i = 0; i < n; ++i) {
                    if (!sv[i].in_period) continue;
                    T = std::max(T, sv[i].last + 1);  // until then the resources are spoken for
                    if (sv[i].k >= sv[i].k_end) exhausted(sv[i], sv[i].last);
                }
        }
    }

  private:
    static bool before(const Server& a, const Server& b) {
        if (a.prio != b.prio) return a.prio > b.prio;
        if (a.last != b.last) return a.last < b.last;
        return a.tie < b.tie;
    }
    // kMinus: no bound; kForever: not known yet.
    Cycle bound(const Con& c, int64_t k, Seq::Value* value = nullptr) const {
        const int64_t i = k + c.off;
        if (i < 0) return kMinus;
        const Seq::Value v = c.s->at(i);
        if (value) *value = v;
        if (c.kind == ConKind::kCredit) {
            if (!v.known) return i >= c.blocked ? kForever : kMinus;
            if (!v.restricted && v.t >= now_) return kMinus;
            return v.t <= kMinus ? kMinus : v.t + c.add;
        }
        if (!v.known) return kForever;
        return v.t <= kMinus ? kMinus : v.t + c.add;
    }
    Cycle ready(const Server& s) const {
        Cycle r = s.min_next;
        for (int i = 0; i < s.num_con; ++i) {
            r = std::max(r, bound(s.con[i], s.k));
            if (r >= kForever) return kForever;
        }
        return r;
    }
    void grant(Server& s, Cycle t) {
        ++words;
        s.raw = ready(s);
        for (int o = 0; o < 3; ++o)
            if (s.out[o]) s.out[o]->append(t, s.flag_con[o] >= 0 && t > bound(s.con[s.flag_con[o]], s.k));
        if (s.start < 0) s.start = t;
        s.prev = s.last;
        s.last = t;
        ++s.k;
        ++s.beats;
        s.min_next = std::max(t + s.cost, s.start + s.beats * s.pace_num / s.pace_den);
    }
    // If the last period repeats for sure, repeats it as often as that is sure. Every active server was granted once
    // in the last P cycles and one period before; every bound moves by P per word or cannot bind; nobody else wakes up.
    bool leap(Server* sv, int n, Cycle t) {
        Cycle P = 0;
        for (int i = 0; i < n; ++i)
            if (sv[i].last == t) P = sv[i].last - sv[i].prev;
        if (P < 1 || P > 4) return false;
        int64_t times = INT64_MAX;
        Cycle limit = kForever;
        int active = 0;
        for (int i = 0; i < n; ++i) {
            Server& s = sv[i];
            s.in_period = false;
            if (s.k >= s.k_end) {
                if (s.last > t - P) return false;  // it took part and has finished
                continue;
            }
            if (s.last > t - P && s.last - s.prev == P && s.cost <= P && s.pace_num <= s.pace_den * s.cost && ready(s) == s.raw + P) {
                s.in_period = true;
                ++active;
                times = std::min(times, s.k_end - s.k);
                continue;
            }
        }
        Cycle slot_use = 0;
        int lowest = INT32_MAX;
        for (int i = 0; i < n; ++i)
            if (sv[i].in_period && sv[i].phase == 1) slot_use += sv[i].cost, lowest = std::min(lowest, sv[i].prio);
        for (int i = 0; i < n; ++i) {
            Server& s = sv[i];
            if (s.in_period || s.k >= s.k_end) continue;
            if (s.last > t - P) return false;  // it shaped the last period and does not go on
            if (s.phase == 1 && slot_use == P && s.prio < lowest) continue;  // outranked in every cycle
            s.ready = std::max(ready(s), t + 1);
            if (s.ready <= t + P) return false;
            limit = std::min(limit, s.ready);
        }
        if (!active || times < 3) return false;
        for (int i = 0; i < n && times >= 2; ++i) {
            const Server& s = sv[i];
            if (!s.in_period) continue;
            if (limit < kForever) times = std::min<int64_t>(times, (limit - 1 - s.last) / P);
            for (int c = 0; c < s.num_con; ++c) times = std::min(times, sure(sv, n, s, c, P, times));
        }
        if (--times < 2) return false;  // one period short: nobody's next word comes before the last one placed here
        ++leaps;
        for (int i = 0; i < n; ++i) {
            Server& s = sv[i];
            if (!s.in_period) continue;
            for (int o = 0; o < 3; ++o)
                if (s.out[o]) s.out[o]->append_run(s.last + P, static_cast<int32_t>(P), times, flag_[i][o]);
            s.last += times * P;
            s.raw += times * P;
            s.prev = s.last - P;
            s.k += times;
            s.beats += times;
            s.min_next = s.last + s.cost;
            if (s.phase == 1) slot_free_ = std::max(slot_free_, s.last + s.cost);
        }
        return true;
    }
    int64_t sure(Server* sv, int n, const Server& s, int c, Cycle P, int64_t wanted) {
        const Con& con = s.con[c];
        const int index = static_cast<int>(&s - sv);
        const Cycle next = s.last + P;
        Seq::Value v;
        const Cycle b = bound(con, s.k, &v);
        if (b >= kForever) return 0;
        int64_t m = v.known ? v.left : con.kind == ConKind::kCredit && con.blocked < INT64_MAX ? con.blocked - (s.k + con.off) : wanted;
        if (s.k + con.off < 0) m = -(s.k + con.off);
        bool flagged = false;
        for (int o = 0; o < 3; ++o)
            if (s.flag_con[o] == c) flagged = true, flag_[index][o] = next > b;
        bool grows = false;
        for (int i = 0; i < n; ++i)
            for (const Seq* out : sv[i].out)
                if (out && out == con.s && sv[i].in_period) grows = true;
        if (con.kind == ConKind::kSelf) {  // past words of the same server: check those that exist, then the period itself
            for (int64_t j = 0; j < std::min<int64_t>(wanted, -con.off); ++j)
                if (bound(con, s.k + j) > s.min_next + j * P) return j;
            return con.add <= s.cost + (-con.off - 1) * P ? wanted : std::min<int64_t>(wanted, -con.off);
        }
        if (b <= kMinus) return std::min(m, wanted);
        if (v.gap == P) {
            if (b > next) return 0;
            return grows && v.last_segment ? wanted : std::min(m, wanted);
        }
        if (m == 1) return 1;
        if (v.gap < P) {
            if (b > s.min_next || (flagged && b >= next)) return 0;
            return std::min(m, wanted);
        }
        if (b >= s.min_next) return 0;
        return std::min({m, wanted, (s.min_next - 1 - b) / (v.gap - P) + 1});
    }

    Cycle now_ = 0, slot_free_ = 0;
    bool flag_[24][3] = {};
};

}  // namespace wafersim::stream
