// The one form of a state. Everything here must keep behavior: times that can hold nobody up any more become "past",
// orders (of grants, issues, picks) keep their ranks only, word numbers count from the oldest word that still matters.
#include <algorithm>

#include "stream/pack.hpp"

namespace wafersim::stream {
namespace {

void clamp(Cycle& t, Cycle past) {
    if (t < past) t = kMinus;
}

// Times before `past` of which only the order matters.
void keep_order(const std::vector<Cycle*>& times, Cycle past) {
    std::vector<Cycle> old;
    for (const Cycle* t : times)
        if (*t > kMinus && *t < past) old.push_back(*t);
    if (old.empty()) return;
    std::sort(old.begin(), old.end());
    old.erase(std::unique(old.begin(), old.end()), old.end());
    for (Cycle* t : times)
        if (*t > kMinus && *t < past) *t = past - (old.end() - std::lower_bound(old.begin(), old.end(), *t));
}

void shift(std::vector<Special>& list, int64_t by) {
    for (Special& s : list) s.k -= by;
}
void shift(int64_t& blocked, int64_t by) {
    if (blocked != kNever) blocked -= by;
}

// Whether an output queue sends there.
bool shift_ramp(Node& n, int32_t color, int64_t by) {
    bool sends = false;
    for (size_t q = 0; q < 8; ++q) {
        OutQueue& out = n.oq[q];
        if (!out.used || out.ramp_color != color) continue;
        sends = true;
        out.b.shift(by);
        out.pushed -= by;
        for (Thread& t : n.thread)
            if (t.live && t.out == static_cast<int32_t>(q)) t.base -= by;
    }
    return sends;
}

void canonicalize(Node& n, Color& c, Cycle T, Cycle past) {
    if (c.changed < past) c.changed = kMinus;
    for (size_t port = 0; port < 5; ++port) {
        LinkFifo& f = c.fifo[port];
        if (!f.used) continue;
        if (const int64_t gone = f.d.count_before(past); gone > f.d.first()) f.granted = f.d.at(gone - 1).t;
        f.a.canonicalize(past);
        f.d.canonicalize(past);
        const int64_t base = f.d.first();
        f.a.shift(base), f.d.shift(base), shift(f.blocked, base), shift(f.specials, base);
        const bool sends = port == kPortRamp && shift_ramp(n, c.color, base);
        if (!sends && f.a.end() == 0 && f.d.end() == 0 && f.blocked == kNever && f.granted <= kMinus &&
            f.specials.empty())
            f.used = false;
    }
    for (OutLink& o : c.out) {
        if (!o.used) continue;
        const int64_t facts = o.sent.count_before(T);
        std::erase_if(o.specials, [&](const Special& s) { return s.k < facts; });
        o.sent.canonicalize(past);
        o.credit.canonicalize(past);
        o.credit.drop_past_end();
        int64_t base = o.sent.first();
        if (!o.credit.segments().empty()) base = std::min(base, o.credit.first());
        if (o.blocked != kNever) base = std::min(base, o.blocked);
        if (o.credit.segments().empty()) o.credit.assign({}, base);
        o.sent.shift(base), o.credit.shift(base), shift(o.blocked, base), shift(o.specials, base);
        if (o.sent.segments().empty() && o.credit.segments().empty() && o.blocked == kNever) o = {};
    }
}

void canonicalize(Node& n, size_t index, Cycle past) {
    InQueue& q = n.iq[index];
    if (!q.used) return;
    q.a.canonicalize(past);
    q.b.canonicalize(past);
    const int64_t base = q.b.first();
    q.a.shift(base), q.b.shift(base), shift(q.blocked, base);
    q.cover -= base;
    for (Thread& t : n.thread) {
        if (!t.live) continue;
        for (size_t i = 0; i < 2; ++i)
            if (t.in[i] == static_cast<int32_t>(index)) t.in_base[i] -= base;
        if (t.out < 0 && t.in[0] == static_cast<int32_t>(index)) t.base -= base;
    }
}

void canonicalize(Thread& t, bool is_main, Cycle T, Cycle past, int vector_raw) {
    if (!t.live) {
        const Cycle last = is_main ? kMinus : t.last_issue;
        t = Thread{};
        t.last_issue = last;
        return;
    }
    clamp(t.next_beat, past);
    if (t.fabric && t.start > kMinus) t.start = std::max(t.start, std::min(past, T - vector_raw) - 1);
    if (!t.fabric) {
        t.own.canonicalize(past);
        const int64_t base = t.own.first();
        t.own.shift(base);
        t.base -= base;
    }
}

void canonicalize(Main& m, Cycle T, Cycle past, int vector_raw) {
    for (Cycle* t : {&m.next_issue, &m.next_vector, &m.free_at}) clamp(*t, past);
    for (Reg& r : m.regs) clamp(r.ready, past);
    for (Dsr& d : m.dsrs) clamp(d.ready, past);
    std::erase_if(m.recent, [&](const Recent& r) { return r.start + vector_raw <= T; });
    std::sort(m.recent.begin(), m.recent.end(), [](const Recent& a, const Recent& b) {
        return std::tie(a.start, a.low, a.high) < std::tie(b.start, b.low, b.high);
    });
    if (!m.in_task) m.pc = 0, m.calls.clear(), m.next_issue = m.next_vector = kMinus;
}

}  // namespace

void canonicalize(Node& n, Cycle T, Cycle past, int vector_raw) {
    for (Color& c : n.colors) canonicalize(n, c, T, past);
    for (size_t q = 0; q < 8; ++q) canonicalize(n, q, past);
    for (OutQueue& q : n.oq) q.b.canonicalize(past);
    const Cycle back =
        n.pending ? std::min<Cycle>(0, n.pending_start - T) : 0;  // the main thread may stand further back
    canonicalize(n.main, T + back, past + back, vector_raw);
    std::vector<Cycle*> granted, issued, picked;
    for (Color& c : n.colors)
        for (LinkFifo& f : c.fifo)
            if (f.used) granted.push_back(&f.granted);
    for (size_t t = 0; t < 9; ++t) {
        canonicalize(n.thread[t], t == kMainOp, T, past, vector_raw);
        issued.push_back(&n.thread[t].last_issue);
    }
    issued.push_back(&n.main.last_issue);
    for (Cycle& t : n.last_pick) picked.push_back(&t);
    keep_order(granted, past);
    keep_order(issued, past + back);
    keep_order(picked, T + 1);
    std::sort(n.completions.begin(), n.completions.end(), [](const Completion& a, const Completion& b) {
        return std::tie(a.when, a.thread, a.activate, a.unblock) < std::tie(b.when, b.thread, b.activate, b.unblock);
    });
    clamp(n.slot_free, past);
    if (n.ahead <= T) n.ahead = kMinus;
    if (!n.pending) n.pending_start = n.pending_stop = kMinus;
}

}  // namespace wafersim::stream
