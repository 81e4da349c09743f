// Starts of vector ops that are more than local: with fabric operands, asynchronous, or beside live threads.
#include <algorithm>
#include <bit>
#include <utility>

#include "stream/element.hpp"

namespace wafersim::stream {
namespace {

int kind_of(int32_t encoded) {
    return encoded < 0 ? 0 : encoded >> 24;
}
bool is_kind(int32_t encoded, OperandKind kind) {
    return kind_of(encoded) == static_cast<int>(kind);
}

// What may change a situation of the main thread (`Mains::change`), in the low bits of the key.
enum ChangeKind : uint64_t { kPassed = 16, kBegun };

}  // namespace

int Element::microthread(const Node& n, const Instr& in, const Settings& set) {
    if (set.ut >= 0) return set.ut < arch_.num_uts ? set.ut : 0;
    auto queue = [&](int32_t e, DsdKind kind) {
        const Dsd* d = local_.dsr(main(n), e);
        return d && d->kind == kind ? d->queue : -1;
    };
    int number = -1;
    if (arch_.generation == 2) {
        number = queue(in.dst, DsdKind::kFabout);
        for (const int32_t e : {in.a, in.b, in.c})
            if (number < 0) number = queue(e, DsdKind::kFabin);
    } else {
        for (const int32_t e : {in.dst, in.a, in.b, in.c})
            if (number < 0) number = std::max(queue(e, DsdKind::kFabout), queue(e, DsdKind::kFabin));
    }
    if (number >= 0) return number < arch_.num_uts ? number : 0;
    for (int ut = 0; ut < arch_.num_uts; ++ut)
        if (!(n.live >> ut & 1)) return ut;
    return 0;
}

bool Element::claimed(const Node& n, const Instr& in) {
    for (uint32_t rest = n.live; rest; rest &= rest - 1) {
        const Thread& th = *n.thread[static_cast<size_t>(std::countr_zero(rest))];
        for (const int32_t e : {in.a, in.b, in.c})
            if (const Dsd* d = local_.dsr(main(n), e);
                d && d->kind == DsdKind::kFabin && (th.in[0] == d->queue || th.in[1] == d->queue))
                return true;
        if (const Dsd* d = local_.dsr(main(n), in.dst); d && d->kind == DsdKind::kFabout && th.out == d->queue)
            return true;
        for (const int32_t e : {in.a, in.b, in.c})
            if (const Dsd* d = local_.dsr(main(n), e);
                d && d->kind == DsdKind::kFifo && (th.pop[0] == d->fifo || th.pop[1] == d->fifo))
                return true;
        if (const Dsd* d = local_.dsr(main(n), in.dst); d && d->kind == DsdKind::kFifo && th.push == d->fifo)
            return true;
    }
    for (const int32_t o : main(n).map.operand) {  // a MAP has its queues while its callback runs
        if (o < 0) continue;
        const Dsd held = local_.dsd(o);
        if (held.kind == DsdKind::kFabin)
            for (const int32_t e : {in.a, in.b, in.c})
                if (const Dsd* d = local_.dsr(main(n), e); d && d->kind == held.kind && d->queue == held.queue)
                    return true;
        if (const Dsd* d = local_.dsr(main(n), in.dst);
            d && held.kind == DsdKind::kFabout && d->kind == held.kind && d->queue == held.queue)
            return true;
    }
    const Settings set = local_.settings_of(main(n), in);
    return set.async && in.op != Op::kMap && (n.live >> microthread(n, in, set) & 1);
}

// Generation 2: the queue takes the color of the op that begins to read it, from whatever queue had it.
void Element::bind_queue(Node& n, InQueue& q, int color, Cycle T) {
    for (InQueue* other : n.iq) {
        if (!other || (other != &q && other->color != color)) continue;
        if (other->a.count_before(T + 1) > other->b.count_before(T))
            throw Refused("an op that binds its input queue to another color while words of the old one are in it");
        other->a.cut(other->a.count_before(T + 1));  // what was to come in the old color does not
        std::erase_if(other->specials, [&](const Special& s) { return s.k >= other->a.end(); });
        if (other->words) other->words->cut(other->a.end(), nullptr);
        other->color = -1;
    }
    q.color = color;
    for (int i = 0; i < n.num_colors; ++i) {
        Color& c = n.colors[i];
        const int32_t was = std::exchange(c.iq, -1);
        for (int32_t k = 7; k >= 0; --k)
            if (const InQueue* at = n.iq[static_cast<size_t>(k)]; at && at->color == c.color) c.iq = k;
        if (c.iq == was) continue;
        router_.settle(c, T + 1);
        c.changed = T;
        n.wake_router(T + 1);
    }
}

void Element::start_receive(Node& n, Thread& th, const Dsd& d, int64_t words, Cycle T, int& priority) {
    th.fabric = true;
    const int slot = th.in[0] < 0 ? 0 : 1;
    if (th.in[slot] >= 0) throw Refused("an op with three fabric sources");
    if (!n.iq[static_cast<size_t>(d.queue)]) throw Refused("a receive on an input queue that is not initialised");
    InQueue& q = *n.iq[static_cast<size_t>(d.queue)];
    if (arch_.generation == 2 && d.color >= 0 && d.color != q.color) bind_queue(n, q, d.color, T);
    th.in[slot] = static_cast<int8_t>(d.queue);
    th.in_base[slot] = q.cover;
    q.cover += words;
    if (priority < 0)
        priority = q.priority >= 0 ? q.priority : arch_.generation == 2 ? static_cast<int>(Priority::kUtHigh) : -1;
}

void Element::start_send(Node& n, Thread& th, const Instr& in, const Dsd& d, bool advance, int64_t words, Cycle T,
                         int& priority) {
    th.fabric = true;
    OutQueue*& place = n.oq[static_cast<size_t>(d.queue)];
    if (!place) place = arena_.make<OutQueue>(), n.oqs = static_cast<uint8_t>(n.oqs | 1u << d.queue);
    OutQueue& q = *place;
    if (q.fed > kMinus) refuse(in, "an output queue whose place the host has");
    const int c = router_.ramp_color(n, d.color >= 0 ? d.color : q.color >= 0 ? q.color : 0);
    LinkFifo& ramp = router_.ramp_of(n, c);
    if (!mix_for(n, q, c, ramp, words, T) && q.ramp_color < 0)
        q.ramp_color = c, q.ramp = &ramp, q.pushed = ramp.a.end(), q.b.append_past(q.pushed);
    std::vector<Special>& specials = q.mixed ? q.mixed->specials : ramp.specials;
    th.out = static_cast<int8_t>(d.queue);
    th.base = q.pushed;
    advance = advance || d.advance_switch;
    if (d.control) {
        if (th.endless) refuse(in, "control wavelets without end");
        if (advance) refuse(in, "an advancing op of control wavelets");
        if (d.elem_bytes != 4) refuse(in, "control wavelets of 16-bit elements");
        set_payloads(n, th, in, words);
        for (int64_t k = 0; k < words; ++k)
            specials.push_back({q.pushed + k, th.payloads[static_cast<size_t>(k)], false});
    } else if (advance && !th.endless) {
        specials.push_back({q.pushed + words - 1, 0, true});
    }
    q.pushed += words;
    const bool high = q.initialised && arch_.generation == 2;
    priority = q.priority >= 0 ? q.priority : high ? static_cast<int>(Priority::kUtHigh) : -1;
}

// Payload of one control wavelet of an op as it stands now; false if it is not known.
bool Element::payload(const Node& n, const Thread& th, int64_t word, uint32_t& value) const {
    bool known = true;
    if (th.payload_reg >= 0) return value = static_cast<uint32_t>(reg(n, th.payload_reg, known)), known || values;
    if (th.payload_address < 0) return true;
    const Main& m = main(n);
    const int64_t address = th.payload_address + word * th.payload_step;
    if (values) {
        uint8_t bytes[4];
        values->read(n, static_cast<int32_t>(address), bytes);
        return std::memcpy(&value, bytes, 4), true;
    }
    const int at = local_.known_at(m, address, address + 4);
    if (at < 0) return false;
    const auto byte = static_cast<int32_t>(8 * m.regs.size()) + at;
    std::memcpy(&value, cells_ + byte, 4);
    script.add({Step::Kind::kBytes, 4, byte, value});
    return true;
}

// Payloads are taken at the start, because routers ahead want to know them, and looked at again at each beat.
void Element::set_payloads(const Node& n, Thread& th, const Instr& in, int64_t words) const {
    const int32_t e = kind_of(in.a) ? in.a : in.b;
    const auto vop = static_cast<VOp>(in.type);
    if (vop != VOp::kMov32) refuse(in, "control wavelets whose payload is computed");
    if (is_kind(e, OperandKind::kReg)) th.payload_reg = e & 0xffffff;
    if (const Dsd* d = local_.dsr(main(n), e)) {
        if (d->kind != DsdKind::kMem || d->ndim != 1 || d->elem_bytes != 4)
            refuse(in, "control wavelets whose payload does not lie in a row in memory");
        th.payload_address = d->base, th.payload_step = d->stride[0] * 4;
    } else if (is_kind(e, OperandKind::kPtr)) {
        refuse(in, "control wavelets whose payload is a scalar in memory");
    }
    for (int64_t k = 0; k < words; ++k) {
        auto value = static_cast<uint32_t>(in.imm2);
        if (!payload(n, th, k, value)) refuse(in, "a control wavelet whose payload depends on array data");
        th.payloads.push_back(value);
    }
}

void Element::check_payloads(const Node& n, Thread& th, int64_t done) const {
    for (; th.checked < done; ++th.checked) {
        const auto at = static_cast<size_t>(th.checked);
        if (values && th.values->run->filled > th.checked && th.values->run->word[at] == th.payloads[at]) continue;
        uint32_t value = th.payloads[at];
        if (values || !payload(n, th, th.checked, value) || value != th.payloads[at])
            throw Refused("a control wavelet whose payload changes while its op runs");
    }
}

// What its beats cost, and how many words or beats it has.
void Element::set_costs(Node& n, Thread& th, const Instr& in, int64_t length, int memory_sources) {
    const Main& m = main(n);
    local_.set_least(in, [&](int32_t r) {
        bool known = true;
        const auto address = static_cast<uint16_t>(reg(n, r, known));
        if (!known && !values) refuse(in, "a scalar destination at an unknown address");
        return address;
    });
    const Local::Shape shape = local_.shape(m, in);
    th.words = th.fabric ? shape.words(length) : shape.beats(length);
    th.needs = static_cast<int8_t>(shape.needs), th.takes = static_cast<int8_t>(shape.takes);
    if (!th.fabric) th.pace_num = arch_.vop[in.type].pace_num, th.pace_den = arch_.vop[in.type].pace_den;
    if (th.on_fifos()) return set_fifo_costs(n, th, in, shape, length);
    th.cost = th.fabric && memory_sources < 2 ? local_.beat_cost(m, in) : local_.even_cost(m, in);
    if (th.cost) return;
    if (th.takes > 1) refuse(in, "two memory sources with uneven beats beside a packed fabric source");
    th.costs = local_.costs_of_beats(m, in, length);
    th.words = static_cast<int64_t>(th.costs.size());
    th.cost = th.costs.back();
}

uint64_t Element::reg(const Node& n, int32_t r, bool& known) const {
    uint64_t value = 0;
    known = known && main(n).regs[static_cast<size_t>(r)].known;
    std::memcpy(&value, cells_ + 8 * r, 8);
    if (known) script.add({Step::Kind::kRegister, 8, r, value});
    return value;
}

// How many memory sources it has.
int Element::check_operands(const Main& m, const Instr& in, int64_t length, Thread& th) const {
    int memory_sources = 0;
    for (const int32_t e : {in.dst, in.a, in.b, in.c}) {
        const Dsd* d = local_.dsr(m, e);
        if (!d) continue;
        if (d->kind != DsdKind::kMem) {
            th.fabric |= d->kind == DsdKind::kFabin || d->kind == DsdKind::kFabout;
            continue;
        }
        int64_t low, high;
        local_.check_memory(m, in, *d, length, e == in.dst, low, high);
        if (e != in.dst) {
            ++memory_sources;
            continue;
        }
        th.low = static_cast<int32_t>(low), th.high = static_cast<int32_t>(high);
        th.memory_dst = true;
        if (d->index_offset) th.reaches = arch_.sram_bytes;
    }
    return memory_sources;
}

// What the op will write is array data.
void Element::mark_destination(Node& n, const Thread& th, const Instr& in, Cycle T) {
    const int32_t end = th.reaches ? th.reaches : th.high;
    if (th.memory_dst && local_.holds(n.tile, th.low, end))
        mains_.change_once(n, T, [&](Main& now, Cycle) { local_.vector_writes(now, th.low, end); });
    const int32_t r = in.dst & 0xffffff;
    if (is_kind(in.dst, OperandKind::kReg)) {
        if (!th.synchronous) refuse(in, "an asynchronous op that writes a register");
        mains_.change_once(n, T, [&](Main& now, Cycle) { now.regs[static_cast<size_t>(r)] = {0, kMinus, false}; });
    }
    if (!is_kind(in.dst, OperandKind::kPtr)) return;
    bool known = true;
    const auto address = static_cast<uint16_t>(reg(n, r, known));
    const int bytes = kVopShape[in.type].dst_bytes;
    if (!known && !values) refuse(in, "a scalar destination at an unknown address");
    if (address % 2 || address + bytes > arch_.sram_bytes) refuse(in, "a scalar destination outside SRAM");
    if (local_.holds(n.tile, address, address + bytes))
        mains_.change_once(n, T, [&](Main& now, Cycle) { local_.vector_writes(now, address, address + bytes); });
}

// The main thread goes on behind an instruction issued in cycle T; `next`: cycles until the next one may.
void Element::pass(Node& n, Cycle T, Cycle next) {
    n.last_issue = T;
    n.slot_free = T + 1;
    n.end = std::max(n.end, T + next);
    mains_.change(n, T, kPassed | static_cast<uint64_t>(next) << 8, [&](Main& m, Cycle now) {
        m.next_issue = m.next_vector = now + next;
        ++m.pc;
    });
}

// An op of length 0. An async one holds its microthread and what it claims until its completion.
void Element::start_empty(Node& n, const Instr& in, const Settings& set, Cycle T) {
    const int t = set.async ? microthread(n, in, set) : -1;
    if (set.async) {
        Thread*& place = n.thread[static_cast<size_t>(t)];
        if (!place) place = arena_.make<Thread>();
        const Cycle last_issue = place->last_issue;
        place->reset();
        place->last_issue = last_issue;
        place->live = place->finished = true;
        claim(n, in, *place);
        n.live = static_cast<uint16_t>(n.live | 1u << t);
    } else if (in.aux >= 0) {
        const int32_t r = in.aux;
        set_reg(r, 1);
        mains_.change_once(n, T, [&](Main& m, Cycle) {
            Reg& reg = m.regs[static_cast<size_t>(r)];
            reg = {0, reg.ready, true};
        });
    }
    if (set.async || set.activate >= 0 || set.unblock >= 0)
        n.completions.push_back({T + arch_.completion, t, set.activate, set.unblock});
    pass(n, T, 1);
}

void Element::claim(Node& n, const Instr& in, Thread& th) {
    const Main& m = main(n);
    claim_fifos(n, in, th);
    if (const Dsd* d = local_.dsr(m, in.dst); d && d->kind == DsdKind::kFabout) th.out = static_cast<int8_t>(d->queue);
    for (const int32_t e : {in.a, in.b, in.c})
        if (const Dsd* d = local_.dsr(m, e); d && d->kind == DsdKind::kFabin) {
            int8_t& in_queue = th.in[th.in[0] < 0 ? 0 : 1];
            if (in_queue >= 0) refuse(in, "an op with three fabric sources");
            in_queue = static_cast<int8_t>(d->queue);
        }
}

// Its words stand in the ramp's buffer as soon as they are announced.
void Element::start_values(Node& n, int t, const Main& m, const Instr& in, int64_t length) {
    Thread& th = *n.thread[static_cast<size_t>(t)];
    values->start(n, th, local_, m, in, length);
    if (th.out < 0) return;
    if (th.endless) return;  // `announce_more`
    th.values->run = values->send(n, t, th.words);
    if (const OpValues& op = *th.values; op.e.dst.elem_bytes == 2 && !op.packed)
        op.run->index = static_cast<int32_t>(op.e.index);
    OutQueue& q = *n.oq[static_cast<size_t>(th.out)];
    WordsOf& words = q.mixed ? q.mixed->words : q.ramp->words;
    if (!words) words = std::make_unique<Words>();
    words->append(th.base, th.words, th.values->run, 0);
}

// A vector op that is not local: with fabric operands, asynchronous, with a completion, or beside live threads.
void Element::start(Node& n, const Instr& in, Cycle T) {
    const Main& m = main(n);
    const Settings set = local_.settings_of(m, in);
    const int64_t words = local_.vector_length(m, in), length = words == kEndless ? kNoEnd : words;
    if (set.on_control != OnControl::kNone) refuse(in, "ON_CONTROL");
    if (static_cast<VOp>(in.type) == VOp::kDfilt) refuse(in, "dfilt");
    if (!set.async && length && m.map.pc >= 0) refuse(in, "a vector operation inside a MAP callback");
    if (length == 0) return start_empty(n, in, set, T);
    const int t = set.async ? microthread(n, in, set) : kMainOp;
    Thread*& place = n.thread[static_cast<size_t>(t)];
    if (!place) place = arena_.make<Thread>();
    Thread& th = *place;
    const Cycle last_issue = th.last_issue;
    th.reset();
    th.last_issue = set.async ? last_issue : n.last_issue;
    th.live = true;
    th.synchronous = !set.async;
    th.activate = set.activate;
    th.unblock = set.unblock;
    th.ok_reg = set.async ? -1 : in.aux;
    th.saved = local_.saved_bases(m, in, length);
    const int memory_sources = check_operands(m, in, length, th);
    if (!tile(n).fifos.empty()) claim_fifos(n, in, th);
    if (length == kNoEnd) check_endless(n, in, th);
    set_costs(n, th, in, length, memory_sources);
    int priority = -1, source_priority = -1;
    if (const Dsd* d = local_.dsr(m, in.dst); d && d->kind == DsdKind::kFabout)
        start_send(n, th, in, *d, set.advance_switch, th.words, T, priority);
    for (const int32_t e : {in.a, in.b, in.c}) {
        const Dsd* d = local_.dsr(m, e);
        if (d && d->kind == DsdKind::kFabin) start_receive(n, th, *d, th.words, T, source_priority);
    }
    if (th.out < 0) {
        th.base = th.in[0] >= 0 ? th.in_base[0] : th.push >= 0 ? th.push_base : th.pop[0] >= 0 ? th.pop_base[0] : 0;
        priority = source_priority;
    }
    th.priority = set.priority >= 0 ? set.priority : priority >= 0 ? priority : static_cast<int>(Priority::kUtLow);
    if (th.synchronous) th.priority = m.priority;
    n.live = static_cast<uint16_t>(n.live | 1u << t);
    th.next_beat = set.async ? T + arch_.ut_start : T;
    if (values) start_values(n, t, m, in, length);
    mark_destination(n, th, in, T);
    if (set.async) return pass(n, T, 1);
    mains_.change(n, T, kBegun, [](Main& now, Cycle) { ++now.pc; });
}

}  // namespace wafersim::stream
