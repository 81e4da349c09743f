// The loop that serves several sequences of words from shared resources: the output ports of a router, the ramp and the
// issue slot of a compute element.
#pragma once
#include <algorithm>
#include <cstdint>

#include "stream/coarse.hpp"
#include "stream/fifo.hpp"
#include "stream/pace.hpp"
#include "stream/seq.hpp"

namespace wafersim::stream {

// Element: of a FIFO in memory, one to take or room for one. Pairs: likewise, where a word is two of them, and the last
// one what is left (`ServerState::elements`).
enum class ConKind : uint8_t { kData, kRoom, kCredit, kSelf, kTail, kElement, kPairs };

// A lower bound on the time of word k of a server: time of word k + off of `s` plus `add`.
struct Con {
    const Seq* s;
    int64_t off;
    int32_t add;
    ConKind kind;
    // Credit: words from here on have no time yet and hold everybody up. Self: words before this one went elsewhere.
    // Tail: of a sequence that several servers append to.
    int64_t blocked;
};

struct ServerState {
    int id = 0, phase = 0;  // phase 0 before phase 1 within a cycle
    int64_t k = 0, k_end = 0;
    uint32_t mask = 0, reach = 0;  // resources that its next word needs; that any of its words may need
    int prio = 0, tie = 0;
    Cycle last = kMinus, prev = kMinus, min_next = 0;
    int32_t cost = 1;
    Cycle start = kMinus;  // first beat; pace_num / pace_den counts from it
    int64_t beats = 0;
    int32_t pace_num = 1, pace_den = 1;
    int num_con = 0, num_out = 0;
    int flag_con[5] = {-1, -1, -1, -1, -1};
    Cycle floor = kForever;                // min_next without the present: for the check that no wake-up came too late
    Cycle ready = 0, raw = kMinus;         // next word's time by its bounds alone; the same of the last granted word
    bool in_period = false, here = false;  // `here`: granted in this run
    bool paced = false;                    // of the resource that `Loop::pace` is about
    // Several servers append to this sequence; constraints 1 and 2 are about the words `depth` before its end.
    const Seq* tail = nullptr;
    int32_t depth = 0;
    int needs = 1, takes = 1;        // words of its sources: those that must be there, at most taken by a beat
    const uint8_t* costs = nullptr;  // of each beat, if they are not all alike
    // Of an op on FIFOs. `coupled`: its words are placed one by one. `stops`: it ends where a FIFO is not ready when
    // its beat is due, as it did if it is `stopped`. `pairs`, `singles`: outputs that count elements, or beats.
    int num_fifos = 0;
    bool coupled = false, stops = false, stopped = false;
    uint32_t pairs = 0, singles = 0;
    int64_t first = 0, elements = 0;    // word that it began with; elements in all
    int32_t row[4] = {}, num_rows = 0;  // no beat reaches beyond a row of a memory operand
    bool plain() const { return needs == 1 && takes == 1 && !costs; }
    // Elements of n packed words from word `at` on.
    int64_t in_pairs(int64_t at, int64_t n) const {
        const int64_t from = 2 * (at - first);
        return std::min(from + 2 * n, elements) - from;
    }
};

struct Server : ServerState {
    Con con[16];  // arrival, and three for each output; those of FIFOs come last
    Seq* out[5];
    FifoEnd fifo[3];
    void reset() { static_cast<ServerState&>(*this) = {}; }
    void add(const Con& c) { con[num_con++] = c; }
};

class Loop {
  public:
    uint64_t words = 0, leaps = 0, late = 0;
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
    // A server with nobody beside it: words at one distance, at once. The first constraint is its words' arrival.
    bool stride(Server& s) {
        if (s.num_con == 0 || s.coupled) return false;  // words of an op on memory come from nowhere
        const Con& data = s.con[0];
        if (data.kind > ConKind::kRoom || s.pace_num > s.pace_den || s.needs > 1 || s.costs) return false;
        const Seq::Value v = data.s->at(s.k + data.off);
        if (!v.known) return false;
        for (int o = 0; o < s.num_out; ++o)
            if (s.flag_con[o] > 0) return false;  // its words wait for two things
        const Cycle arrives = v.t <= kMinus ? kMinus : v.t + data.add, t = s.ready;
        int64_t times = std::min(v.left, s.k_end - s.k);
        if (most_words) times = std::min(times, most_words);
        int32_t gap = s.cost;
        bool held = false;
        if (t == arrives && v.gap >= s.cost)
            gap = v.gap;  // each goes on when it comes
        else if (!s.plain())
            return false;
        else if (v.t <= kMinus || (v.gap <= s.cost && arrives < t))
            held = true;  // one behind the other
        else
            return false;
        if (s.paced && gap == 1) times = pace.until_pause(times);
        for (int c = 1; c < s.num_con && times > 0; ++c)
            times = std::min(times, free_words(s, s.con[c], t, gap, times));
        if (times < 1) return false;
        if (times == 1) held = t > arrives;
        ++leaps;
        for (int o = 0; o < s.num_out; ++o) s.out[o]->append_run(t, gap, times, s.flag_con[o] == 0 && held);
        if (s.start <= kMinus) s.start = t;
        s.last = t + (times - 1) * gap;
        s.prev = times > 1 ? s.last - gap : kMinus;
        s.here = true;
        s.raw = s.last;
        s.k += times;
        s.beats += times;
        s.min_next = s.last + s.cost;
        if (s.phase == 1) slot_free_ = s.min_next;
        if (s.paced) pace.take(s.last, times);
        return true;
    }
    // The main thread's one instruction, in the first cycle that words at one distance leave free.
    void fill_gap(const Server& s, Server& main, Cycle from) {
        const Cycle gap = s.last - s.prev, behind = s.last + 1;
        Cycle at = main.ready;
        if (s.prev <= kMinus || gap == 1) {
            if (at < behind) return;  // no cycle is free before
        } else if (at < behind && (at - from) % gap == 0) {
            ++at;
        }
        if (at > s.last) return;  // left to the next words
        main.last = at;
        main.k = main.k_end;
    }
    static bool apart(const Server* sv, int n) {
        uint32_t used = 0;
        for (int i = 0; i < n; ++i) {
            if (sv[i].phase != 0 || (sv[i].reach & used)) return false;
            used |= sv[i].reach;
        }
        return true;
    }
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
            if (s.coupled && (s.k < s.k_end || s.last > t - P)) return false;
            if (s.k >= s.k_end) {
                if (s.last > t - P) return false;  // it took part and has finished
                continue;
            }
            if (s.last > t - P && s.last - s.prev == P && s.plain() && s.cost <= P &&
                s.pace_num <= s.pace_den * s.cost && ready_in_period(sv, n, s, P) == s.raw + P) {
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
        if (!active || times < 3 || !keep_pace(sv, n, t, P, times)) return false;
        if (most_words) times = std::min(times, most_words);
        for (int i = 0; i < n && times >= 2; ++i) {
            const Server& s = sv[i];
            if (!s.in_period) continue;
            if (limit < kForever) times = std::min<int64_t>(times, (limit - 1 - s.last) / P);
            std::fill_n(flag_[i], 5, false);
            for (int c = 0; c < s.num_con; ++c) times = std::min(times, sure(sv, n, s, c, P, times));
        }
        if (--times < 2) return false;  // one period short: nobody's next word comes before the last one placed here
        repeat(sv, n, P, times);
        return true;
    }
    // Limits the periods to those without a pause of the ramp; false if a pause may have shaped the last one.
    bool keep_pace(const Server* sv, int n, Cycle t, Cycle P, int64_t& times) const {
        int paced = 0;
        for (int i = 0; i < n; ++i) paced += sv[i].in_period && sv[i].paced;
        if (!paced || pace.even()) return true;
        if (pace.skipped > t - 2 * P) return false;
        if (paced > 1 || P == 1) times = pace.until_pause(std::min(times, pace.den) * paced) / paced;
        return true;
    }
    void repeat(Server* sv, int n, Cycle P, int64_t times) {
        ++leaps;
        int64_t moves = 0;
        Cycle moved = kMinus;
        for (int i = 0; i < n; ++i) {
            Server& s = sv[i];
            if (!s.in_period) continue;
            for (int o = 0; o < s.num_out; ++o)
                s.out[o]->append_run(s.last + P, static_cast<int32_t>(P), times, flag_[i][o]);
            s.last += times * P;
            s.raw += times * P;
            s.prev = s.last - P;
            s.k += times;
            s.beats += times;
            s.min_next = s.last + s.cost;
            if (s.phase == 1) slot_free_ = std::max(slot_free_, s.last + s.cost);
            if (s.paced) moves += times, moved = std::max(moved, s.last);
        }
        if (moves) pace.take(moved, moves);
    }
    static bool produced_in_period(const Server* sv, int n, const Con& c) {
        for (int i = 0; i < n; ++i)
            for (int o = 0; o < sv[i].num_out; ++o)
                if (sv[i].out[o] == c.s && sv[i].in_period) return true;
        return false;
    }
    static bool others_append(const Server* sv, int n, const Server& s, const Con& con) {
        for (int i = 0; i < n; ++i)
            if (sv + i != &s && sv[i].in_period && sv[i].tail == con.s) return true;
        return false;
    }
    int64_t sure(Server* sv, int n, const Server& s, int c, Cycle P, int64_t wanted) {
        const Con& con = s.con[c];
        const int index = static_cast<int>(&s - sv);
        const Cycle next = s.last + P;
        Seq::Value v;
        const Cycle b = bound(con, s.k, &v);
        if (b >= kForever) return produced_in_period(sv, n, con) ? wanted : 0;  // moves with the period
        int64_t m = v.known                                                   ? v.left
                    : con.kind == ConKind::kCredit && con.blocked < INT64_MAX ? con.blocked - (s.k + con.off)
                                                                              : wanted;
        if (s.k + con.off < 0) m = -(s.k + con.off);
        bool flagged = false;
        for (int o = 0; o < s.num_out; ++o)
            if (s.flag_con[o] == c) flagged = true, flag_[index][o] = next > b;
        bool grows = false;
        for (int i = 0; i < n; ++i)
            for (int o = 0; o < sv[i].num_out; ++o)
                if (sv[i].out[o] == con.s && sv[i].in_period) grows = true;
        if (con.kind == ConKind::kSelf ||
            con.kind == ConKind::kTail) {  // past words of the same server: check those that exist, then the period
            const int64_t before = con.kind == ConKind::kTail ? s.depth : -con.off;
            if (con.kind == ConKind::kTail && others_append(sv, n, s, con)) return 0;
            const bool apart = con.kind == ConKind::kSelf && s.last - before + 1 + con.add <= s.min_next;
            for (int64_t j = 0; !apart && j < std::min(wanted, before); ++j)  // else they passed a cycle apart
                if (bound(con, s.k + j) > s.min_next + j * P) return j;
            return con.add <= s.cost + (before - 1) * P ? wanted : std::min(wanted, before);
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
    std::span<const Server> all_;
    bool flag_[24][5] = {};
};

}  // namespace wafersim::stream
