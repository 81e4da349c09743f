// The loop that serves several sequences of words from shared resources: the output ports of a router, the ramp and the
// issue slot of a compute element.
#pragma once
#include <algorithm>
#include <cstdint>

#include "stream/coarse.hpp"
#include "stream/pace.hpp"
#include "stream/server.hpp"

namespace wafersim::stream {

class Loop {
  public:
    uint64_t words = 0, leaps = 0, late = 0;
    uint64_t placed = 0;     // how often this host placed words, one or many at once
    int64_t most_words = 0;  // that are placed in one step, 0: no limit
    Coarse coarse;
    Cycle busy = kMinus;  // last use, before the run, of the resources of phase 0
    Pace pace;            // of the paced servers
    FifoEvents fifos;     // what the FIFOs of the PE that is served will do
    bool tails = false;   // whether servers look at sequences from their ends

    // Serves from cycle T on until nothing is ready. `exhausted(server)` may give a server more work.
    template <typename Exhausted>
    void run(Server* sv, int n, Cycle T, Cycle slot_free, Exhausted&& exhausted) {
        if (n > 1 && apart(sv, n)) {  // nothing in common: one after the other
            for (int i = 0; i < n; ++i) run(sv + i, 1, T, slot_free, exhausted);
            return;
        }
        now_ = T;
        slot_free_ = slot_free;
        all_ = {sv, static_cast<size_t>(n)};
        check_wakes(sv, n, T);
        if (n == 1) return run_one(*sv, T, exhausted);
        for (;;) {
            if (tails) aim(sv, n);
            const Survey v = survey(sv, n, T);
            if (v.t >= kForever) return;
            if (v.alone && stride(sv[v.one])) {
                Server& s = sv[v.one];
                T = s.last + 1;
                if (v.main >= 0) fill_gap(s, sv[v.main], v.from);
                if (v.main >= 0 && sv[v.main].k >= sv[v.main].k_end) exhausted(sv[v.main], sv[v.main].last);
                if (s.k >= s.k_end) exhausted(s, s.last);
                continue;
            }
            grant_cycle(sv, n, T, v.t, exhausted);
            T = v.t + 1;
            if (tails) aim(sv, n);
            if (leap(sv, n, v.t))
                for (int i = 0; i < n; ++i) {
                    if (!sv[i].in_period) continue;
                    T = std::max(T, sv[i].last + 1);  // until then the resources are spoken for
                    if (sv[i].k >= sv[i].k_end) exhausted(sv[i], sv[i].last);
                }
        }
    }

  private:
    // Others may have appended to a sequence that a server looks at from its end.
    static void aim(Server* sv, int n) {
        for (int i = 0; i < n; ++i)
            if (sv[i].tail) sv[i].con[1].off = sv[i].con[2].off = sv[i].tail->end() - sv[i].k - sv[i].depth;
    }
    // The same with nobody else there.
    template <typename Exhausted>
    void run_one(Server& s, Cycle T, Exhausted&& exhausted) {
        while (s.k < s.k_end) {
            s.ready = due(s, T);
            if (s.ready >= kForever) return;
            if (stride(s)) {
                T = s.last + 1;
                if (s.k >= s.k_end) exhausted(s, s.last);
                continue;
            }
            grant(s, s.ready);
            if (s.phase == 1) slot_free_ = s.last + s.cost;
            T = s.last + 1;
            if (s.k >= s.k_end) exhausted(s, s.last);
            if (!leap(&s, 1, T - 1)) continue;
            T = s.last + 1;
            if (s.k >= s.k_end) exhausted(s, s.last);
        }
    }
    // Words that could have passed before their stage was woken.
    void check_wakes(const Server* sv, int n, Cycle T) {
        for (int i = 0; i < n; ++i) {
            if (sv[i].k >= sv[i].k_end || sv[i].floor >= T) continue;
            const bool stops = sv[i].stops && fifo_bound(sv[i], sv[i].k) > sv[i].floor;
            const Cycle r = stops ? sv[i].floor : ready(sv[i], sv[i].floor);
            if (r >= T || (sv[i].phase == 0 && busy >= r)) continue;  // `busy`: the resource was somebody else's then
            ++late;
        }
    }
    // Who can go on when, from cycle T on. `alone`: one server has words, in one phase, and nobody but an instruction
    // of the main thread, which it outranks, wants the same.
    struct Survey {
        Cycle t = kForever, from = 0;
        int one = 0, main = -1;
        bool alone = false;
    };
    Survey survey(Server* sv, int n, Cycle T) const {
        Survey v;
        int active = 0, phases = 0, on_fifos = 0;
        for (int i = 0; i < n; ++i) {
            Server& s = sv[i];
            phases |= 1 << s.phase;
            on_fifos += s.num_fifos > 0 && s.k < s.k_end;
            s.ready = s.k < s.k_end ? due(s, T) : kForever;
            if (s.ready >= kForever) continue;
            v.t = std::min(v.t, s.ready);
            if (s.phase == 1 && s.num_con == 0 && s.num_out == 0)
                v.main = i;
            else
                v.one = i, ++active;
        }
        if (active != 1 || phases == 3 || on_fifos > 1) return v;
        const Server& s = sv[v.one];
        v.from = s.ready;
        v.alone = v.main < 0 || (sv[v.main].ready >= s.ready && sv[v.main].prio < s.prio && s.cost == 1);
        return v;
    }
    // One word of each server that gets what it needs in cycle t.
    template <typename Exhausted>
    void grant_cycle(Server* sv, int n, Cycle T, Cycle t, Exhausted&& exhausted) {
        uint32_t used = 0;
        bool granted_first = false;
        for (int phase = 0; phase < 2; ++phase) {
            int order[24], m = 0;
            for (int i = 0; i < n; ++i) {
                if (sv[i].phase != phase || sv[i].k >= sv[i].k_end) continue;
                if (phase == 1 && granted_first) sv[i].ready = due(sv[i], T);
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
                if (phase == 0)
                    granted_first = true;
                else
                    slot_free_ = t + s.cost;
                if (s.k >= s.k_end) exhausted(s, t);
            }
        }
    }
    static bool before(const Server& a, const Server& b) {
        if (a.prio != b.prio) return a.prio > b.prio;
        if (a.last != b.last) return a.last < b.last;
        return a.tie < b.tie;
    }
    // kMinus: no bound; kForever: not known yet.
    Cycle bound(const Con& c, int64_t k, Seq::Value* value = nullptr) const {
        const int64_t i = k + c.off;
        if (i < 0 || (c.kind == ConKind::kSelf && i < c.blocked)) return kMinus;
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
    Cycle ready(const Server& s) const { return ready(s, s.min_next); }
    Cycle ready(const Server& s, Cycle r) const {
        const bool second = s.needs == 2 && s.k + 1 < s.k_end;
        for (int i = 0; i < s.num_con; ++i) {
            r = std::max(r, s.num_fifos ? bound_of(s, s.con[i], s.k) : bound(s.con[i], s.k));
            if (second && s.con[i].kind == ConKind::kData) r = std::max(r, bound(s.con[i], s.k + 1));
            if (r >= kForever) return kForever;
        }
        return r;
    }
    // When it goes on, from cycle T on, if nobody is before it.
    Cycle due(const Server& s, Cycle T) const {
        if (s.stops) {
            const Cycle at = std::max({s.min_next, T, slot_free_});
            return fifo_bound(s, s.k) > at ? at : std::max(ready(s), at);
        }
        Cycle r = std::max(ready(s), T);
        if (r >= kForever) return kForever;
        if (s.phase == 1) r = std::max(r, slot_free_);
        return s.paced ? std::max(r, pace.free) : r;
    }
    // From when on its FIFOs hold what word k needs, and have room for it.
    Cycle fifo_bound(const Server& s, int64_t k) const {
        Cycle r = kMinus;
        for (int i = 0; i < s.num_con; ++i)
            if (s.con[i].kind >= ConKind::kElement) r = std::max(r, bound_of(s, s.con[i], k));
        return r;
    }
    Cycle bound_of(const Server& s, const Con& c, int64_t k) const {
        return bound(c, c.kind == ConKind::kPairs ? s.first + 2 * (k - s.first) + s.in_pairs(k, 1) - 1 : k);
    }
    // Words that a beat in cycle t takes from each source.
    int taken(const Server& s, Cycle t) const {
        if (s.num_fifos) return taken_beside_fifos(s, t);
        if (s.takes == 1 || s.k + 1 >= s.k_end) return 1;
        for (int i = 0; i < s.num_con; ++i)
            if (s.con[i].kind == ConKind::kData && bound(s.con[i], s.k + 1) > t) return 1;
        return 2;
    }
    int taken_beside_fifos(const Server& s, Cycle t) const {
        int64_t most = std::min<int64_t>(s.takes, s.k_end - s.k);
        for (int i = 0; i < s.num_rows; ++i) most = std::min(most, s.row[i] - (s.k - s.first) % s.row[i]);
        int n = 1;
        for (; n < most; ++n)
            for (int i = 0; i < s.num_con; ++i)
                if (bound_of(s, s.con[i], s.k + n) > t) return n;
        return n;
    }
    // The same if every server of the last P cycles goes on: a word that one of them has not placed yet counts.
    Cycle ready_in_period(const Server* sv, int n, const Server& s, Cycle P) const {
        Cycle r = s.min_next;
        for (int i = 0; i < s.num_con; ++i) {
            Cycle b = bound(s.con[i], s.k);
            if (b >= kForever) b = next_of_producer(sv, n, s.con[i], s.k, P);
            if (b >= kForever) return kForever;
            r = std::max(r, b);
        }
        return r;
    }
    static Cycle next_of_producer(const Server* sv, int n, const Con& c, int64_t k, Cycle P) {
        if (c.kind == ConKind::kCredit) return kForever;
        for (int i = 0; i < n; ++i)
            for (int o = 0; o < sv[i].num_out; ++o)
                if (sv[i].out[o] == c.s && k + c.off == c.s->end() && sv[i].last - sv[i].prev == P)
                    return sv[i].last + P + c.add;
        return kForever;
    }
    void grant(Server& s, Cycle t) {
        if (s.stops && fifo_bound(s, s.k) > t) return stop(s, t);
        s.raw = ready(s);
        const int n = taken(s, t);
        words += static_cast<uint64_t>(n);
        ++placed;
        if (s.num_fifos) tell_fifos(s, t);
        for (int o = 0; o < s.num_out; ++o) {
            int64_t count = n;
            if (s.pairs | s.singles) count = s.singles >> o & 1 ? 1 : s.pairs >> o & 1 ? s.in_pairs(s.k, n) : n;
            for (int64_t i = 0; i < count; ++i)
                s.out[o]->append(t, s.flag_con[o] >= 0 && t > bound(s.con[s.flag_con[o]], s.k + i));
        }
        if (s.costs) s.cost = s.costs[s.beats];
        if (s.start <= kMinus) s.start = t;
        s.prev = s.here ? s.last : kMinus;  // what shaped earlier words may be gone: they show no period
        s.here = true;
        s.last = t;
        s.k += n;
        ++s.beats;
        s.min_next = t + s.cost;
        if (s.paced) pace.take(t, 1);
        if (s.pace_num > s.pace_den) s.min_next = std::max(s.min_next, s.start + s.beats * s.pace_num / s.pace_den);
    }
    // A synchronous op ends at a FIFO that is not ready.
    void stop(Server& s, Cycle t) {
        for (int i = 0; i < s.num_fifos; ++i) fifos.look(s.fifo[i], t);
        s.stopped = true;
        s.k_end = s.k;
        s.prev = kMinus, s.here = true;
        s.last = t;
        s.cost = 1;
        s.min_next = t + 1;
    }
    // Before its beat in cycle t: whoever waits at the other end of a FIFO has found it empty or full by now.
    void tell_fifos(const Server& s, Cycle t) {
        for (int i = 0; i < s.num_fifos; ++i) {
            const FifoEnd& end = s.fifo[i];
            if (!end.fifo->watched) continue;
            for (const Server& other : all_)
                for (int k = 0; k < other.num_fifos; ++k)
                    if (other.fifo[k].fifo == end.fifo && other.fifo[k].push != end.push && other.k < other.k_end &&
                        other.min_next <= t)
                        fifos.look(other.fifo[k], t);
            fifos.pass(end, t);
        }
    }
    bool stride(Server& s);
    void fill_gap(const Server& s, Server& main, Cycle from);
    static bool apart(const Server* sv, int n);
    // How many words from s.k on a constraint lets pass at t, t + gap, ...
    int64_t free_words(const Server& s, const Con& c, Cycle t, int32_t gap, int64_t wanted) const {
        const int64_t i = s.k + c.off;
        if (c.kind == ConKind::kSelf ||
            c.kind == ConKind::kTail) {  // own words, `-off` before, or those at the end of a sequence
            const int64_t before = c.kind == ConKind::kTail ? s.depth : -c.off;
            if (c.add > before * gap) wanted = std::min(wanted, before);
            if (c.kind == ConKind::kSelf && (s.last <= kMinus || s.last - before + 1 + c.add <= t))
                return wanted;  // they passed a cycle apart
            for (int64_t j = 0; j < std::min(wanted, before); ++j)
                if (bound(c, s.k + j) > t + j * gap) return j;
            return wanted;
        }
        if (i < 0) return std::min(wanted, -i);
        const Seq::Value v = c.s->at(i);
        if (!v.known) {
            if (c.kind != ConKind::kCredit) return 0;
            return c.blocked < INT64_MAX ? std::min(wanted, std::max<int64_t>(c.blocked - i, 0)) : wanted;
        }
        int64_t m = std::min(wanted, v.left);
        if (v.t <= kMinus || (c.kind == ConKind::kCredit && !v.restricted && v.t >= now_)) return m;
        const Cycle b = v.t + c.add;
        if (b > t) return 0;
        if (v.gap > gap) m = std::min(m, (t - b) / (v.gap - gap) + 1);
        return m;
    }
    bool leap(Server* sv, int n, Cycle t);
    // Limits the periods to those without a pause of the ramp; false if a pause may have shaped the last one.
    bool keep_pace(const Server* sv, int n, Cycle t, Cycle P, int64_t& times) const {
        int paced = 0;
        for (int i = 0; i < n; ++i) paced += sv[i].in_period && sv[i].paced;
        if (!paced || pace.even()) return true;
        if (pace.skipped > t - 2 * P) return false;
        if (paced > 1 || P == 1) times = pace.until_pause(std::min(times, pace.den) * paced) / paced;
        return true;
    }
    void repeat(Server* sv, int n, Cycle P, int64_t times);
    static bool produced_in_period(const Server* sv, int n, const Con& c);
    static bool others_append(const Server* sv, int n, const Server& s, const Con& con);
    int64_t sure(Server* sv, int n, const Server& s, int c, Cycle P, int64_t wanted);

    Cycle now_ = 0, slot_free_ = 0;
    std::span<const Server> all_;
    bool flag_[24][5] = {};
};

}  // namespace wafersim::stream
