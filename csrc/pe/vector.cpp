// Vector operations: start, beats, memory conflicts, completion (docs/semantics.md, section 4).
#include <algorithm>
#include <cstring>
#include <numeric>

#include "pe/core.hpp"
#include "pe/values.hpp"

namespace wafersim {
namespace {

int operand_kind(int32_t encoded) { return encoded < 0 ? 0 : encoded >> 24; }

int stride_cap(const Operand& o) {
    const int s = o.step[0] / 2;  // in 16-bit words
    if (s == 0 || s == 1 || (o.elem_bytes == 4 && (s == 2 || s == -2))) return 16;
    switch (((s % 8) + 8) % 8) {
        case 0: return 1;
        case 4: return o.elem_bytes == 4 ? 1 : 2;
        case 1:
        case 7: return 2;
        default: return 16;
    }
}

}  // namespace

void Core::init(Pe& p, uint32_t id, const Tile& tile, uint8_t* sram) const {
    p.id = id;
    p.tile = &tile;
    p.queues = fabric_.queues(id);
    p.sram = sram;
    p.regs.assign(static_cast<size_t>(tile.num_regs), 0);
    p.reg_ready.assign(static_cast<size_t>(tile.num_regs), 0);
    p.slots = tile.dsds;
    p.dsr_first = {0, tile.num_dsrs[0], tile.num_dsrs[0] + tile.num_dsrs[1]};
    p.dsrs.assign(static_cast<size_t>(tile.num_dsrs[0] + tile.num_dsrs[1] + tile.num_dsrs[2]), Dsd{});
    p.dsr_ready.assign(p.dsrs.size(), 0);
    for (const auto& init : tile.dsr_init) {
        Dsd& d = p.dsrs[static_cast<size_t>(p.dsr_first[static_cast<size_t>(init.dsr / 32)] + init.dsr % 32)];
        d = tile.dsds[static_cast<size_t>(init.dsd)];
        d.settings = init.settings;
    }
    p.fifos.assign(tile.fifos.size(), FifoState{});
    p.last_pick.assign(tile.tasks.size(), -1);
    for (size_t i = 0; i < tile.tasks.size(); ++i) {
        if (tile.tasks[i].active && tile.tasks[i].kind == TaskKind::kLocal) p.active |= UINT64_C(1) << i;
        if (tile.tasks[i].blocked) p.blocked |= UINT64_C(1) << i;
    }
    const PeCoord at = fabric_.coord(id);
    uint64_t z = seed_ * UINT64_C(0x9e3779b97f4a7c15) + (static_cast<uint64_t>(at.y) << 32) + static_cast<uint64_t>(at.x);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    p.random = (0xdeadbeefu ^ static_cast<uint32_t>(z)) & 0x7fffff;
    if (!p.random) p.random = 1;
}

uint32_t Core::read_sram(const Pe& p, int32_t address, int bytes) const {
    if (address < 0 || address + bytes > arch_.sram_bytes) return 0;
    if (bytes == 2) {
        uint16_t v;
        std::memcpy(&v, p.sram + address, 2);
        return v;
    }
    uint32_t v;
    std::memcpy(&v, p.sram + address, 4);
    return v;
}

void Core::write_sram(Pe& p, int32_t address, int bytes, uint32_t value) const {
    if (address < 0 || address + bytes > arch_.sram_bytes) return;
    std::memcpy(p.sram + address, &value, static_cast<size_t>(bytes));
}

const Dsd* Core::dsr_of(const Pe& p, int32_t encoded) const {
    if (operand_kind(encoded) != static_cast<int>(OperandKind::kDsr)) return nullptr;
    const int dsr = encoded & 0xffffff;
    return &p.dsrs[static_cast<size_t>(p.dsr_first[static_cast<size_t>(dsr / 32)] + dsr % 32)];
}

Settings Core::effective_settings(const Pe& p, const Instr& in) const {
    if (in.settings >= 0) return program_.settings[static_cast<size_t>(in.settings)];
    for (const int32_t encoded : {in.dst, in.a, in.b})
        if (const Dsd* d = dsr_of(p, encoded); d && d->settings >= 0) return program_.settings[static_cast<size_t>(d->settings)];
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
    if (number >= 0) return number < arch_.num_uts ? number : 0;
    for (int ut = 0; ut < arch_.num_uts; ++ut)
        if (!(p.live_uts >> ut & 1)) return ut;
    return 0;
}

// True while a live op holds a queue, FIFO end or microthread that this instruction needs.
bool Core::claimed(Pe& p, const Instr& in, bool& queue_clash) {
    if (!p.live_uts) return false;
    uint32_t iq = 0, oq = 0;
    uint64_t push = 0, pop = 0;
    for (uint32_t rest = p.live_uts; rest; rest &= rest - 1) {
        const LiveOp& op = *p.op(std::countr_zero(rest));
        iq |= op.iq_claims;
        oq |= op.oq_claims;
        push |= op.fifo_push;
        pop |= op.fifo_pop;
    }
    for (const int32_t encoded : {in.a, in.b}) {
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
    return set.async && (p.live_uts >> microthread_of(p, in, set) & 1);
}

namespace {

// Lowest and highest byte that a memory descriptor touches over `length` elements.
void memory_range(const Dsd& d, int64_t length, int64_t& low, int64_t& high) {
    int64_t inner = 1;
    for (int i = 0; i + 1 < d.ndim; ++i) inner *= std::max(d.ext[static_cast<size_t>(i)], 1);
    const int64_t outer = inner > 0 ? (length + inner - 1) / inner : length;
    low = high = d.base;
    for (int i = 0; i < d.ndim; ++i) {
        const bool last = i + 1 == d.ndim;
        const int64_t extent = last ? outer : std::min<int64_t>(d.ext[static_cast<size_t>(i)], length);
        const int64_t reach = (extent - 1) * d.stride[static_cast<size_t>(i)] * d.elem_bytes;
        (reach < 0 ? low : high) += reach;
    }
    high += d.elem_bytes;
}

}  // namespace

Cycle Core::raw_until(const Pe& p, const Instr& in, Cycle t) const {
    Cycle until = 0;
    for (const auto& recent : p.recent) {
        if (recent.start + arch_.vector_raw <= t) continue;
        for (const int32_t encoded : {in.a, in.b}) {
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
            return o;
        case OperandKind::kImm:
            o.kind = Source::kImm;
            o.imm = static_cast<uint32_t>(in.imm2);
            return o;
        case OperandKind::kDsr: break;
        default: return o;
    }
    const Dsd& d = *dsr_of(p, encoded);
    o.dsr = static_cast<int16_t>(encoded & 0xffffff);
    o.elem_bytes = static_cast<uint8_t>(d.elem_bytes);
    o.queue = static_cast<int16_t>(d.queue);
    o.color = static_cast<int16_t>(d.color);
    o.fifo = static_cast<int16_t>(d.fifo);
    o.control = d.control;
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
        case DsdKind::kFabin: o.kind = Source::kFabin; break;
        case DsdKind::kFabout: o.kind = Source::kFabout; break;
        case DsdKind::kFifo: o.kind = Source::kFifo; break;
        default: break;
    }
    return o;
}

bool Core::settle_range(Pe& p, Operand& o, int64_t length, Cycle t, int line) {
    if (o.kind != Source::kMem) return true;
    const Dsd& d = p.dsrs[static_cast<size_t>(p.dsr_first[static_cast<size_t>(o.dsr / 32)] + o.dsr % 32)];
    int64_t low, high;
    memory_range(d, o.index_offset ? 1 : length, low, high);
    if (low < 0 || high > arch_.sram_bytes || d.base % 2) {
        fail(p, t, "a vector operand covers bytes " + std::to_string(low) + " to " + std::to_string(high) + "; SRAM has " + std::to_string(arch_.sram_bytes) + " bytes and addresses are even", -1, line);
        p.dead = true;
        return false;
    }
    o.low = static_cast<int32_t>(low);
    o.high = static_cast<int32_t>(high);
    return true;
}

bool Core::start_op(Pe& p, const Instr& in, Cycle t) {
    const Settings set = effective_settings(p, in);
    const int64_t length = vector_length(p, in);
    p.clash_counted = false;
    ++p.count(Event::kVectorOps);
    if (length == 0) {
        if (set.activate >= 0 || set.unblock >= 0) p.completions.push_back({t + arch_.completion, -1, set.activate, set.unblock});
        p.next_issue = p.next_vector = t + 1;
        mark(t + 1);
        ++p.pc;
        return false;
    }
    const bool async = set.async && in.op != Op::kMap;
    if (p.main_op_live() && !async) {
        fail(p, t, "a vector operation starts inside a MAP callback", -1, in.line);
        p.dead = true;
        return false;
    }
    for (const int32_t encoded : {in.dst, in.a, in.b, in.c}) {
        if (operand_kind(encoded) != static_cast<int>(OperandKind::kPtr)) continue;
        const int address = static_cast<uint16_t>(p.regs[static_cast<size_t>(encoded & 0xffffff)]);
        if (address % 2 == 0 && address + 4 <= arch_.sram_bytes) continue;
        fail(p, t, "a scalar operand at address " + std::to_string(address) + " is misaligned or outside SRAM", -1, in.line);
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
    op.synchronous = !async;
    op.length = length;
    op.endless = length == kEndless;
    op.set = set;
    op.line = in.line;
    op.task = p.task;
    op.function = p.launched_function();
    op.ok_reg = in.op == Op::kVop ? in.aux : -1;
    op.dst = make_operand(p, in, in.dst);
    op.a = make_operand(p, in, in.a);
    op.b = make_operand(p, in, in.b);
    op.c = make_operand(p, in, in.c);
    if (in.op == Op::kVop && kVopShape[in.type].num_sources == 1 && op.a.kind == Source::kNone) std::swap(op.a, op.b);
    if (set.index_reg >= 0) op.index = static_cast<uint32_t>(p.regs[static_cast<size_t>(set.index_reg)] & 0xffff);
    for (Operand* o : {&op.dst, &op.a, &op.b, &op.c})
        if (!settle_range(p, *o, length, t, in.line)) return false;

    if (in.op == Op::kMap) {
        op.map_entry = in.imm;
        op.map_arg = in.imm2;
        op.map_result = in.aux;
        op.map_depth = p.calls.size();
        op.map_return = p.pc + 1;
    }
    // Claims, priority.
    int queue_priority = -1;
    auto claim = [&](const Operand& o, bool source) {
        if (o.kind == Source::kFabin && source) {
            op.iq_claims |= static_cast<uint8_t>(1u << o.queue);
            const InputQueue& q = p.queues->iq[static_cast<size_t>(o.queue)];
            if (queue_priority < 0) queue_priority = q.priority >= 0 ? q.priority : q.initialised && arch_.generation == 2 ? static_cast<int>(Priority::kUtHigh) : -1;
        }
        if (o.kind == Source::kFabout && !source) {
            op.oq_claims |= static_cast<uint8_t>(1u << o.queue);
            const OutputQueue& q = p.queues->oq[static_cast<size_t>(o.queue)];
            queue_priority = q.priority >= 0 ? q.priority : q.initialised && arch_.generation == 2 ? static_cast<int>(Priority::kUtHigh) : -1;
        }
        if (o.kind == Source::kFifo) (source ? op.fifo_pop : op.fifo_push) |= UINT64_C(1) << o.fifo;
    };
    claim(op.dst, false);
    claim(op.a, true);
    claim(op.b, true);
    claim(op.c, true);
    op.priority = set.priority >= 0 ? set.priority : queue_priority >= 0 ? queue_priority : static_cast<int>(Priority::kUtLow);

    // Width of a beat by rules 1-4, 6 and 8; the others depend on the moment.
    const VopCost& cost = arch_.vop[static_cast<int>(op.vop)];
    const bool scalar_dest = op.dst.kind == Source::kReg || op.dst.kind == Source::kPtr;
    int width = cost.simd;
    int source_bytes = 0;
    bool fabric16 = false, fabric32 = false;
    op.simd = set.simd >= 0 ? set.simd : arch_.default_simd;
    for (const Operand* o : {&op.a, &op.b, &op.c})
        if (o->is_memory()) source_bytes += o->elem_bytes;
    if (source_bytes) width = std::min(width, std::max(1, arch_.read_bytes / source_bytes));
    for (const Operand* o : {&op.dst, &op.a, &op.b, &op.c}) {
        if (o->kind == Source::kMem) width = std::min(width, stride_cap(*o));
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
        if (op.packed) width = std::min(width, op.simd == static_cast<int>(Simd::kSimd32) || op.dst.kind == Source::kFabout ? 2 : 4);
    }
    if (scalar_dest) width = 1;
    if (op.packed) width = std::max(2, width & ~1);
    op.width = width;
    op.cost = std::max(cost.beat_cycles, scalar_dest ? arch_.scalar_dest : 1);
    const Operand* memory[3];
    int n = 0;
    for (const Operand* o : {&op.a, &op.b, &op.c})
        if (o->kind == Source::kMem) memory[n++] = o;
    op.conflict_pair = n >= 2;
    if (n >= 2) op.first = memory[0], op.second = memory[1];

    op.live = true;
    if (async) {
        p.live_uts |= 1u << thread;
        op.next_beat = t + arch_.ut_start;
        p.next_issue = p.next_vector = t + 1;
        mark(t + 1);
    } else {
        op.next_beat = t;
    }
    ++p.pc;
    return true;
}

void Core::advance(Operand& o) const {
    if (++o.index[0] < o.ext[0] || o.ndim == 1) {
        o.addr += o.step[0];
        return;
    }
    o.index[0] = 0;
    for (size_t i = 1; i < o.ndim; ++i) {
        if (++o.index[i] < o.ext[i] || i + 1 == o.ndim) break;
        o.index[i] = 0;
    }
    o.addr = o.base;
    for (size_t i = 0; i < o.ndim; ++i) o.addr += o.index[i] * o.step[i];
}

void Core::push_fifo(Pe& p, int fifo, uint32_t value) {
    const Fifo& f = p.tile->fifos[static_cast<size_t>(fifo)];
    FifoState& s = p.fifos[static_cast<size_t>(fifo)];
    const int32_t at = (s.head + s.count) % f.capacity;
    write_sram(p, f.base + at * f.elem_bytes, f.elem_bytes, value);
    ++s.count;
    if (s.armed_push) {
        s.armed_push = false;
        activate(p, f.activate_push);
    }
}

uint32_t Core::pop_fifo(Pe& p, int fifo) {
    const Fifo& f = p.tile->fifos[static_cast<size_t>(fifo)];
    FifoState& s = p.fifos[static_cast<size_t>(fifo)];
    const uint32_t value = read_sram(p, f.base + s.head * f.elem_bytes, f.elem_bytes);
    s.head = (s.head + 1) % f.capacity;
    --s.count;
    if (s.armed_pop) {
        s.armed_pop = false;
        activate(p, f.activate_pop);
    }
    return value;
}

// Can the op issue a beat in cycle t >= next_beat, and of how many elements?
Core::Beat Core::check_beat(Pe& p, LiveOp& op, Cycle t, bool arm) {
    Beat beat;
    if (op.finished) return beat;
    if (op.op == Op::kMap && op.map_phase == 2) {
        if (op.dst.kind == Source::kFabout && !fabric_.oq_has_space(*p.queues, op.dst.queue)) {
            p.queues->oq[static_cast<size_t>(op.dst.queue)].pe_waits = true;
            beat.lacks_output = true;
            return beat;
        }
        if (op.dst.kind == Source::kFifo && p.fifos[static_cast<size_t>(op.dst.fifo)].count >= p.tile->fifos[static_cast<size_t>(op.dst.fifo)].capacity) {
            beat.lacks_output = true;
            return beat;
        }
        beat.elements = 1;
        return beat;
    }
    const bool dfilt = op.op == Op::kVop && op.vop == VOp::kDfilt;
    const int64_t remaining = op.endless ? kEndless : op.length - op.done;
    int64_t n = std::min<int64_t>(op.width, remaining);
    const int per_wavelet = op.packed ? 2 : 1;
    if (!op.packed)
        for (const Operand* o : {&op.dst, &op.a, &op.b, &op.c})
            if (o->kind == Source::kMem && o->ndim > 1) n = std::min<int64_t>(n, o->ext[0] - o->index[0]);
    for (const Operand* o : {&op.a, &op.b, &op.c}) {
        if (o->kind == Source::kFabin) {
            const InputQueue& iq = p.queues->iq[static_cast<size_t>(o->queue)];
            if (!iq.ring.visible(t)) {
                beat.lacks_input = true;
                continue;
            }
            if (dfilt) continue;
            if (iq.ring.front().control()) {
                if (op.set.on_control != OnControl::kNone) {
                    beat.elements = -1;
                    return beat;
                }
                beat.lacks_input = true;
                continue;
            }
            if (!op.packed) continue;
            const bool second = iq.ring.count() > 1 && iq.ring.at(1).ready <= t && !iq.ring.at(1).control();
            const auto mode = static_cast<Simd>(op.simd);
            if (mode == Simd::kSimd64 && remaining > 2 && !second) beat.lacks_input = true;
            if (!second) n = std::min<int64_t>(n, per_wavelet);
        } else if (o->kind == Source::kFifo) {
            FifoState& f = p.fifos[static_cast<size_t>(o->fifo)];
            const int64_t need = op.packed ? std::min<int64_t>(2, remaining) : 1;
            if (f.count < need) {
                if (f.count == 0 && arm) f.armed_push = true;
                beat.lacks_input = true;
                if (op.synchronous) beat.elements = -2;
            } else {
                n = std::min<int64_t>(n, f.count);
            }
        }
    }
    if (op.dst.kind == Source::kFabout && !fabric_.oq_has_space(*p.queues, op.dst.queue)) {
        p.queues->oq[static_cast<size_t>(op.dst.queue)].pe_waits = true;
        beat.lacks_output = true;
    } else if (op.dst.kind == Source::kFifo) {
        FifoState& f = p.fifos[static_cast<size_t>(op.dst.fifo)];
        const int32_t room = p.tile->fifos[static_cast<size_t>(op.dst.fifo)].capacity - f.count;
        const int64_t need = op.packed ? std::min<int64_t>(2, remaining) : 1;
        if (room < need) {
            if (room == 0 && arm) f.armed_pop = true;
            beat.lacks_output = true;
            if (op.synchronous) beat.elements = -2;
        } else {
            n = std::min<int64_t>(n, room);
        }
    }
    if (beat.lacks_input || beat.lacks_output) return beat;
    if (op.packed && n > 1 && n < remaining) n &= ~INT64_C(1);
    beat.elements = static_cast<int>(n);
    return beat;
}

uint32_t Core::fetch(Pe& p, Operand& o, uint32_t fabric_value) {
    switch (o.kind) {
        case Source::kMem: {
            const uint32_t v = read_sram(p, o.addr, o.elem_bytes);
            p.count(Event::kSramReadBytes) += o.elem_bytes;
            advance(o);
            return v;
        }
        case Source::kFabin: return fabric_value;
        case Source::kFifo: p.count(Event::kSramReadBytes) += o.elem_bytes; return pop_fifo(p, o.fifo);
        case Source::kReg: return static_cast<uint32_t>(p.regs[static_cast<size_t>(o.reg)]);
        case Source::kPtr: return read_sram(p, static_cast<uint16_t>(p.regs[static_cast<size_t>(o.reg)]), 4);
        case Source::kImm: return o.imm;
        default: return 0;
    }
}

void Core::store(Pe& p, LiveOp& op, Operand& o, uint32_t value, Cycle t) {
    const int bytes = op.op == Op::kVop ? kVopShape[static_cast<int>(op.vop)].dst_bytes : 4;
    switch (o.kind) {
        case Source::kMem:
            write_sram(p, o.addr, o.elem_bytes, value);
            p.count(Event::kSramWriteBytes) += o.elem_bytes;
            advance(o);
            break;
        case Source::kFifo: p.count(Event::kSramWriteBytes) += o.elem_bytes; push_fifo(p, o.fifo, value); break;
        case Source::kReg:
            p.regs[static_cast<size_t>(o.reg)] = value;
            p.reg_ready[static_cast<size_t>(o.reg)] = t;
            break;
        case Source::kPtr: write_sram(p, static_cast<uint16_t>(p.regs[static_cast<size_t>(o.reg)]), bytes, value); break;
        default: break;
    }
}

int Core::issue_beat(Pe& p, LiveOp& op, const Beat& beat, Cycle t) {
    auto busy = [&](int cycles) {
        const Counter kind = op.dst.kind == Source::kFabout                                                                     ? Counter::kBusySend
                             : op.a.kind == Source::kFabin || op.b.kind == Source::kFabin || op.c.kind == Source::kFabin ? Counter::kBusyReceive
                                                                                                                         : Counter::kBusyVector;
        p.counters[static_cast<size_t>(kind)] += cycles;
        p.tail_kind = static_cast<int>(kind);
    };
    auto first_beat = [&] {
        if (op.start >= 0) return;
        op.start = t;
        if (op.synchronous && op.dst.kind == Source::kMem) {
            p.recent[static_cast<size_t>(p.recent_next)] = {t, op.dst.low, op.dst.high};
            p.recent_next = (p.recent_next + 1) & 15;
        }
    };
    if (beat.elements == -2) {  // a synchronous op meets an empty or full FIFO: it ends here
        ++p.counters[static_cast<size_t>(Counter::kBusyScalar)];
        if (op.ok_reg >= 0) p.regs[static_cast<size_t>(op.ok_reg)] = 0, p.reg_ready[static_cast<size_t>(op.ok_reg)] = t + 1, op.ok_reg = -1;
        finish_op(p, op, t, 1);
        return 1;
    }
    first_beat();
    if (op.op == Op::kMap) {
        busy(1);
        op.map_phase == 0 ? map_read(p, op, t) : map_write(p, op, t);
        return 1;
    }
    ++op.beats;
    if (beat.elements == -1 || op.vop == VOp::kDfilt) {
        bool terminate = false;
        for (const Operand* o : {&op.a, &op.b, &op.c}) {
            if (o->kind != Source::kFabin) continue;
            const InputQueue& iq = p.queues->iq[static_cast<size_t>(o->queue)];
            if (beat.elements == -1 && !iq.ring.front().control()) continue;
            const Wavelet w = fabric_.pop_iq(p.id, *p.queues, o->queue, t);
            if (op.vop == VOp::kDfilt && op.op == Op::kVop) {
                if (w.control()) ++op.done;
                terminate = op.done >= op.length && !op.endless;
            } else if (op.set.on_control == OnControl::kTerminate) {
                terminate = true;
            } else if (op.set.on_control == OnControl::kActivate) {
                activate(p, op.set.on_control_task);
            } else {
                set_blocked(p, BlockSpace::kTask, op.set.on_control_task, false);
            }
            break;
        }
        if (beat.elements == -1) ++p.counters[static_cast<size_t>(Counter::kBusyScalar)];
        else busy(1);
        op.next_beat = t + 1;
        if (terminate) finish_op(p, op, t, 1);
        return 1;
    }
    int conflict = 0;
    if (op.conflict_pair) {
        const int period = arch_.conflict_period_words;
        const int distance = (op.first->addr >> 2) - (op.second->addr >> 2);
        if (((distance % period) + period) % period == arch_.conflict_class_words) conflict = arch_.conflict_cycles;
    }
    // Wavelets of the sources, unpacked.
    const int n = beat.elements;
    uint32_t incoming[3][4] = {};
    uint32_t index = 0;
    Operand* sources[3] = {&op.a, &op.b, &op.c};
    for (int s = 0; s < 3; ++s) {
        if (sources[s]->kind != Source::kFabin) continue;
        for (int k = 0; k < n; k += op.packed ? 2 : 1) {
            const uint32_t payload = fabric_.pop_iq(p.id, *p.queues, sources[s]->queue, t).payload;
            index = payload >> 16;
            if (sources[s]->elem_bytes == 4) {
                incoming[s][k] = payload;
            } else {
                incoming[s][k] = payload & 0xffff;
                if (op.packed && k + 1 < 4) incoming[s][k + 1] = payload >> 16;
            }
        }
    }
    uint32_t outgoing = 0;
    for (int k = 0; k < n; ++k) {
        const uint32_t a = fetch(p, op.a, incoming[0][k]), b = fetch(p, op.b, incoming[1][k]), c = fetch(p, op.c, incoming[2][k]);
        const uint32_t value = vector_element(op.vop, a, b, c, op.carry);
        if (op.dst.kind == Source::kFabout) {
            outgoing |= k ? value << 16 : value;
        } else if (op.dst.kind == Source::kMem && op.dst.index_offset) {
            const int64_t address = op.dst.addr + static_cast<int64_t>(index) * op.dst.elem_bytes;
            if (address + op.dst.elem_bytes > arch_.sram_bytes) {
                fail(p, t, "wavelet index " + std::to_string(index) + " puts an element at address " + std::to_string(address) + ", outside SRAM", -1, op.line);
                p.dead = true;
                return 1;
            }
            write_sram(p, static_cast<int32_t>(address), op.dst.elem_bytes, value);
            p.count(Event::kSramWriteBytes) += op.dst.elem_bytes;
            advance(op.dst);
        } else {
            store(p, op, op.dst, value, t + op.cost + conflict);
        }
    }
    op.done += n;
    p.count(Event::kVectorElements) += n;
    const bool last = !op.endless && op.done >= op.length;
    if (op.dst.kind == Source::kFabout) {
        if (op.dst.elem_bytes == 2 && !op.packed) outgoing = (outgoing & 0xffff) | op.index << 16;
        const int bound = p.queues->oq[static_cast<size_t>(op.dst.queue)].color;
        Wavelet w;
        w.payload = outgoing;
        w.color = static_cast<uint8_t>(op.dst.color >= 0 ? op.dst.color : bound >= 0 ? bound : 0);
        w.flags = static_cast<uint8_t>((op.dst.control ? kFlagControl : 0) |
                                       (last && (op.dst.advance_switch || op.set.advance_switch) ? kFlagAdvance : 0));
        fabric_.push_oq(p.id, *p.queues, op.dst.queue, w, t);
    }
    busy(op.cost);
    p.tail_conflict = conflict;
    if (conflict) {
        p.counters[static_cast<size_t>(Counter::kStallBank)] += conflict;
        ++p.count(Event::kBankConflicts);
    }
    const int cost = op.cost + conflict;
    const VopCost& rate = arch_.vop[static_cast<int>(op.vop)];
    op.next_beat = std::max(t + cost, op.start + op.beats * rate.pace_num / rate.pace_den);
    if (last) finish_op(p, op, t, cost);
    return cost;
}

// Beats of an op on memory alone, issued one after the other up to `limit`; true when the op is complete.
bool Core::bulk_beats(Pe& p, LiveOp& op, Cycle limit) {
    const VopCost& rate = arch_.vop[static_cast<int>(op.vop)];
    while (op.live) {
        const Cycle at = std::max(op.next_beat, p.slot_free);
        if (at >= limit) return false;
        p.plan_before = p.plan_after = static_cast<int>(Counter::kStallPace);
        account(p, at);
        // A whole 1-D fmacs in one go: the conflict is the same in every beat when the strides agree.
        const Operand &d = op.dst, &a = op.a, &b = op.b;
        if (op.vop == VOp::kFmacs && op.done == 0 && op.width == 1 && d.kind == Source::kMem && a.kind == Source::kMem && b.kind == Source::kMem && d.ndim == 1 &&
            a.ndim == 1 && b.ndim == 1 && a.step[0] == b.step[0] && d.step[0] == a.step[0] && d.base == a.base && !d.index_offset &&
            (op.c.kind == Source::kReg || op.c.kind == Source::kImm) && (b.high <= d.low || d.high <= b.low) && a.base % 4 == 0 && b.base % 4 == 0 && a.step[0] % 4 == 0 && a.step[0] != 0) {
            const int period = arch_.conflict_period_words;
            const int distance = (a.base >> 2) - (b.base >> 2);
            const int conflict = ((distance % period) + period) % period == arch_.conflict_class_words ? arch_.conflict_cycles : 0;
            const int64_t cost = op.cost + conflict, n = op.length;
            const bool paced = static_cast<int64_t>(rate.pace_num) > cost * rate.pace_den;
            const Cycle last = paced ? at + (n - 1) * rate.pace_num / rate.pace_den : at + (n - 1) * cost;
            const bool uniform = paced || cost * rate.pace_den >= rate.pace_num;
            if (uniform && last + cost <= limit) {
                fmacs_loop(reinterpret_cast<float*>(p.sram + d.base), reinterpret_cast<const float*>(p.sram + a.base),
                           reinterpret_cast<const float*>(p.sram + b.base),
                           std::bit_cast<float>(fetch(p, op.c, 0)), n, d.step[0] / 4, a.step[0] / 4, b.step[0] / 4);
                p.recent[static_cast<size_t>(p.recent_next)] = {at, d.low, d.high};
                p.recent_next = (p.recent_next + 1) & 15;
                op.start = at;
                op.beats = op.done = n;
                p.counters[static_cast<size_t>(Counter::kBusyVector)] += n * op.cost;
                p.counters[static_cast<size_t>(Counter::kStallBank)] += n * conflict;
                p.counters[static_cast<size_t>(Counter::kStallPace)] += last + cost - at - n * cost;
                if (conflict) p.count(Event::kBankConflicts) += n;
                p.count(Event::kVectorElements) += n;
                p.count(Event::kSramReadBytes) += 8 * n;
                p.count(Event::kSramWriteBytes) += 4 * n;
                for (Operand* o : {&op.dst, &op.a, &op.b}) o->addr += static_cast<int32_t>(n) * o->step[0];
                p.last_issue = op.last_issue = last;
                p.slot_free = p.accounted = last + cost;
                mark(last + cost);
                finish_op(p, op, last, static_cast<int>(cost));
                return true;
            }
        }
        const Beat beat = check_beat(p, op, at, true);
        p.last_issue = op.last_issue = at;
        const int cost = issue_beat(p, op, beat, at);
        p.slot_free = p.accounted = at + cost;
        mark(at + cost);
        if (p.dead) return false;
    }
    return true;
}

void Core::finish_op(Pe& p, LiveOp& op, Cycle t, int cost) {
    if (op.ok_reg >= 0) {
        p.regs[static_cast<size_t>(op.ok_reg)] = 1;
        p.reg_ready[static_cast<size_t>(op.ok_reg)] = t + cost;
    }
    if (op.set.save_address) {
        for (const Operand* o : {&op.dst, &op.a, &op.b})
            if (o->kind == Source::kMem && o->ndim == 1)
                p.dsrs[static_cast<size_t>(p.dsr_first[static_cast<size_t>(o->dsr / 32)] + o->dsr % 32)].base = (o->base + static_cast<int32_t>(op.done) * o->step[0]) & 0xffff;
    }
    const bool synchronous = op.synchronous;
    op.finished = true;
    if (synchronous) {
        op.live = false;
        p.next_vector = t + cost;
        p.next_issue = t + cost - 1 + arch_.vector_drain;
        mark(t + cost);
    }
    if (!synchronous || op.set.activate >= 0 || op.set.unblock >= 0)
        p.completions.push_back({t + cost - 1 + arch_.completion, synchronous ? -1 : op.thread, op.set.activate, op.set.unblock});
}

// MAP: element k is read, its callback runs on the main thread, its result is written.
void Core::map_read(Pe& p, LiveOp& op, Cycle t) {
    int argument = op.map_arg;
    for (Operand* o : {&op.a, &op.b}) {
        if (!o->is_vector()) continue;
        uint32_t incoming = 0;
        if (o->kind == Source::kFabin) {
            incoming = fabric_.pop_iq(p.id, *p.queues, o->queue, t).payload;
            if (o->elem_bytes == 2) incoming &= 0xffff;
        }
        p.regs[static_cast<size_t>(argument)] = fetch(p, *o, incoming);
        p.reg_ready[static_cast<size_t>(argument)] = t + 1;
        ++argument;
    }
    op.map_phase = 1;
    p.pc = op.map_entry;
    p.next_issue = p.next_vector = t + arch_.map_call;
    mark(p.next_issue);
}

void Core::map_write(Pe& p, LiveOp& op, Cycle t) {
    const auto value = static_cast<uint32_t>(p.regs[static_cast<size_t>(op.map_result)]);
    if (op.dst.kind == Source::kFabout) {
        Wavelet w;
        w.payload = op.dst.elem_bytes == 2 ? (value & 0xffff) | op.index << 16 : value;
        const int bound = p.queues->oq[static_cast<size_t>(op.dst.queue)].color;
        w.color = static_cast<uint8_t>(op.dst.color >= 0 ? op.dst.color : bound >= 0 ? bound : 0);
        w.flags = op.dst.control ? kFlagControl : 0;
        fabric_.push_oq(p.id, *p.queues, op.dst.queue, w, t);
    } else if (op.dst.kind != Source::kNone) {
        store(p, op, op.dst, value, t + 1);
    }
    ++op.done;
    ++op.beats;
    ++p.count(Event::kVectorElements);
    op.map_phase = 0;
    op.next_beat = t + 1;
    p.pc = op.map_return;
    if (op.done >= op.length && !op.endless) {
        finish_op(p, op, t, 1);
    }
}

}  // namespace wafersim
