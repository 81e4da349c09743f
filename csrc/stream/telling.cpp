// What routers say to each other: words that will come, and credits for those that may.
#include <algorithm>

#include "stream/router.hpp"

namespace wafersim::stream {
namespace {

// First index from `from` on at which one has a special word and the other has none, or another one; -1: none.
int64_t first_other_special(const std::vector<Special>& was, const std::vector<Special>& is, int64_t from) {
    int64_t found = -1;
    auto look = [&](const std::vector<Special>& these, const std::vector<Special>& those) {
        for (const Special& s : these)
            if (s.k >= from && (found < 0 || s.k < found) && std::find(those.begin(), those.end(), s) == those.end())
                found = s.k;
    };
    look(was, is), look(is, was);
    return found;
}

}  // namespace

// Upstream: only what it may see as credit.
void Router::tell_upstream(Service& v, std::vector<Told>& told) {
    LinkFifo& f = *v.fifo;
    const int64_t was_blocked = f.blocked, facts = f.d.count_before(now_);
    f.blocked = f.d.end() < f.a.end() ? f.d.end() : kNever;
    if (loop_.coarse.on() && v.port != kPortRamp)
        loop_.coarse.look_link(f.a.count_before(now_ - arch_.hop + 1) - facts);
    Difference diff = difference(v.before, f.d, facts, true);
    if (was_blocked != f.blocked) {
        const int64_t k = std::min(was_blocked, f.blocked);
        if (diff.k < 0 || k < diff.k) diff = {k, kForever};
    }
    if (diff.k < 0) return;
    const Seq::Value a = f.a.at(diff.k);
    const int latency = v.port == kPortRamp ? arch_.ramp_out : arch_.hop;
    Cycle t = std::min(diff.t, a.known ? a.t + latency : diff.t);
    t = std::max(t >= kForever ? now_ : t, now_);
    if (v.port == kPortRamp) {  // only if the sender has words that this credit concerns
        bool more = f.a.end() > diff.k + arch_.ramp_buffer;
        for (const OutQueue* q : node_->oq)
            more = more || (q && q->ramp && (q->mixed || q->ramp == &f) && q->pushed > q->moves().end());
        if (more) node_->dirty = true, node_->wake_element(t + latency);
        return;
    }
    Message m;
    m.credit = true;
    m.color = f.come_as >= 0 ? f.come_as : v.color->color;
    m.port = opposite(v.port);
    m.wake = t + latency - now_;
    const int64_t reference = f.a.count_before(now_);
    m.from = facts - reference;
    m.first_change = diff.k - reference;
    m.blocked = f.blocked == kNever ? kNever : f.blocked - reference;
    int64_t k = f.d.first();
    for (Seg seg : f.d.segments()) {
        const int64_t end = k + seg.n, skip = std::max<int64_t>(0, facts - k);
        if (seg.restricted && skip < seg.n) {
            seg.t += static_cast<Cycle>(skip) * seg.gap - now_;
            seg.n -= static_cast<int32_t>(skip);
            m.held.push_back({k + skip - reference, seg});
        }
        k = end;
    }
    told.push_back({v.port, std::move(m)});
}

void Router::tell_downstream(const Changed& ch, std::vector<Told>& told) {
    if (ch.target.host) return;
    const Seq& into = *ch.target.into();
    const int64_t facts = into.count_before(now_);
    Difference diff = difference(ch.before, into, facts, false);
    // A control wavelet that stands where a word was: two queues may send them, in another order than was expected.
    if (const int64_t k = first_other_special(ch.specials_before, ch.target.specials(), facts);
        k >= 0 && (diff.k < 0 || k < diff.k) && into.at(k).known)
        diff = {k, into.at(k).t};
    if (values && ch.target.words()) {  // other words at the same times
        const int64_t k = first_other_word(ch.words_before, *ch.target.words(), facts);
        if (k >= 0 && (diff.k < 0 || k < diff.k)) diff = {k, into.at(k).t};
        if (ch.target.link) ch.target.words()->forget(facts);
    }
    if (diff.k < 0) return;
    const Cycle t = std::max(diff.t, now_);
    if (ch.target.iq) {
        const InQueue& q = *ch.target.iq;
        if (diff.k < q.cover) node_->dirty = true;
        if (diff.k < q.cover || q.feeds_task || !q.specials.empty()) node_->wake_element(t + arch_.ramp_in);
        return;
    }
    Message m;
    m.color = ch.color->color;
    m.port = opposite(ch.target.port);
    m.wake = t + arch_.hop - now_;
    m.words.append_range(into, facts, into.end());
    m.words.move(-now_);
    if (values && ch.target.words()) m.carried.append_range(0, *ch.target.words(), facts, into.end());
    for (const Special& s : ch.target.link->specials)
        if (s.k >= facts) m.specials.push_back({s.k - facts, s.payload, false});
    told.push_back({ch.target.port, std::move(m)});
}

// The color that words have behind the link.
Color& Router::arrives(Node& n, const Message& m) {
    const Color* as = n.color(m.color);
    const int color = as && swaps(route(*as), m.port) ? m.color ^ 1 : m.color;
    Color* c = n.color(color);
    if (!c) throw Refused("a word meets no route on color " + std::to_string(color));
    LinkFifo& f = fifo(*c, m.port);
    if (f.come_as >= 0 && f.come_as != m.color) throw Refused("two colors that a swap makes one");
    f.come_as = static_cast<int8_t>(m.color);
    return *c;
}

void Router::hear(Node& n, const Message& m, Cycle T) {
    if (!m.credit) {
        LinkFifo& f = fifo(arrives(n, m), m.port);
        f.a.truncate(T, nullptr);
        const int64_t base = f.a.end();
        if (!f.specials.empty()) std::erase_if(f.specials, [&](const Special& s) { return s.k >= base; });
        for (const Seg& s : m.words.segments()) f.a.append_run(s.t + T, s.gap, s.n, false);
        for (const Special& s : m.specials) f.specials.push_back({base + s.k, s.payload, s.advance});
        if (values) {
            if (!f.words) f.words = std::make_unique<Words>();
            f.words->cut(base, nullptr);
            f.words->append_range(base, m.carried, 0, m.words.end());
        }
        n.wake_router(T + m.wake);
        return;
    }
    Color* c = n.color(m.color);
    if (!c) throw Refused("a credit for no route on color " + std::to_string(m.color));
    OutLink& o = out(*c, m.port);
    o.credit.forget_before(T - keep_);
    const int64_t reference = o.sent.count_before(T);
    o.credit.cut(reference + m.from);
    o.blocked = m.blocked == kNever ? kNever : reference + m.blocked;
    for (const Message::Held& h : m.held) {
        o.credit.append_past(reference + h.k - o.credit.end());
        o.credit.append_run(h.seg.t + T, h.seg.gap, h.seg.n, true);
    }
    bool more = o.sent.end() > reference + m.first_change + arch_.link_buffer;
    for (const LinkFifo* f : c->fifo) more = more || (f && f->blocked != kNever);
    if (!more) return;
    // The neighbor may not have heard yet, in this cycle, that the first word concerned is sent earlier than it knew.
    Cycle wake = T + m.wake;
    if (const Seq::Value sent = o.sent.at(reference + m.first_change); sent.known)
        wake = std::min(wake, std::max(T, sent.t + arch_.hop) + arch_.hop);
    n.wake_router(wake);
}

}  // namespace wafersim::stream
