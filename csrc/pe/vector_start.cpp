// Vector operations: claims, ranges, the start of an op (docs/semantics.md, section 4.1).
#include <algorithm>
#include <bit>

#include "pe/core.hpp"
#include "pe/memory_rules.hpp"
#include "pe/values.hpp"

namespace wafersim {
namespace {

int operand_kind(int32_t encoded) {
    return encoded < 0 ? 0 : encoded >> 24;
}

// A scalar destination that is a source too: an element waits for the one before it.
bool accumulates(const LiveOp& op) {
    for (const Operand* o : {&op.a, &op.b, &op.c})
        if (o->kind == op.dst.kind && (o->kind == Source::kReg ? o->reg == op.dst.reg : o->addr == op.dst.addr))
            return true;
    return false;
}

}  // namespace

const Dsd* Core::dsr_of(const Pe& p, int32_t encoded) const {
    if (operand_kind(encoded) != static_cast<int>(OperandKind::kDsr)) return nullptr;
    const int dsr = encoded & 0xffffff;
    return &p.dsrs[static_cast<size_t>(p.dsr_first[static_cast<size_t>(dsr / 32)] + dsr % 32)];
}

Settings Core::effective_settings(const Pe& p, const Instr& in) const {
    if (in.settings >= 0) return program_.settings[static_cast<size_t>(in.settings)];
    for (const int32_t encoded : {in.dst, in.a, in.b})
        if (const Dsd* d = dsr_of(p, encoded); d && d->settings >= 0)
            if (const Settings& set = program_.settings[static_cast<size_t>(d->settings)]; !set.plain) return set;
    return {};
}

int64_t Core::operand_length(const Pe& p, const Dsd& d, bool is_source) const {
    if (d.kind == DsdKind::kFifo) {
        const FifoState& f = p.fifos[static_cast<size_t>(d.fifo)];
        const int32_t set = is_source ? f.read_length : f.write_length;
        return set > 0 ? set : d.ext[0];
    }
    if (d.kind != DsdKind::kMem) return d.ext[0];
    int64_t n = 1;
    for (int i = 0; i < d.ndim; ++i) n *= d.ext[static_cast<size_t>(i)];
    return n;
}

int64_t Core::vector_length(const Pe& p, const Instr& in) const {
    bool endless = false;
    const int32_t operands[3] = {in.a, in.b, in.dst};
    for (int i = 0; i < 3; ++i) {
        const Dsd* d = dsr_of(p, operands[i]);
        if (!d || d->kind == DsdKind::kNone) continue;
        const int64_t n = operand_length(p, *d, i < 2);
        if (d->kind != DsdKind::kMem && n == kEndless) {
            endless = true;
            continue;
        }
        return n;
    }
    return endless ? kEndless : 1;
}

int Core::microthread_of(const Pe& p, const Instr& in, const Settings& set) const {
    if (set.ut >= 0) return set.ut < arch_.num_uts ? set.ut : 0;
    auto queue = [&](int32_t encoded, DsdKind kind) {
        const Dsd* d = dsr_of(p, encoded);
        return d && d->kind == kind ? d->queue : -1;
    };
    int number = queue(in.dst, DsdKind::kFabout);
    if (number < 0) number = queue(in.a, DsdKind::kFabin);
    if (number < 0) number = queue(in.b, DsdKind::kFabin);
    if (number < 0) number = queue(in.c, DsdKind::kFabin);
    if (number >= 0) return number < arch_.num_uts ? number : 0;
    for (int ut = 0; ut < arch_.num_uts; ++ut)
        if (!(p.live_uts >> ut & 1)) return ut;
    return 0;
}

// True while a live op holds a queue, FIFO end or microthread that this instruction needs.
bool Core::claimed(Pe& p, const Instr& in, bool& queue_clash) {
    const uint32_t live = p.live_threads();  // the main thread's own: an op launched by a MAP's callback
    if (!live) return false;
    uint32_t iq = 0, oq = 0;
    uint64_t push = 0, pop = 0;
    for (uint32_t rest = live; rest; rest &= rest - 1) {
        const LiveOp& op = *p.op(std::countr_zero(rest));
        iq |= op.iq_claims;
        oq |= op.oq_claims;
        push |= op.fifo_push;
        pop |= op.fifo_pop;
    }
    for (const int32_t encoded : {in.a, in.b, in.c}) {
        const Dsd* d = dsr_of(p, encoded);
        if (d && d->kind == DsdKind::kFabin && (iq >> d->queue & 1)) queue_clash = true;
        if (d && d->kind == DsdKind::kFifo && (pop >> d->fifo & 1)) return true;
    }
    if (const Dsd* d = dsr_of(p, in.dst)) {
        if (d->kind == DsdKind::kFabout && (oq >> d->queue & 1)) queue_clash = true;
        if (d->kind == DsdKind::kFifo && (push >> d->fifo & 1)) return true;
    }
    if (queue_clash) return true;
    const Settings set = effective_settings(p, in);
    return set.async && in.op != Op::kMap && (p.live_uts >> microthread_of(p, in, set) & 1);
}

Cycle Core::raw_until(const Pe& p, const Instr& in, Cycle t) const {
    Cycle until = 0;
    for (const auto& recent : p.recent) {
        if (recent.start + arch_.vector_raw <= t) continue;
        for (const int32_t encoded : {in.a, in.b, in.c}) {
            const Dsd* d = dsr_of(p, encoded);
            if (!d || d->kind != DsdKind::kMem) continue;
            int64_t low, high;
            const int64_t length = vector_length(p, in);
            if (length == 0) continue;
            memory_range(*d, length, low, high);
            if (low < recent.high && recent.low < high) until = std::max(until, recent.start + arch_.vector_raw);
        }
    }
    return until;
}

Operand Core::make_operand(Pe& p, const Instr& in, int32_t encoded) const {
    Operand o;
    switch (static_cast<OperandKind>(operand_kind(encoded))) {
        case OperandKind::kReg:
            o.kind = Source::kReg;
            o.reg = encoded & 0xffffff;
            return o;
        case OperandKind::kPtr:
            o.kind = Source::kPtr;
            o.reg = encoded & 0xffffff;
            o.addr = static_cast<uint16_t>(p.regs[static_cast<size_t>(o.reg)]);
            return o;
        case OperandKind::kImm:
            o.kind = Source::kImm;
            o.imm = static_cast<uint32_t>(in.imm2);
            return o;
        case OperandKind::kDsr:
            break;
        default:
            return o;
    }
    const Dsd& d = *dsr_of(p, encoded);
    o.dsr = static_cast<int16_t>(encoded & 0xffffff);
    o.elem_bytes = static_cast<uint8_t>(d.elem_bytes);
    o.queue = static_cast<int16_t>(d.queue);
    o.color = static_cast<int16_t>(d.color);
    o.fifo = static_cast<int16_t>(d.fifo);
    o.control = d.control;
    o.save = d.settings >= 0 && program_.settings[static_cast<size_t>(d.settings)].save_own;
    o.index_offset = d.index_offset;
    o.advance_switch = d.advance_switch;
    switch (d.kind) {
        case DsdKind::kMem:
            o.kind = Source::kMem;
            o.ndim = static_cast<uint8_t>(d.ndim);
            o.base = o.addr = d.base;
            o.ext = d.ext;
            for (size_t i = 0; i < 4; ++i) o.step[i] = d.stride[i] * d.elem_bytes;
            break;
        case DsdKind::kFabin:
            o.kind = Source::kFabin;
            break;
        case DsdKind::kFabout:
            o.kind = Source::kFabout;
            break;
        case DsdKind::kFifo:
            o.kind = Source::kFifo;
            break;
        default:
            break;
    }
    return o;
}

bool Core::settle_range(Pe& p, Operand& o, int64_t length, Cycle t, int line) {
    if (o.kind == Source::kPtr) {
        if (o.addr % 2 == 0 && o.addr + o.elem_bytes <= arch_.sram_bytes) return true;
        fail(p, t, "a scalar operand at address " + std::to_string(o.addr) + " is misaligned or outside SRAM", -1,
             line);
        p.dead = true;
        return false;
    }
    if (o.kind != Source::kMem) return true;
    const Dsd& d = p.dsrs[static_cast<size_t>(p.dsr_first[static_cast<size_t>(o.dsr / 32)] + o.dsr % 32)];
    int64_t low, high;
    memory_range(d, length, low, high);
    if (!o.index_offset && (low < 0 || high > arch_.sram_bytes || d.base % 2)) {
        fail(p, t,
             "a vector operand covers bytes " + std::to_string(low) + " to " + std::to_string(high) + "; SRAM has " +
                 std::to_string(arch_.sram_bytes) + " bytes and addresses are even",
             -1, line);
        p.dead = true;
        return false;
    }
    o.low = static_cast<int32_t>(std::max<int64_t>(low, INT32_MIN));  // with INDEX_OFFSET it may be anywhere
    o.high = static_cast<int32_t>(std::min<int64_t>(high, INT32_MAX));
    return true;
}

// Priority of the queue of the first fabric operand in the order DST, A, B, C.
int Core::queue_priority(const Pe& p, const LiveOp& op) const {
    auto of = [&](const auto& q) {
        if (q.priority >= 0) return static_cast<int>(q.priority);
        return static_cast<int>(q.initialised && arch_.generation == 2 ? Priority::kUtHigh : Priority::kUtLow);
    };
    if (op.dst.kind == Source::kFabout) return of(p.queues->oq[static_cast<size_t>(op.dst.queue)]);
    for (const Operand* o : {&op.a, &op.b, &op.c})
        if (o->kind == Source::kFabin) return of(p.queues->iq[static_cast<size_t>(o->queue)]);
    return static_cast<int>(Priority::kUtLow);
}

// Generation 2: a queue takes the color of the operation that begins to read it, from whatever queue had it.
bool Core::bind_queues(Pe& p, const LiveOp& op, Cycle t) {
    if (arch_.generation != 2) return true;
    for (const Operand* o : {&op.a, &op.b, &op.c}) {
        if (o->kind != Source::kFabin || o->color < 0) continue;
        InputQueue& wanted = p.queues->iq[static_cast<size_t>(o->queue)];
        if (wanted.color == o->color) continue;
        for (int i = 0; i < arch_.num_iq; ++i) {
            InputQueue& queue = p.queues->iq[static_cast<size_t>(i)];
            if (i != o->queue && queue.color != o->color) continue;
            if (!queue.ring.empty()) {
                fail(p, t,
                     "an operation begins to read color " + std::to_string(o->color) + " from input queue " +
                         std::to_string(o->queue) + ", but input queue " + std::to_string(i) + " still holds " +
                         std::to_string(queue.ring.count()) + " wavelets of color " + std::to_string(queue.color),
                     o->color, op.line);
                p.dead = true;
                return false;
            }
            queue.color = -1;
        }
        wanted.color = o->color;
        p.queues->bind_colors(arch_.num_iq);
        fabric_.route_changed(p.id, t);
    }
    return true;
}

bool Core::start_op(Pe& p, const Instr& in, Cycle t) {
    const Settings set = effective_settings(p, in);
    const int64_t length = vector_length(p, in);
    p.clash_counted = false;
    ++p.count(Event::kVectorOps);
    const bool async = set.async && in.op != Op::kMap;
    if (length == 0 && !async) {
        if (in.op == Op::kVop && in.aux >= 0) p.regs[static_cast<size_t>(in.aux)] = 1;
        if (set.activate >= 0 || set.unblock >= 0)
            p.completions.push_back({t + arch_.completion, -1, set.activate, set.unblock});
        p.next_issue = p.next_vector = t + 1;
        mark(t + 1);
        ++p.pc;
        return false;
    }
    if (p.main_op_live() && !async) {
        fail(p, t, "a vector operation starts inside a MAP callback", -1, in.line);
        p.dead = true;
        return false;
    }
    const int thread = async ? microthread_of(p, in, set) : kMainThread;
    auto& slot = p.ops[static_cast<size_t>(thread)];
    if (!slot) slot = std::make_unique<LiveOp>();
    LiveOp& op = *slot;
    const Cycle last_issue = op.last_issue;
    op = LiveOp{};
    op.last_issue = last_issue;
    op.op = in.op;
    op.vop = in.op == Op::kVop ? static_cast<VOp>(in.type) : VOp::kMov32;
    op.thread = thread;
    op.launched = t;
    op.synchronous = !async;
    op.length = length;
    op.endless = length == kEndless;
    op.set = set;
    op.line = in.line;
    op.task = p.task;
    op.function = p.launched_function();
    op.ok_reg = in.op == Op::kVop && !async ? in.aux : -1;
    op.dst = make_operand(p, in, in.dst);
    op.a = make_operand(p, in, in.a);
    op.b = make_operand(p, in, in.b);
    op.c = make_operand(p, in, in.c);
    op.a.index_offset = op.b.index_offset = op.c.index_offset = false;  // it is for destinations of wavelets
    if (in.op == Op::kMap) op.dst.index_offset = false;
    if (in.op == Op::kVop && kVopShape[in.type].num_sources == 1 && op.a.kind == Source::kNone) std::swap(op.a, op.b);
    if (set.index_reg >= 0) op.index = static_cast<uint32_t>(p.regs[static_cast<size_t>(set.index_reg)] & 0xffff);
    if (in.op == Op::kVop) {
        const VOpShape& shape = kVopShape[in.type];
        const int8_t bytes[4] = {shape.dst_bytes, shape.src0_bytes, shape.src1_bytes, shape.src1_bytes};
        int i = 0;
        for (Operand* o : {&op.dst, &op.a, &op.b, &op.c}) {
            if (o->kind == Source::kPtr) o->elem_bytes = static_cast<uint8_t>(bytes[i]);
            ++i;
        }
    }
    for (Operand* o : {&op.dst, &op.a, &op.b, &op.c})
        if (length > 0 && !settle_range(p, *o, length, t, in.line)) return false;
    if (length > 0 && !bind_queues(p, op, t)) return false;

    if (in.op == Op::kMap) {
        op.map_entry = in.imm;
        op.map_arg = in.imm2;
        op.map_result = in.aux;
        op.map_depth = p.calls.size();
        op.map_return = p.pc + 1;
    }
    // Claims, priority.
    auto claim = [&](const Operand& o, bool source) {
        if (o.kind == Source::kFabin && source) op.iq_claims |= static_cast<uint8_t>(1u << o.queue);
        if (o.kind == Source::kFabout && !source) op.oq_claims |= static_cast<uint8_t>(1u << o.queue);
        if (o.kind == Source::kFifo) (source ? op.fifo_pop : op.fifo_push) |= UINT64_C(1) << o.fifo;
    };
    claim(op.dst, false);
    claim(op.a, true);
    claim(op.b, true);
    claim(op.c, true);
    op.priority = set.priority >= 0 ? set.priority : queue_priority(p, op);

    // Width of a beat by rules 1-4, 6 and 8; the others depend on the moment.
    const VopCost& cost = arch_.vop[static_cast<int>(op.vop)];
    const bool scalar_dest = op.dst.kind == Source::kReg || op.dst.kind == Source::kPtr;
    int width = cost.simd;
    int source_bytes = 0, widest = 0, readers = 0;
    bool fabric16 = false, fabric32 = false;
    op.simd = set.simd >= 0 ? set.simd : arch_.default_simd;
    for (const Operand* o : {&op.a, &op.b, &op.c})
        if (o->is_memory()) source_bytes += o->elem_bytes, widest = std::max<int>(widest, o->elem_bytes), ++readers;
    if (readers) width = std::min(width, std::max(1, arch_.read_bytes / widest));
    for (const Operand* o : {&op.dst, &op.a, &op.b, &op.c}) {
        if (o->kind == Source::kMem) width = std::min(width, stride_cap(o->step[0], o->elem_bytes));
        if (o->kind == Source::kFabin || o->kind == Source::kFabout) (o->elem_bytes == 2 ? fabric16 : fabric32) = true;
    }
    if (op.dst.kind == Source::kMem && op.dst.index_offset) {
        op.simd = static_cast<int>(Simd::kOff);
        width = 1;
    }
    if (fabric32 || in.op == Op::kMap || op.vop == VOp::kDfilt) width = 1;
    if (fabric16) {
        op.packed = op.simd != static_cast<int>(Simd::kOff) && !fabric32 && in.op != Op::kMap && op.vop != VOp::kDfilt;
        if (!op.packed) width = 1;
        if (op.packed)
            width =
                std::min(width, op.simd == static_cast<int>(Simd::kSimd32) || op.dst.kind == Source::kFabout ? 2 : 4);
    }
    if (scalar_dest) width = 1;
    if (op.packed) width = std::max(2, width & ~1);
    op.width = width;
    const bool turns = in.op == Op::kVop && readers > 1 && width * source_bytes > arch_.read_bytes;
    op.cost = std::max({cost.beat_cycles, scalar_dest ? arch_.scalar_dest : 1, turns ? readers : 1});
    if (scalar_dest && in.op == Op::kVop && accumulates(op))
        op.cost = std::max(
            op.cost, static_cast<int>(arch_.value(is_float_op(op.vop) ? ArchInt::kLatencyFp : ArchInt::kLatencyAlu)));
    const Operand* memory[3];
    int n = 0;
    for (const Operand* o : {&op.a, &op.b, &op.c})
        if (o->kind == Source::kMem) memory[n++] = o;
    op.conflict_pair = n >= 2 && !turns;
    if (op.conflict_pair) op.first = memory[0], op.second = memory[1];
    op.write_conflict = 0;
    if (op.conflict_pair && op.dst.kind == Source::kMem && op.dst.ndim == 1 && !op.dst.index_offset)
        for (int i = 0; i < n && !op.write_conflict; ++i)
            if (memory[i]->ndim == 1)
                op.write_conflict =
                    arch_.write_conflict(op.dst.base, op.dst.step[0], memory[i]->base, memory[i]->step[0]);

    op.live = true;
    if (async) {
        p.live_uts |= 1u << thread;
        op.next_beat = t + arch_.ut_start;
        p.next_issue = p.next_vector = t + 1;
        mark(t + 1);
        if (length == 0) {  // it has its microthread and its claims until its completion
            op.finished = true;
            p.completions.push_back({t + arch_.completion, thread, set.activate, set.unblock});
        }
    } else {
        op.next_beat = t;
    }
    ++p.pc;
    return length > 0;
}

}  // namespace wafersim
