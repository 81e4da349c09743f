#include "stream/snapshot.hpp"

#include <algorithm>
#include <bit>

#include "stream/element.hpp"
#include "stream/snapshot_bytes.hpp"

namespace wafersim::stream {
namespace {

constexpr int64_t kFar = INT64_C(1) << 32;  // where indices count from: none of a word is below 0
constexpr int64_t kSlack = 300;             // cycles between the last beat of an op, at most 255 long, and its end

// One description of a PE for both directions: `Io` writes what it is shown, or fills it.
template <typename Io>
class Exchange {
  public:
    Exchange(Io& io, const Arch& arch) : io_(io) {
        if (arch.ramp_pace_num > arch.ramp_pace_den) den_ = arch.ramp_pace_den;
        far_ = (kFar + den_ - 1) / den_ * den_;
    }

    void all(Node& n) {
        head(n);
        io_.values(n.num_colors);
        if (Io::kReads) n.colors = io_.template make<Color>(n.num_colors);
        for (int i = 0; i < n.num_colors; ++i) color(n.colors[i]);
        each_of(n.iq, [&](InQueue& q, size_t) { in_queue(q); });
        each_of(n.oq, [&](OutQueue& q, size_t) { out_queue(n, q); });
        each_of(n.thread, [&](Thread& th, size_t t) { thread(n, th, n.live >> t & 1); });
        list(n.completions, [&](Completion& c) {
            io_.time(c.when);
            io_.values(c.thread, c.activate, c.unblock);
        });
        list(n.launches, [&](int32_t& l) { io_.values(l); });
    }

  private:
    template <typename T, typename Each>
    void list(std::vector<T>& v, Each&& each) {
        auto size = static_cast<uint32_t>(v.size());
        io_.values(size);
        if (Io::kReads) v.resize(size);
        for (T& x : v) each(x);
    }
    template <typename T, size_t N, typename Each>
    void each_of(std::array<T*, N>& all, Each&& each) {
        for (uint32_t rest = io_.objects(all); rest; rest &= rest - 1) {
            const auto i = static_cast<size_t>(std::countr_zero(rest));
            each(*all[i], i);
        }
    }
    // The end of a sequence, in the space of indices that it begins; the others of that space count from it.
    int64_t space(int64_t end) {
        if (Io::kReads) return 0;
        return end - far_ - end % den_;
    }
    void index(int64_t& k, int64_t from) {
        int64_t count = k;
        if (!Io::kReads && k != kNever) count -= from + far_;
        io_.index(count);
        if (Io::kReads) k = count == kNever ? kNever : count + far_;
    }
    void head(Node& n) {
        io_.time(n.router_wake), io_.time(n.element_wake);
        io_.values(n.tile, n.edges, n.control);
        io_.time(n.base);
        io_.ranked(n.last_issue);
        io_.flags(n.dirty, n.beside, n.pending);
        io_.values(n.active, n.blocked, n.high, n.live, n.blocked_uts, n.oqs);
        io_.time(n.slot_free), io_.time(n.ahead);
        if (n.pending) io_.time(n.pending_start), io_.time(n.pending_stop);
        picks(n);
    }
    // Only their order counts.
    void picks(Node& n) {
        uint8_t count = 0;
        if (!Io::kReads && n.tile >= 0 && n.last_pick) count = io_.num_tasks(n.tile);
        io_.values(count);
        if (!count) return;
        if (Io::kReads) n.last_pick = io_.template make<Cycle>(count);
        for (int i = 0; i < count; ++i) {
            uint8_t rank = 0;  // 0: never
            if (!Io::kReads && n.last_pick[i] > kMinus) {
                rank = 1;
                for (int j = 0; j < count; ++j) rank += n.last_pick[j] > kMinus && n.last_pick[j] < n.last_pick[i];
            }
            io_.values(rank);
            if (Io::kReads) n.last_pick[i] = rank ? io_.now() - count - 1 + rank : kMinus;
        }
    }
    void color(Color& c) {
        io_.flags(c.teardown, c.torn);
        io_.values(c.color, c.route, c.position, c.iq, c.pending);
        io_.time(c.changed), io_.time(c.planned);
        if (c.planned < kForever) io_.values(c.planned_route, c.planned_teardown);
        each_of(c.fifo, [&](LinkFifo& f, size_t) { fifo(f); });
        each_of(c.out, [&](OutLink& o, size_t) { link(o); });
        if (io_.object(c.filter)) filter(c);
    }
    // Most stages have no words that anybody still asks for: nothing but where their indices end.
    bool rests(bool yes, Seq& end) {
        io_.values(yes);
        if (!yes) return false;
        int64_t over = Io::kReads ? 0 : end.end() % den_;
        if (den_ > 1) io_.values(over);
        if (Io::kReads) end.start_at(far_ + over);
        return true;
    }
    static bool is(const Seq& s, int64_t end) { return s.empty() && s.end() == end; }
    void fifo(LinkFifo& f) {
        io_.values(f.come_as);
        io_.ranked(f.granted), io_.ranked(f.entered);
        const int64_t end = f.d.end();
        if (rests(is(f.d, end) && is(f.a, end) && f.blocked == kNever && f.specials.empty(), f.d)) {
            if (Io::kReads) f.a.start_at(f.d.end());
            return;
        }
        const int64_t from = space(end);
        sequence(f.d, from), sequence(f.a, from);
        index(f.blocked, from);
        specials(f.specials, from);
    }
    void link(OutLink& o) {
        if (rests(o.sent.empty() && o.credit.empty() && o.blocked == kNever && o.specials.empty(), o.sent)) {
            if (Io::kReads) o.credit.start_at(o.sent.end());
            return;
        }
        const int64_t from = space(o.sent.end());
        sequence(o.sent, from);
        index(o.blocked, from);
        bool credit = !o.credit.empty();  // if all are long past, how many there were does not matter
        io_.values(credit);
        if (credit)
            sequence(o.credit, from);
        else if (Io::kReads)
            o.credit.start_at(std::min(o.sent.end(), o.blocked));
        specials(o.specials, from);
    }
    void filter(Color& c) {
        Filter& f = *c.filter;
        io_.values(f.kind, f.limit1, f.limit2, f.min, f.count_data, f.count_control);
        for (Filter::State* s : {&f.is, &f.ahead}) io_.values(s->on, s->counter, s->max);
        list(f.log, [&](Filter::Part& p) {
            uint8_t port = 0;
            if (!Io::kReads)
                port = static_cast<uint8_t>(std::find(c.fifo.begin(), c.fifo.end(), p.fifo) - c.fifo.begin());
            io_.values(port);
            if (Io::kReads) p.fifo = c.fifo[port];
            index(p.from, space(p.fifo->d.end())), index(p.to, space(p.fifo->d.end()));
        });
    }
    void in_queue(InQueue& q) {
        io_.values(q.color, q.priority, q.feeds_task);
        const int64_t end = q.b.end();
        const bool bare = is(q.b, end) && is(q.a, end) && q.cover == end && q.blocked == end && q.specials.empty();
        if (rests(bare, q.b)) {
            if (Io::kReads) q.a.start_at(q.b.end()), q.cover = q.blocked = q.b.end();
            return;
        }
        const int64_t from = space(end);
        sequence(q.b, from), sequence(q.a, from);
        index(q.cover, from), index(q.blocked, from);
        specials(q.specials, from);
    }
    void out_queue(Node& n, OutQueue& q) {
        bool mixed = q.mixed != nullptr;
        io_.flags(q.initialised, mixed);
        io_.values(q.color, q.priority, q.ramp_color);
        if (Io::kReads && mixed) q.mixed = std::make_unique<Mixed>();
        if (q.ramp_color < 0) return;
        if (Io::kReads) q.ramp = n.color(q.ramp_color)->fifo[kPortRamp];
        const int64_t end = sent(q).end();
        if (!mixed && rests(is(q.b, end) && q.pushed == end, q.b)) {
            if (Io::kReads) q.pushed = q.b.end();
            return;
        }
        const int64_t from = space(end);
        if (mixed) mixture(n, *q.mixed, from);
        sequence(q.b, from);
        index(q.pushed, from);
    }
    // What the indices of an output queue count from.
    static const Seq& sent(const OutQueue& q) { return q.mixed ? q.mixed->d : q.ramp->d; }
    void mixture(Node& n, Mixed& m, int64_t from) {
        io_.values(m.colors);
        io_.ranked(m.granted);
        sequence(m.d, from);
        specials(m.specials, from);
        list(m.parts, [&](Mixed::Part& p) {
            index(p.end, from);
            io_.values(p.color);
            if (Io::kReads) p.ramp = n.color(p.color)->fifo[kPortRamp];
        });
    }
    void thread(Node& n, Thread& th, bool live) {
        io_.ranked(th.last_issue);
        th.live = live;
        if (!live) return;
        io_.flags(th.finished, th.endless, th.maps);
        io_.values(th.in[0], th.in[1], th.out);
        if (th.finished) return;
        io_.flags(th.synchronous, th.fabric, th.memory_dst);
        io_.values(th.cost, th.pace_num, th.pace_den, th.priority, th.activate, th.unblock, th.ok_reg, th.words, th.low,
                   th.high, th.needs, th.takes, th.reaches);
        for (size_t i = 0; i < 2; ++i)
            if (th.in[i] >= 0) index(th.in_base[i], space(n.iq[static_cast<size_t>(th.in[i])]->b.end()));
        if (th.out >= 0)
            index(th.base, space(sent(*n.oq[static_cast<size_t>(th.out)]).end()));
        else if (th.in[0] >= 0)
            index(th.base, space(n.iq[static_cast<size_t>(th.in[0])]->b.end()));
        else
            io_.values(th.base);
        io_.time(th.next_beat), io_.time(th.start), io_.time(th.due);
        if (!th.fabric) {
            int64_t end = th.own.end();
            io_.values(end);
            io_.segments(th.own, end);
        }
        list(th.costs, [&](uint8_t& c) { io_.values(c); });
        list(th.payloads, [&](uint32_t& p) { io_.values(p); });
        if (!th.payloads.empty()) io_.values(th.payload_reg, th.payload_address, th.payload_step, th.checked);
        list(th.saved, [&](std::pair<int32_t, int32_t>& s) { io_.values(s.first, s.second); });
    }
    void specials(std::vector<Special>& v, int64_t from) {
        list(v, [&](Special& s) {
            index(s.k, from);
            io_.values(s.payload, s.advance);
        });
    }
    void sequence(Seq& s, int64_t from) {
        int64_t end = s.end();
        index(end, from);
        io_.segments(s, end);
    }

    Io& io_;
    int64_t den_ = 1, far_ = kFar;
};

}  // namespace

Snapshots::Snapshots(const Program& program, const Arch& arch, const Mains& mains)
    : program_(program),
      arch_(arch),
      mains_(mains),
      keep_(keep_of(arch)),
      span_(keep_ + arch.vector_raw + arch.completion + kSlack) {}

// The one form of the PE: facts are counted, and what is long past is forgotten. Returns the cycle behind the last
// fact.
Cycle Snapshots::settle(Node& n, Cycle T) {
    const Cycle past = T - keep_;
    Cycle fact = kMinus;
    auto trim = [&](Seq& s) {
        if (const Cycle last = s.last_before(T); last > kMinus) fact = std::max(fact, last + 1);
        return s.trim_before(past);
    };
    for (uint32_t rest = n.live; rest; rest &= rest - 1) {
        Thread& th = *n.thread[static_cast<size_t>(std::countr_zero(rest))];
        if (th.finished) continue;
        const int64_t done = settle_thread(n, th, T);
        if (done > 0 && th.last_issue > kMinus) fact = std::max(fact, th.last_issue + th.cost_of(done - 1));
        if (th.next_beat < past) th.next_beat = kMinus;
        if (th.start > kMinus && th.pace_num <= th.pace_den) th.start = std::max(th.start, T - span_);
        if (!th.fabric) th.own.trim_before(past);
    }
    for (int i = 0; i < n.num_colors; ++i) {
        Color& c = n.colors[i];
        if (c.changed < past && c.pending == SwitchCommand::kNop) c.changed = kMinus;
        for (LinkFifo* f : c.fifo)
            if (f) {
                f->entered = std::max(f->entered, trim(f->a));
                f->granted = std::max(f->granted, trim(f->d));
            }
        for (OutLink* o : c.out)
            if (o) {
                o->sent.trim_before(past), o->credit.trim_before(past);
                const int64_t known = o->sent.count_before(T);
                std::erase_if(o->specials, [&](const Special& s) { return s.k < known; });
            }
    }
    for (InQueue* q : n.iq)
        if (q) q->a.trim_before(past), trim(q->b);
    for (OutQueue* q : n.oq) {
        if (!q) continue;
        trim(q->b);
        if (!q->mixed) continue;
        Mixed& m = *q->mixed;
        m.granted = std::max(m.granted, trim(m.d));
        const int64_t known = m.d.count_before(T);
        std::erase_if(m.parts, [&](const Mixed::Part& p) { return p.end <= known; });
        std::erase_if(m.specials, [&](const Special& s) { return s.k < known; });
    }
    if (n.slot_free < past) n.slot_free = kMinus;
    if (n.ahead < past) n.ahead = kMinus;
    if (n.tile < 0) return fact;
    const Cycle oldest = T - mains_.place(n.control).horizon - span_;
    if (n.base >= oldest) return fact;
    if (const Cycle t = mains_.main(n.control).next_issue; mains_.in_task(n) && t > kMinus)
        fact = std::max(fact, n.base + t);  // it waits there, behind what it did last
    n.base = oldest;
    return fact;
}

void Snapshots::rank_rest(const Node& n, Cycle T) {
    rest_.clear();
    auto look = [&](Cycle t) {
        if (t > kMinus && t < T - keep_) rest_.push_back(t);
    };
    look(n.last_issue);
    for (const Thread* th : n.thread)
        if (th) look(th->last_issue);
    for (int i = 0; i < n.num_colors; ++i)
        for (const LinkFifo* f : n.colors[i].fifo)
            if (f) look(f->granted), look(f->entered);
    for (const OutQueue* q : n.oq)
        if (q && q->mixed) look(q->mixed->granted);
    std::sort(rest_.begin(), rest_.end());
    rest_.erase(std::unique(rest_.begin(), rest_.end()), rest_.end());
}

Snapshots::Taken Snapshots::take(Node& n, Cycle T) {
    Taken taken;
    if (const Cycle fact = settle(n, T); fact > kMinus) taken.fact = fact - T;
    rank_rest(n, T);
    Writer io(bytes_, T, keep_, rest_, program_);
    Exchange<Writer>(io, arch_).all(n);
    taken.bytes = {bytes_.data(), io.size()};
    if (n.next() == kForever)
        taken.horizon = std::max<Cycle>(io.latest - T, 0) + span_ + (n.tile >= 0 ? mains_.place(n.control).horizon : 0);
    return taken;
}

void Snapshots::restore(std::string_view bytes, Cycle T, Node& n, Arena& arena) const {
    Reader io(bytes, T, keep_, arena);
    Exchange<Reader>(io, arch_).all(n);
}

void end_of_life(Node& n) {
    for (int i = 0; i < n.num_colors; ++i) {
        for (LinkFifo* f : n.colors[i].fifo)
            if (f) f->~LinkFifo();
        for (OutLink* o : n.colors[i].out)
            if (o) o->~OutLink();
        if (n.colors[i].filter) n.colors[i].filter->~Filter();
        for (int port = 0; n.colors[i].sinks && port < 5; ++port) n.colors[i].sinks[port].~Sink();
    }
    for (InQueue* q : n.iq)
        if (q) q->~InQueue();
    for (OutQueue* q : n.oq)
        if (q) q->~OutQueue();
    for (Thread* t : n.thread)
        if (t) t->~Thread();
}

}  // namespace wafersim::stream
