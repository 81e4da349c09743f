// Beats of running vector operations, completion, MAP (docs/semantics.md, sections 4.2 to 4.6).
#include <algorithm>
#include <bit>
#include <cstring>

#include "pe/control_words.hpp"
#include "pe/core.hpp"
#include "pe/values.hpp"

namespace wafersim {

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
        if (op.dst.kind == Source::kFifo && p.fifos[static_cast<size_t>(op.dst.fifo)].count >=
                                                p.tile->fifos[static_cast<size_t>(op.dst.fifo)].capacity) {
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
            if (!is_data(*p.tile, op.set.on_control, iq.ring.front())) {
                if (op.set.on_control != OnControl::kNone) {
                    beat.elements = -1;
                    return beat;
                }
                beat.lacks_input = true;
                continue;
            }
            if (!op.packed) continue;
            const bool second =
                iq.ring.count() > 1 && iq.ring.at(1).ready <= t && is_data(*p.tile, op.set.on_control, iq.ring.at(1));
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
            o.advance();
            return v;
        }
        case Source::kFabin:
            return fabric_value;
        case Source::kFifo:
            p.count(Event::kSramReadBytes) += o.elem_bytes;
            return pop_fifo(p, o.fifo);
        case Source::kReg:
            return static_cast<uint32_t>(p.regs[static_cast<size_t>(o.reg)]);
        case Source::kPtr:
            return read_sram(p, o.addr, o.elem_bytes);
        case Source::kImm:
            return o.imm;
        default:
            return 0;
    }
}

void Core::store(Pe& p, Operand& o, uint32_t value, Cycle t) {
    switch (o.kind) {
        case Source::kMem:
            write_sram(p, o.addr, o.elem_bytes, value);
            p.count(Event::kSramWriteBytes) += o.elem_bytes;
            o.advance();
            break;
        case Source::kFifo:
            p.count(Event::kSramWriteBytes) += o.elem_bytes;
            push_fifo(p, o.fifo, value);
            break;
        case Source::kReg:
            p.regs[static_cast<size_t>(o.reg)] = value;
            p.reg_ready[static_cast<size_t>(o.reg)] = t;
            break;
        case Source::kPtr:
            write_sram(p, o.addr, o.elem_bytes, value);
            break;
        default:
            break;
    }
}

int Core::issue_beat(Pe& p, LiveOp& op, const Beat& beat, Cycle t) {
    auto busy = [&](int cycles) {
        const bool map = op.op == Op::kMap;  // its read beats have no destination, its write beats no source
        const bool sends = op.dst.kind == Source::kFabout && (!map || op.map_phase == 2);
        const bool receives =
            (op.a.kind == Source::kFabin || op.b.kind == Source::kFabin || op.c.kind == Source::kFabin) &&
            (!map || op.map_phase == 0);
        const Counter kind = sends ? Counter::kBusySend : receives ? Counter::kBusyReceive : Counter::kBusyVector;
        p.counters[static_cast<size_t>(kind)] += cycles;
        p.tail_kind = static_cast<int>(kind);
    };
    auto first_beat = [&] {
        if (op.start >= 0) return;
        op.start = t;
        if (op.synchronous && op.dst.kind == Source::kMem) {
            p.note_write(t, op.dst.low, op.dst.high);
        }
    };
    if (beat.elements == -2) {  // a synchronous op meets an empty or full FIFO: it ends here
        ++p.counters[static_cast<size_t>(Counter::kBusyScalar)];
        if (op.ok_reg >= 0)
            p.regs[static_cast<size_t>(op.ok_reg)] = 0, p.reg_ready[static_cast<size_t>(op.ok_reg)] = t + 1,
            op.ok_reg = -1;
        finish_op(p, op, t, 1);
        return 1;
    }
    if (op.op == Op::kMap) {
        first_beat();
        busy(1);
        op.map_phase == 0 ? map_read(p, op, t) : map_write(p, op, t);
        return 1;
    }
    if (op.op != Op::kMap) {
        first_beat();
        ++op.beats;
    }
    if (op.op == Op::kVop && (beat.elements == -1 || op.vop == VOp::kDfilt)) {
        bool terminate = false;
        for (const Operand* o : {&op.a, &op.b, &op.c}) {
            if (o->kind != Source::kFabin) continue;
            const InputQueue& iq = p.queues->iq[static_cast<size_t>(o->queue)];
            if (beat.elements == -1 && !iq.ring.front().control()) continue;
            const Wavelet w = fabric_.pop_iq(p.id, *p.queues, o->queue, t);
            if (op.vop == VOp::kDfilt && op.op == Op::kVop) {
                if (w.control()) ++op.done;
                terminate = op.done >= op.length && !op.endless;
            } else {
                terminate = true;
                if (op.set.on_control == OnControl::kActivate) activate(p, op.set.on_control_task);
                if (op.set.on_control == OnControl::kUnblock)
                    set_blocked(p, BlockSpace::kTask, op.set.on_control_task, false);
            }
            break;
        }
        if (beat.elements == -1)
            ++p.counters[static_cast<size_t>(Counter::kBusyScalar)];
        else
            busy(1);
        op.next_beat = t + 1;
        if (terminate) finish_op(p, op, t, 1);
        return 1;
    }
    int conflict = op.write_conflict;
    if (op.conflict_pair) conflict += arch_.read_conflict(op.first->addr, op.second->addr);
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
        const int w = k & 3;  // a beat with a fabric source has 4 elements at most; others have nothing incoming
        const uint32_t a = fetch(p, op.a, incoming[0][w]), b = fetch(p, op.b, incoming[1][w]),
                       c = fetch(p, op.c, incoming[2][w]);
        const uint32_t value = vector_element(op.vop, a, b, c, op.carry);
        if (op.dst.kind == Source::kFabout) {
            outgoing |= k ? value << 16 : value;
        } else if (op.dst.kind == Source::kMem && op.dst.index_offset) {
            const int64_t address = op.dst.addr + static_cast<int64_t>(index) * op.dst.elem_bytes;
            if (address < 0 || address % 2 || address + op.dst.elem_bytes > arch_.sram_bytes) {
                fail(p, t,
                     "wavelet index " + std::to_string(index) + " puts an element at address " +
                         std::to_string(address) + ", which is odd or outside SRAM",
                     -1, op.line);
                p.dead = true;
                return 1;
            }
            write_sram(p, static_cast<int32_t>(address), op.dst.elem_bytes, value);
            p.count(Event::kSramWriteBytes) += op.dst.elem_bytes;
            op.dst.advance();
        } else {
            store(p, op.dst, value, t);
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
        if (kTraceable && p.traced) [[unlikely]]
            trace_stretch(p, t + op.cost, t + op.cost + conflict, Counter::kStallBank);
    }
    const int cost = op.cost + conflict;
    const VopCost& rate = arch_.vop[static_cast<int>(op.vop)];
    bool fabric = false;  // the pace is one of memory: streams are paced at the ramp
    for (const Operand* o : {&op.dst, &op.a, &op.b, &op.c})
        fabric |= o->kind == Source::kFabin || o->kind == Source::kFabout;
    const Cycle paced = fabric ? 0 : op.start + op.beats * rate.pace_num / rate.pace_den;
    op.next_beat = std::max(t + cost, paced);
    if (last) finish_op(p, op, t, cost);
    return cost;
}

// Beats of an op on memory alone, issued one after the other up to `limit`; true when the op is complete.
bool Core::bulk_beats(Pe& p, LiveOp& op, Cycle limit) {
    while (op.live) {
        const Cycle at = std::max(op.next_beat, p.slot_free);
        if (at >= limit) return false;
        book(p, Counter::kStallPace, at);
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
    for (const Operand* o : {&op.dst, &op.a, &op.b, &op.c})
        if ((op.set.save_address || o->save) && o->kind == Source::kMem && o->ndim == 1)
            p.dsrs[static_cast<size_t>(p.dsr_first[static_cast<size_t>(o->dsr / 32)] + o->dsr % 32)].base =
                (o->base + static_cast<int32_t>(op.done) * o->step[0]) & 0xffff;
    if (kTraceable && p.traced) [[unlikely]]
        trace_vector(p, op, t + cost);
    const bool synchronous = op.synchronous;
    op.finished = true;
    if (synchronous) {
        op.live = false;
        p.next_vector = t + cost;
        p.next_issue = t + cost - 1 + (op.dst.kind == Source::kFabout ? 1 : arch_.vector_drain);
        mark(t + cost);
    }
    if (!synchronous || op.set.activate >= 0 || op.set.unblock >= 0)
        p.completions.push_back(
            {t + cost - 1 + arch_.completion, synchronous ? -1 : op.thread, op.set.activate, op.set.unblock});
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
        store(p, op.dst, value, t);
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
