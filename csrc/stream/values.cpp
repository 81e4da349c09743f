#include "stream/values.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "pe/memory_rules.hpp"
#include "stream/local.hpp"

namespace wafersim::stream {
namespace {

constexpr int kDeepest = 2000;  // PEs whose words a word waits for, one behind the other; each takes about 500 bytes of
                                // stack. Beyond, the last one is seen to first.

}  // namespace

void DropValues::operator()(OpValues* op) const {
    delete op;
}

Values::Values(Shared& shared, int strip, const Arch& arch)
    : tapes(shared.program, arch),
      program_(shared.program),
      arch_(arch),
      shared_(shared),
      strip_(strip),
      nodes_(shared.nodes()),
      cells_(shared.cells.data()),
      sram_(shared.sram) {
    for (auto& set : wanted) set.resize(static_cast<size_t>(shared.strips));
    busy_.resize(nodes_.size());
    ordered_.resize(nodes_.size());
    std::vector<int64_t> rank(program_.tiles.size(), 0);
    for (uint32_t pe = 0; pe < nodes_.size(); ++pe) {
        const int32_t t = program_.tile_map[pe];
        if (t < 0) continue;
        const int64_t r = rank[static_cast<size_t>(t)]++;
        if (shared.strip_of(pe) != strip) continue;
        const Tile& tile = program_.tiles[static_cast<size_t>(t)];
        uint8_t* sram = sram_.at(pe);
        const uint8_t* image = program_.image.data() + tile.image_offset;
        for (int32_t i = 0; i < tile.image_bytes; ++i)  // pages without a value stay untouched
            if (image[i]) sram[i] = image[i];
        for (const ParamBlock& b : tile.params)
            std::memcpy(sram + b.address, program_.param_values.data() + b.offset + r * b.bytes,
                        static_cast<size_t>(b.bytes));
    }
}

Place Values::place(const Node& n) const {
    return {sram_.at(number(n)), cells_ + 8 * static_cast<size_t>(n.cells), arch_.sram_bytes};
}

void Values::write(const Node& n, int32_t address, std::span<const uint8_t> bytes) {
    std::memcpy(sram_.at(number(n)) + address, bytes.data(), bytes.size());
}

void Values::read(const Node& n, int32_t address, std::span<uint8_t> bytes) const {
    std::memcpy(bytes.data(), sram_.at(number(n)) + address, bytes.size());
}

RunRef Values::send(const Node& n, int thread, int64_t words) const {
    RunRef run(new Run);
    run->pe = number(n);
    run->crosses = shared_.strips > 1;
    run->thread = thread;
    run->word.reset(new uint32_t[static_cast<size_t>(words)]);
    return run;
}

void Values::start(Node& n, Thread& th, Local& local, const Main& m, const Instr& in, int64_t length) {
    th.values.reset(new OpValues);
    OpValues& op = *th.values;
    op.e = tapes.elements_of(local, m, in, length);
    const Place here = place(n);
    const Settings set = local.settings_of(m, in);
    if (set.index_reg >= 0) op.e.index = static_cast<uint32_t>(here.reg(set.index_reg) & 0xffff);
    const Local::Shape shape = local.shape(m, in);
    op.width = shape.width, op.packed = shape.packed;
    op.fabric = th.fabric;
    op.one_by_one = th.on_fifos();
    op.low = th.low, op.high = th.reaches ? th.reaches : th.memory_dst ? th.high : th.low;
    int queues = 0;
    Operand* sources[3] = {&op.e.a, &op.e.b, &op.e.c};
    for (Operand* o : {&op.e.dst, &op.e.a, &op.e.b, &op.e.c}) {
        here.settle(*o, in.line);
        if (o->kind == Source::kPtr && o == &op.e.dst) op.low = o->addr, op.high = o->addr + o->elem_bytes;
        if (o->kind == Source::kPtr && o != &op.e.dst) op.reads.push_back({o->addr, o->addr + o->elem_bytes});
        if (o->kind == Source::kFifo) start_ring(n, th, op, *o);
    }
    for (const int32_t encoded : {in.a, in.b, in.c}) {
        const Dsd* d = local.dsr(m, encoded);
        if (!d || d->kind != DsdKind::kMem) continue;
        int64_t low, high;
        memory_range(*d, length, low, high);
        op.reads.push_back({static_cast<int32_t>(low), static_cast<int32_t>(high)});
    }
    for (size_t s = 0; s < 3; ++s)
        if (sources[s]->kind == Source::kFabin) op.queue[s] = th.in[queues++];
    if (queues == 2 && th.in[0] == th.in[1]) throw Refused("two sources from one input queue", in.line);
}

// Where an op begins in the ring of a FIFO, whose bytes it may touch.
void Values::start_ring(const Node& n, const Thread& th, OpValues& op, Operand& o) const {
    const bool pushes = &o == &op.e.dst;
    const int64_t first = pushes ? th.push_base : th.pop_base[o.fifo == th.pop[0] ? 0 : 1];
    o.index[0] = static_cast<int32_t>((first - n.fifo(o.fifo).origin) % o.ext[0]);
    const int32_t high = o.base + o.ext[0] * o.step[0];
    if (high > arch_.sram_bytes) throw Refused("a FIFO outside SRAM", op.e.line);
    if (pushes)
        op.low = o.base, op.high = high;
    else
        op.reads.push_back({o.base, high});
}

// How much of an op has happened before cycle T.
int64_t Values::due(const Node& n, const Thread& th, Cycle T) const {
    return std::min(n.beats(th).count_before(T) - th.base, th.words);
}

// Whether one op writes what the other one reads or writes.
bool Values::meet(const OpValues& a, const OpValues& b) {
    auto cross = [](int32_t low, int32_t high, int32_t from, int32_t to) { return low < to && from < high; };
    if (cross(a.low, a.high, b.low, b.high)) return true;
    for (const auto& [low, high] : b.reads)
        if (cross(a.low, a.high, low, high)) return true;
    for (const auto& [low, high] : a.reads)
        if (cross(b.low, b.high, low, high)) return true;
    auto register_of = [](const OpValues& op) { return op.e.dst.kind == Source::kReg ? op.e.dst.reg : -1; };
    for (const auto& [x, y] : {std::pair{&a, &b}, std::pair{&b, &a}})
        for (const Operand* o : {&y->e.dst, &y->e.a, &y->e.b, &y->e.c})
            if (o->kind == Source::kReg && o->reg == register_of(*x)) return true;
    return false;
}

void Values::advance(Node& n, Cycle T) {
    if (!n.live) return;
    if (!advance_all(number(n), T)) throw Refused("internal: a word without a value");
}

void Values::begin(Cycle T) {
    now_ = T;
    todo_.clear();
}

void Values::add(uint32_t pe) {
    const Node& n = nodes_[pe];
    bool any = n.live;
    for (const InQueue* q : n.iq) any = any || (q && q->feeds_task && q->words);
    for (int i = 0; i < n.num_colors; ++i) any = any || by_index(n.colors[i]);
    if (any) todo_.push_back(pe);
}

// `asked`: what others want, which is tried once; who lacks something asks again.
void Values::try_all(std::span<const uint32_t> asked, size_t set) {
    set_ = set;
    for (std::vector<uint32_t>& w : wanted[set_]) w.clear();
    for (const uint32_t pe : asked) advance_all(pe, now_);
    std::erase_if(todo_, [&](uint32_t pe) {
        const bool done = advance_all(pe, now_);
        return fill_heads(nodes_[pe], now_) && done;
    });
}

// A PE, and whatever of this strip it waits for; false if it waits for another strip.
bool Values::advance_all(uint32_t pe, Cycle T) {
    stack_.assign(1, pe);
    uint64_t before = moved;
    for (int still = 0; !stack_.empty();) {
        deeper_.clear();
        foreign_ = false;
        if (advance_once(nodes_[stack_.back()], T)) {
            stack_.pop_back();
            continue;
        }
        if (foreign_) return false;
        still = moved == before ? still + 1 : 0;
        before = moved;
        if (deeper_.empty() || still > 1 << 20) throw Refused("internal: a word without a value");
        stack_.insert(stack_.end(), deeper_.begin(), deeper_.end());
    }
    return true;
}

// False if words are missing.
bool Values::advance_once(Node& n, Cycle T) {
    if (!n.live) return true;
    Due all[9];
    size_t num = 0;
    for (uint32_t rest = n.live; rest; rest &= rest - 1) {
        Thread& th = *n.thread[static_cast<size_t>(std::countr_zero(rest))];
        if (!th.values) continue;
        if (const int64_t to = due(n, th, T); to > th.values->units) all[num++] = {&th, to};
    }
    if (!num) return true;
    bool order = false;
    for (size_t i = 0; i < num; ++i)
        for (size_t j = 0; j < i; ++j) order = order || meet(*all[i].thread->values, *all[j].thread->values);
    ++depth_;
    busy_[number(n)] = true;
    ordered_[number(n)] = order;
    const bool done = order ? in_order(n, {all, num}, T) : in_any_order(n, {all, num}, T);
    busy_[number(n)] = ordered_[number(n)] = false;
    --depth_;
    return done;
}

bool Values::in_any_order(Node& n, std::span<Due> all, Cycle T) {
    for (bool more = true; more;) {
        more = false;
        bool done = true;
        for (const Due& d : all) {
            const int64_t before = d.thread->values->units;
            done = apply(n, *d.thread, d.to, T) && done;
            more = more || d.thread->values->units > before;
        }
        if (done) return true;
    }
    return false;
}

// Beat by beat, by their times.
bool Values::in_order(Node& n, std::span<Due> all, Cycle T) {
    for (;;) {
        const Due* first = nullptr;
        Cycle when = kForever;
        for (const Due& d : all) {
            const int64_t at = d.thread->values->units;
            if (at >= d.to) continue;
            const Seq::Value v = n.beats(*d.thread).at(d.thread->base + at);
            if (!v.known || v.t <= kMinus) throw Refused("internal: a beat whose time is forgotten");
            if (v.t < when) when = v.t, first = &d;
        }
        if (!first) return true;
        const int64_t next = first->thread->values->units + 1;
        if (!apply(n, *first->thread, next, T)) return false;
    }
}

// The words that its next units need, `most` or as many as there are.
int64_t Values::words_there(Node& n, const Thread& th, int64_t most, const uint32_t* from[3]) const {
    const OpValues& op = *th.values;
    for (size_t s = 0; s < 3; ++s) {
        from[s] = nullptr;
        if (op.queue[s] < 0) continue;
        const InQueue& q = *n.iq[static_cast<size_t>(op.queue[s])];
        const int64_t k = th.in_base[op.queue[s] == th.in[0] ? 0 : 1] + op.units;
        const Words::Piece* p = q.words ? q.words->find(k) : nullptr;
        if (!p) throw Refused("internal: a word of no run");
        const int64_t at = p->offset + k - p->first;
        most = std::min({most, p->first + p->n - k, p->run->filled - at});
        from[s] = p->run->word.get() + at;
    }
    return most;
}

// The first run whose values are missing.
const Words::Piece* Values::missing(Node& n, const Thread& th) const {
    const OpValues& op = *th.values;
    for (const int8_t queue : op.queue) {
        if (queue < 0) continue;
        const int64_t k = th.in_base[queue == th.in[0] ? 0 : 1] + op.units;
        const Words::Piece* p = n.iq[static_cast<size_t>(queue)]->words->find(k);
        if (p->run->filled <= p->offset + k - p->first) return p;
    }
    return nullptr;
}

// Brings an op up to `to` units; false if words of ops that wait for this one are missing.
bool Values::apply(Node& n, Thread& th, int64_t to, Cycle T) {
    OpValues& op = *th.values;
    if (op.busy) return false;
    op.busy = true;
    while (op.units < to) {
        const uint32_t* from[3];
        int64_t count = words_there(n, th, to - op.units, from);
        if (count <= 0) {
            const Words::Piece* lacks = missing(n, th);
            if (!lacks) continue;  // another strip has just filled it
            const RunRef run = lacks->run;
            const int64_t before = run->filled;
            pull(*run.get(), T);
            if (run->filled == before) break;
            continue;
        }
        if (th.endless && op.run.get()) {
            if (op.run->filled == kChunk) op.next_chunk();
            count = std::min(count, kChunk - op.run->filled);
        }
        pass(n, th, count, from);
        op.units += count;
        moved += static_cast<uint64_t>(count);
    }
    op.busy = false;
    for (int i = 0; i < 2; ++i)
        if (th.in[i] >= 0) n.iq[static_cast<size_t>(th.in[i])]->words->forget(th.in_base[i] + op.units);
    return op.units >= to;
}

// Somebody wants words of a run.
void Values::pull(const Run& run, Cycle T) {
    if (const int strip = shared_.strip_of(run.pe); strip != strip_) {
        foreign_ = true;
        return wanted[set_][static_cast<size_t>(strip)].push_back(run.pe), void();
    }
    if (ordered_[run.pe]) return;
    if (depth_ >= kDeepest) return deeper_.push_back(run.pe), void();
    Node& n = nodes_[run.pe];
    if (!busy_[run.pe]) return advance_once(n, T), void();
    Thread* th = n.thread[static_cast<size_t>(run.thread)];
    if (!th->values || !th->values->sends_in(run)) return;
    ++depth_;
    apply(n, *th, due(n, *th, T), T);
    --depth_;
}

// Elements of the next beat of an op without fabric operands.
int64_t Values::beat(const OpValues& op) const {
    const Elements& e = op.e;
    int64_t n = std::min<int64_t>(op.width, e.length - e.done);
    for (const Operand* o : {&e.dst, &e.a, &e.b, &e.c})
        if (o->kind == Source::kMem && o->ndim > 1) n = std::min<int64_t>(n, o->ext[0] - o->index[0]);
    return n;
}

// Moves of 32-bit words between the fabric and a row in memory.
bool Values::copy(Node& n, OpValues& op, int64_t count, const uint32_t* const from[3]) const {
    Elements& e = op.e;
    if ((e.vop != VOp::kMov32 && e.vop != VOp::kFmovs) || !op.fabric) return false;
    auto row = [](const Operand& o) {
        return o.kind == Source::kMem && o.ndim == 1 && o.elem_bytes == 4 && o.step[0] == 4 && !o.index_offset;
    };
    const bool in = e.a.kind == Source::kFabin && e.a.elem_bytes == 4;
    const bool out = e.dst.kind == Source::kFabout && e.dst.elem_bytes == 4;
    if (!(in || row(e.a)) || !(out || row(e.dst))) return false;
    uint8_t* sram = sram_.at(number(n));
    const void* source = in ? static_cast<const void*>(from[0]) : sram + e.a.addr;
    void* target = out ? static_cast<void*>(op.run->word.get() + op.run->filled) : sram + e.dst.addr;
    const auto words = static_cast<int32_t>(count);
    std::memmove(target, source, 4 * static_cast<size_t>(count));
    if (!in) e.a.addr += 4 * words, e.a.index[0] += words;
    if (!out) e.dst.addr += 4 * words, e.dst.index[0] += words;
    if (out) op.run->filled.store(op.run->filled + count, std::memory_order_release);
    e.done += count;
    return true;
}

void Values::pass(Node& n, Thread& th, int64_t count, const uint32_t* const from[3]) const {
    OpValues& op = *th.values;
    Elements& e = op.e;
    if (copy(n, op, count, from)) return;
    const Place here = place(n);
    for (int64_t i = 0; i < count; ++i) {
        const int64_t elements = op.packed                    ? std::min<int64_t>(2, e.length - e.done)
                                 : op.fabric || op.one_by_one ? 1
                                                              : beat(op);
        uint32_t index = 0, outgoing = 0, word[3] = {};
        for (size_t s = 0; s < 3; ++s)
            if (from[s]) index = from[s][i] >> 16;
        const Operand* sources[3] = {&e.a, &e.b, &e.c};
        for (int64_t k = 0; k < elements; ++k) {
            for (size_t s = 0; s < 3; ++s)
                if (from[s])
                    word[s] = sources[s]->elem_bytes == 4 ? from[s][i] : k ? from[s][i] >> 16 : from[s][i] & 0xffff;
            const uint32_t value = here.element(e, word, index);
            outgoing |= k && op.fabric ? value << 16 : k ? 0 : value;
        }
        if (!op.run.get()) continue;
        if (e.dst.elem_bytes == 2 && !op.packed) outgoing = (outgoing & 0xffff) | e.index << 16;
        const int64_t at = op.run->filled;
        op.run->word[static_cast<size_t>(at)] = outgoing;
        op.run->filled.store(at + 1, std::memory_order_release);
    }
}

uint32_t Values::take(Node& n, InQueue& q, int64_t k, Cycle T) {
    const Words::Piece* p = q.words ? q.words->find(k) : nullptr;
    if (!p) throw Refused("internal: a word of no run");
    const RunRef run = p->run;
    const int64_t at = p->offset + k - p->first;
    if (run->filled <= at && shared_.strip_of(run->pe) == strip_) advance_all(run->pe, T);
    if (run->filled <= at) throw Refused("internal: a word without a value");
    q.words->forget(k + 1);
    (void)n;
    return run->word[static_cast<size_t>(at)];
}

}  // namespace wafersim::stream
