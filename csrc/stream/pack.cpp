#include "stream/pack.hpp"

namespace wafersim::stream {
namespace {

// Codes of times that are no number; the others follow.
constexpr uint64_t kPastCode = 0, kForeverCode = 1, kTimeCodes = 2;

uint64_t zigzag(int64_t v) {
    return static_cast<uint64_t>(v) << 1 ^ static_cast<uint64_t>(v >> 63);
}
int64_t unzigzag(uint64_t z) {
    return static_cast<int64_t>(z >> 1) ^ -static_cast<int64_t>(z & 1);
}

class Writer {
  public:
    Writer(std::string& out, Cycle base) : out_(out), base_(base) {}
    ~Writer() { flush(); }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    static constexpr bool reading = false;
    Cycle horizon = 0;
    void number(int64_t v) { code(zigzag(v)); }
    template <typename T>
    void num(T& v) {
        number(static_cast<int64_t>(v));
    }
    void time(Cycle& t) {
        if (t <= kMinus) return code(kPastCode);
        if (t >= kForever) return code(kForeverCode);
        horizon = std::max(horizon, t - base_);
        code(zigzag(t - base_) + kTimeCodes);
    }
    void reach(Cycle t) { horizon = std::max(horizon, t - base_); }
    template <typename T>
    void size(std::vector<T>& v) {
        number(static_cast<int64_t>(v.size()));
    }

  private:
    void code(uint64_t z) {
        if (filled_ > kBuffer - 10) flush();
        for (; z >= 128; z >>= 7) buffer_[filled_++] = static_cast<char>(z | 128);
        buffer_[filled_++] = static_cast<char>(z);
    }
    void flush() {
        out_.append(buffer_, filled_);
        filled_ = 0;
    }
    static constexpr size_t kBuffer = 1024;
    std::string& out_;
    Cycle base_;
    size_t filled_ = 0;
    char buffer_[kBuffer];
};

class Reader {
  public:
    explicit Reader(const uint8_t* at) : at_(at) {}
    static constexpr bool reading = true;
    int64_t number() { return unzigzag(code()); }
    template <typename T>
    void num(T& v) {
        v = static_cast<T>(number());
    }
    void time(Cycle& t) {
        const uint64_t z = code();
        t = z == kPastCode ? kMinus : z == kForeverCode ? kForever : unzigzag(z - kTimeCodes);
    }
    template <typename T>
    void size(std::vector<T>& v) {
        v.clear();
        v.resize(static_cast<size_t>(number()));
    }

  private:
    uint64_t code() {
        uint64_t z = 0;
        for (int shift = 0;; shift += 7) {
            z |= static_cast<uint64_t>(*at_ & 127) << shift;
            if (!(*at_++ & 128)) return z;
        }
    }
    const uint8_t* at_;
};

template <typename A>
void visit(A& a, Seq& s) {
    int64_t end = s.end();
    a.num(end);
    std::vector<Seg> segs;
    if constexpr (!A::reading) segs = s.segments();
    a.size(segs);
    for (Seg& seg : segs) {
        a.time(seg.t);
        if constexpr (!A::reading) a.reach(seg.last());
        int64_t n = static_cast<int64_t>(seg.n) * 2 + seg.restricted, gap = seg.gap;
        a.num(n);
        if (n >= 4) a.num(gap);
        if constexpr (A::reading)
            seg.n = static_cast<int32_t>(n >> 1), seg.restricted = n & 1,
            seg.gap = static_cast<int32_t>(n >= 4 ? gap : 1) & 0x3fffffff;
    }
    if constexpr (A::reading) s.assign(std::move(segs), end);
}

template <typename A>
void visit(A& a, std::vector<Special>& list) {
    a.size(list);
    for (Special& s : list) a.num(s.k), a.num(s.payload), a.num(s.advance);
}

template <typename A>
void visit(A& a, Color& c) {
    a.num(c.color), a.num(c.route), a.num(c.position), a.num(c.iq), a.num(c.teardown), a.num(c.torn), a.time(c.changed),
        a.num(c.pending);
    uint32_t used = 0;
    for (size_t p = 0; p < 5; ++p) used |= static_cast<uint32_t>(c.fifo[p].used) << p;
    for (size_t p = 0; p < 4; ++p) used |= static_cast<uint32_t>(c.out[p].used) << (5 + p);
    a.num(used);
    for (size_t p = 0; p < 5; ++p) {
        LinkFifo& f = c.fifo[p];
        if constexpr (A::reading) f = {};
        f.used = used >> p & 1;
        if (f.used) visit(a, f.a), visit(a, f.d), a.num(f.blocked), a.time(f.granted), visit(a, f.specials);
    }
    for (size_t p = 0; p < 4; ++p) {
        OutLink& o = c.out[p];
        if constexpr (A::reading) o = {};
        o.used = used >> (5 + p) & 1;
        if (o.used) visit(a, o.sent), visit(a, o.credit), a.num(o.blocked), visit(a, o.specials);
    }
}

template <typename A>
void visit(A& a, InQueue& q) {
    a.num(q.color), a.num(q.priority), visit(a, q.a), visit(a, q.b), a.num(q.cover), a.num(q.blocked);
}

template <typename A>
void visit(A& a, OutQueue& q) {
    a.num(q.initialised), a.num(q.color), a.num(q.priority), visit(a, q.b), a.num(q.ramp_color), a.num(q.pushed);
}

template <typename A>
void visit(A& a, Thread& t) {
    a.time(t.last_issue);
    a.num(t.live);
    if (!t.live) return;
    a.num(t.finished), a.num(t.synchronous), a.num(t.fabric), a.num(t.memory_dst);
    for (size_t i = 0; i < 2; ++i) a.num(t.in[i]), a.num(t.in_base[i]);
    a.num(t.out), a.num(t.base), a.num(t.words), a.time(t.next_beat), a.time(t.start), a.num(t.cost), a.num(t.pace_num);
    a.num(t.pace_den), a.num(t.priority), a.num(t.activate), a.num(t.unblock), a.num(t.ok_reg), a.num(t.low),
        a.num(t.high);
    visit(a, t.own);
}

// Bytes that are 0 or 1, as lengths of runs; the first run is of zeros.
template <typename A>
void visit_runs(A& a, std::vector<uint8_t>& bytes) {
    auto size = static_cast<int64_t>(bytes.size());
    a.num(size);
    if constexpr (A::reading) bytes.assign(static_cast<size_t>(size), 0);
    uint8_t value = 0;
    for (int64_t at = 0; at < size; value ^= 1) {
        int64_t end = at;
        if constexpr (!A::reading)
            while (end < size && bytes[static_cast<size_t>(end)] == value) ++end;
        int64_t run = end - at;
        a.num(run);
        if constexpr (A::reading) std::fill_n(bytes.begin() + at, run, value);
        at += run;
    }
}

template <typename A>
void visit(A& a, Main& m) {
    a.num(m.tile), a.num(m.in_task), a.num(m.pc), a.time(m.next_issue), a.time(m.next_vector), a.time(m.free_at);
    a.time(m.last_issue), a.size(m.calls);
    for (int32_t& c : m.calls) a.num(c);
    a.size(m.slots);
    for (int32_t& s : m.slots) a.num(s);
    a.size(m.regs);
    for (Reg& r : m.regs) a.num(r.known), a.time(r.ready);
    a.size(m.dsrs);
    for (Dsr& d : m.dsrs) a.num(d.dsd), a.time(d.ready);
    visit_runs(a, m.unknown);
    if constexpr (A::reading) m.memory.assign(m.unknown.size(), 0), m.end = kMinus;
    a.size(m.recent);
    for (Recent& r : m.recent) a.time(r.start), a.num(r.low), a.num(r.high);
    a.num(m.active), a.num(m.blocked), a.num(m.priority);
}

template <typename A>
void visit(A& a, std::vector<Cycle>& times) {
    a.size(times);
    for (Cycle& t : times) a.time(t);
}

template <typename A, typename Q>
void visit_queues(A& a, std::array<Q, 8>& queues) {
    uint32_t used = 0;
    for (size_t q = 0; q < 8; ++q) used |= static_cast<uint32_t>(queues[q].used) << q;
    a.num(used);
    for (size_t q = 0; q < 8; ++q) {
        if constexpr (A::reading) queues[q] = {};
        queues[q].used = used >> q & 1;
        if (queues[q].used) visit(a, queues[q]);
    }
}

template <typename A>
void visit(A& a, Node& n) {
    visit(a, n.main);
    a.num(n.edges);
    a.size(n.colors);
    for (Color& c : n.colors) visit(a, c);
    visit_queues(a, n.iq);
    visit_queues(a, n.oq);
    for (Thread& t : n.thread) {
        if constexpr (A::reading) t = {};
        visit(a, t);
    }
    a.num(n.live);
    a.size(n.completions);
    for (Completion& c : n.completions) a.time(c.when), a.num(c.thread), a.num(c.activate), a.num(c.unblock);
    visit(a, n.last_pick);
    a.size(n.launches);
    for (int32_t& l : n.launches) a.num(l);
    a.time(n.slot_free), a.time(n.ahead), a.num(n.dirty), a.num(n.pending), a.time(n.pending_start),
        a.time(n.pending_stop);
    a.time(n.router_wake);
    a.time(n.element_wake);
    if constexpr (A::reading) n.done = 0;
}

template <typename A>
void visit(A& a, Message& m) {
    a.num(m.credit), a.num(m.color), a.num(m.port), a.time(m.wake), visit(a, m.words), visit(a, m.specials);
    a.num(m.from), a.num(m.first_change), a.num(m.blocked);
    a.size(m.held);
    for (auto& h : m.held) {
        int64_t n = h.seg.n, gap = h.seg.gap;
        a.num(h.k), a.time(h.seg.t), a.num(n), a.num(gap);
        if constexpr (A::reading)
            h.seg.n = static_cast<int32_t>(n), h.seg.gap = static_cast<int32_t>(gap) & 0x3fffffff, h.seg.restricted = 1;
    }
}

}  // namespace

void pack(Node& n, Cycle T, std::string& out, Cycle& horizon) {
    Writer w(out, T);
    visit(w, n);
    horizon = w.horizon;
}
void unpack(const uint8_t* bytes, Node& n) {
    Reader r(bytes);
    visit(r, n);
}
void pack(Message& m, std::string& out) {
    Writer w(out, 0);
    visit(w, m);
}
void unpack(const uint8_t* bytes, Message& m) {
    Reader r(bytes);
    visit(r, m);
}

}  // namespace wafersim::stream
