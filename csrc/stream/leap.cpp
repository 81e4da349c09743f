// Several words at once, where it is sure that they take their turns alike: of a server alone (`stride`), of a period
// of several (`leap`).
#include <algorithm>

#include "stream/serve.hpp"

namespace wafersim::stream {

// A server with nobody beside it: words at one distance, at once. The first constraint is its words' arrival.
bool Loop::stride(Server& s) {
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
    for (int c = 1; c < s.num_con && times > 0; ++c) times = std::min(times, free_words(s, s.con[c], t, gap, times));
    if (times < 1) return false;
    if (times == 1) held = t > arrives;
    ++leaps;
    ++placed;
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
void Loop::fill_gap(const Server& s, Server& main, Cycle from) {
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

bool Loop::apart(const Server* sv, int n) {
    uint32_t used = 0;
    for (int i = 0; i < n; ++i) {
        if (sv[i].phase != 0 || (sv[i].reach & used)) return false;
        used |= sv[i].reach;
    }
    return true;
}

// If the last period repeats for sure, repeats it as often as that is sure. Every active server was granted once
// in the last P cycles and one period before; every bound moves by P per word or cannot bind; nobody else wakes up.
bool Loop::leap(Server* sv, int n, Cycle t) {
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
        if (s.last > t - P && s.last - s.prev == P && s.plain() && s.cost <= P && s.pace_num <= s.pace_den * s.cost &&
            ready_in_period(sv, n, s, P) == s.raw + P) {
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
        if (s.last > t - P) return false;                                // it shaped the last period and does not go on
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

void Loop::repeat(Server* sv, int n, Cycle P, int64_t times) {
    ++leaps;
    ++placed;
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

bool Loop::produced_in_period(const Server* sv, int n, const Con& c) {
    for (int i = 0; i < n; ++i)
        for (int o = 0; o < sv[i].num_out; ++o)
            if (sv[i].out[o] == c.s && sv[i].in_period) return true;
    return false;
}

bool Loop::others_append(const Server* sv, int n, const Server& s, const Con& con) {
    for (int i = 0; i < n; ++i)
        if (sv + i != &s && sv[i].in_period && sv[i].tail == con.s) return true;
    return false;
}

int64_t Loop::sure(Server* sv, int n, const Server& s, int c, Cycle P, int64_t wanted) {
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

}  // namespace wafersim::stream
