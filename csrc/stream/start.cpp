// Instructions that are more than local: starts of vector ops, and control of the fabric.
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

const char* name_of(Op op) {
    switch (op) {
        case Op::kMap:
            return "MAP";
        case Op::kFifoSet:
            return "FIFO_SET";
        case Op::kTaskPriority:
        case Op::kMainPriority:
            return "TASK_PRIORITY and MAIN_PRIORITY";
        case Op::kFilterSet:
        case Op::kFilterGet:
            return "filter control";
        case Op::kQueueGet:
        case Op::kQueueFlush:
        case Op::kQueueBind:
        case Op::kQueueExit:
            return "queue control";
        case Op::kTscControl:
        case Op::kRandom:
        case Op::kPerfGet:
        case Op::kPrint:
        case Op::kAssert:
            return "TSC_CONTROL, RANDOM, PERF_GET, PRINT and ASSERT";
        default:
            return "this instruction";
    }
}

// What may change a situation of the main thread (`Mains::change`), in the low bits of the key.
enum ChangeKind : uint64_t { kPassed = 16, kBegun, kRead };

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
    }
    const Settings set = local_.settings_of(main(n), in);
    return set.async && (n.live >> microthread(n, in, set) & 1);
}

void Element::start_receive(Node& n, Thread& th, const Dsd& d, int64_t words, int& priority) {
    th.fabric = true;
    const int slot = th.in[0] < 0 ? 0 : 1;
    if (th.in[slot] >= 0) throw Refused("an op with three fabric sources");
    if (!n.iq[static_cast<size_t>(d.queue)]) throw Refused("a receive on an input queue that is not initialised");
    InQueue& q = *n.iq[static_cast<size_t>(d.queue)];
    if (arch_.generation == 2 && d.color >= 0 && d.color != q.color)
        throw Refused("an op that binds its input queue to another color");
    th.in[slot] = static_cast<int8_t>(d.queue);
    th.in_base[slot] = q.cover;
    q.cover += words;
    if (priority < 0)
        priority = q.priority >= 0 ? q.priority : arch_.generation == 2 ? static_cast<int>(Priority::kUtHigh) : -1;
}

void Element::start_send(Node& n, Thread& th, const Instr& in, const Dsd& d, bool advance, int64_t words,
                         int& priority) {
    th.fabric = true;
    OutQueue*& place = n.oq[static_cast<size_t>(d.queue)];
    if (!place) place = arena_.make<OutQueue>(), n.oqs = static_cast<uint8_t>(n.oqs | 1u << d.queue);
    OutQueue& q = *place;
    const int c = d.color >= 0 ? d.color : q.color >= 0 ? q.color : 0;
    if (q.ramp_color >= 0 && q.ramp_color != c) refuse(in, "several colors on one output queue");
    for (const OutQueue* other : n.oq)
        if (other && other != &q && other->ramp_color == c) refuse(in, "one color on several output queues");
    LinkFifo& ramp = router_.ramp_of(n, c);
    if (q.ramp_color < 0) q.ramp_color = c, q.ramp = &ramp, q.pushed = ramp.a.end(), q.b.append_past(q.pushed);
    th.out = static_cast<int8_t>(d.queue);
    th.base = q.pushed;
    advance = advance || d.advance_switch;
    if (d.control) {
        if (advance) refuse(in, "an advancing op of control wavelets");
        if (d.elem_bytes != 4) refuse(in, "control wavelets of 16-bit elements");
        auto payload = static_cast<uint32_t>(in.imm2);
        if (!is_kind(in.a, OperandKind::kImm) && !is_kind(in.b, OperandKind::kImm)) {
            const int32_t e = kind_of(in.a) ? in.a : in.b;
            bool known = is_kind(e, OperandKind::kReg);
            if (known) payload = static_cast<uint32_t>(reg(n, e & 0xffffff, known));
            if (!known) refuse(in, "a control wavelet whose payload depends on array data");
        }
        for (int64_t k = 0; k < words; ++k) ramp.specials.push_back({q.pushed + k, payload, false});
    } else if (advance) {
        ramp.specials.push_back({q.pushed + words - 1, 0, true});
    }
    q.pushed += words;
    const bool high = q.initialised && arch_.generation == 2;
    priority = q.priority >= 0 ? q.priority : high ? static_cast<int>(Priority::kUtHigh) : -1;
}

// What its beats cost, and how many words or beats it has.
void Element::set_costs(Node& n, Thread& th, const Instr& in, int64_t length, int memory_sources) {
    const Main& m = main(n);
    local_.set_least(in, [&](int32_t r) {
        bool known = true;
        const auto address = static_cast<uint16_t>(reg(n, r, known));
        if (!known) refuse(in, "a scalar destination at an unknown address");
        return address;
    });
    const Local::Shape shape = local_.shape(m, in);
    th.words = th.fabric ? shape.words(length) : shape.beats(length);
    th.needs = static_cast<int8_t>(shape.needs), th.takes = static_cast<int8_t>(shape.takes);
    th.cost = th.fabric && memory_sources < 2 ? local_.beat_cost(m, in) : local_.even_cost(m, in);
    if (!th.fabric) th.pace_num = arch_.vop[in.type].pace_num, th.pace_den = arch_.vop[in.type].pace_den;
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
    return value;
}

// How many memory sources it has.
int Element::check_operands(const Main& m, const Instr& in, int64_t length, Thread& th) const {
    int memory_sources = 0;
    for (const int32_t e : {in.dst, in.a, in.b, in.c}) {
        const Dsd* d = local_.dsr(m, e);
        if (!d) continue;
        if (d->kind == DsdKind::kFifo) refuse(in, "FIFOs");
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
    if (!known) refuse(in, "a scalar destination at an unknown address");
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
        claim(main(n), in, *place);
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

void Element::claim(const Main& m, const Instr& in, Thread& th) const {
    if (const Dsd* d = local_.dsr(m, in.dst); d && d->kind == DsdKind::kFabout) th.out = static_cast<int8_t>(d->queue);
    for (const int32_t e : {in.a, in.b, in.c})
        if (const Dsd* d = local_.dsr(m, e); d && d->kind == DsdKind::kFabin) {
            int8_t& in_queue = th.in[th.in[0] < 0 ? 0 : 1];
            if (in_queue >= 0) refuse(in, "an op with three fabric sources");
            in_queue = static_cast<int8_t>(d->queue);
        }
}

// A vector op that is not local: with fabric operands, asynchronous, with a completion, or beside live threads.
void Element::start(Node& n, const Instr& in, Cycle T) {
    const Main& m = main(n);
    const Settings set = local_.settings_of(m, in);
    const int64_t length = local_.vector_length(m, in);
    if (length == kEndless) refuse(in, "an op of endless length");
    if (set.on_control != OnControl::kNone) refuse(in, "ON_CONTROL");
    if (static_cast<VOp>(in.type) == VOp::kDfilt) refuse(in, "dfilt");
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
    set_costs(n, th, in, length, memory_sources);
    int priority = -1, source_priority = -1;
    if (const Dsd* d = local_.dsr(m, in.dst); d && d->kind == DsdKind::kFabout)
        start_send(n, th, in, *d, set.advance_switch, th.words, priority);
    for (const int32_t e : {in.a, in.b, in.c}) {
        const Dsd* d = local_.dsr(m, e);
        if (d && d->kind == DsdKind::kFabin) start_receive(n, th, *d, th.words, source_priority);
    }
    if (th.out < 0) th.base = th.in[0] >= 0 ? th.in_base[0] : 0, priority = source_priority;
    th.priority = set.priority >= 0 ? set.priority : priority >= 0 ? priority : static_cast<int>(Priority::kUtLow);
    if (th.synchronous) th.priority = m.priority;
    n.live = static_cast<uint16_t>(n.live | 1u << t);
    th.next_beat = set.async ? T + arch_.ut_start : T;
    mark_destination(n, th, in, T);
    if (set.async) return pass(n, T, 1);
    mains_.change(n, T, kBegun, [](Main& now, Cycle) { ++now.pc; });
}

// Control of a color; the value that it reads.
uint64_t Element::control_color(Node& n, const Instr& in, Cycle T) {
    const bool reads = in.op == Op::kSwitchGet || in.op == Op::kTeardownGet;
    if (in.a >= 0 && in.op != Op::kSwitchSet) refuse(in, "fabric control of a color given in a register");
    Color* found = n.color(in.imm);
    if (!found) refuse(in, "fabric control of a color without a route");
    Color& c = *found;
    router_.settle(c, reads ? T : T + 1);
    if (in.op == Op::kTeardownExit && !c.teardown) return 0;
    switch (in.op) {
        case Op::kRouteSet: {
            const RouteClass& r = program_.routes[static_cast<size_t>(in.imm2)];
            c.route = in.imm2;
            c.position = r.initial;
            c.teardown = r.teardown;
            break;
        }
        case Op::kSwitchSet: {
            bool known = true;
            uint64_t to = static_cast<uint64_t>(in.imm2);
            if (in.a >= 0) to = reg(n, in.a, known);
            if (!known) refuse(in, "a switch position that depends on array data");
            const RouteClass& r = program_.routes[static_cast<size_t>(c.route)];
            c.position = static_cast<int32_t>(std::min<uint64_t>(to, static_cast<uint64_t>(r.num_positions - 1)));
            break;
        }
        case Op::kSwitchGet:
            return static_cast<uint64_t>(c.position);
        case Op::kTeardownGet:
            return c.teardown;
        default:
            c.teardown = false;
            break;  // TEARDOWN_EXIT
    }
    c.changed = T;
    if (Router::waiting(c, T)) n.wake_router(T + 1);
    return 0;
}

// The instruction of a main thread that is alone and ahead of the cycle, if it can be judged now: control of a color in
// teardown, which only this main thread can end. Its effect on the router is planned for cycle `at`.
bool Element::plan(Node& n, Cycle at) {
    const Instr& in = mains_.instruction(n);
    if ((in.op != Op::kTeardownGet && in.op != Op::kTeardownExit && in.op != Op::kRouteSet) || in.a >= 0) return false;
    Color* c = n.color(in.imm);
    if (!c || c->pending != SwitchCommand::kNop) return false;
    const bool planned = c->planned < kForever;
    if (!(planned ? c->planned_teardown : c->teardown)) return false;
    const Cycle next = arch_.value(ArchInt::kCostConfig);
    if (in.op == Op::kTeardownGet) {
        read_result(n, at, in.dst, 1, next);
    } else {
        if (!planned) c->planned_route = -1;
        if (in.op == Op::kRouteSet) c->planned_route = in.imm2;
        c->planned_teardown = in.op == Op::kRouteSet && program_.routes[static_cast<size_t>(in.imm2)].teardown;
        c->planned = at;
        if (Router::waiting(*c, at)) n.wake_router(at + 1);
    }
    pass(n, at, next);
    n.ahead = std::max(mains_.ready_from(n, at + 1), at + 1);
    return true;
}

void Element::read_result(Node& n, Cycle T, int32_t result, uint64_t value, Cycle latency) {
    set_reg(result, value);
    if (result >= 0)
        mains_.change(n, T, kRead | static_cast<uint64_t>(result) << 8,
                      [&](Main& m, Cycle now) { m.regs[static_cast<size_t>(result)] = {0, now + latency, true}; });
}

// One instruction that is not local, issued in cycle T.
void Element::execute(Node& n, Cycle T) {
    const Instr& in = mains_.instruction(n);
    ArchInt cost = ArchInt::kCostConfig;
    uint64_t value = 0;
    int32_t result = -1;
    switch (in.op) {
        case Op::kVop:
            return start(n, in, T);
        case Op::kTimestamp:
            cost = ArchInt::kCostTimestamp;
            value = static_cast<uint64_t>(T) & ((UINT64_C(1) << 48) - 1);
            result = in.dst;
            break;
        case Op::kRouteSet:
        case Op::kSwitchSet:
        case Op::kTeardownExit:
            control_color(n, in, T);
            break;
        case Op::kSwitchGet:
        case Op::kTeardownGet:
            value = control_color(n, in, T);
            result = in.dst;
            break;
        case Op::kTeardownPending:
            for (int i = 0; i < n.num_colors; ++i) {
                router_.settle(n.colors[i], T);
                if (std::exchange(n.colors[i].torn, false)) value |= UINT64_C(1) << n.colors[i].color;
            }
            result = in.dst;
            break;
        default:
            refuse(in, std::string("fidelity stream does not execute ") + name_of(in.op));
    }
    const Cycle next = arch_.value(cost);
    read_result(n, T, result, value, next);
    pass(n, T, next);
}

}  // namespace wafersim::stream
