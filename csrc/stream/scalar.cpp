// Scalar instructions of the main thread that touch nothing but the PE itself (docs/semantics.md, section 3).
#include <algorithm>

#include "pe/values.hpp"
#include "stream/local.hpp"

namespace wafersim::stream {
namespace {

bool has(const Instr& in, CodeFlag flag) {
    return in.flags & static_cast<int>(flag);
}

}  // namespace

int32_t Local::slot_number(Main& m, const Instr& in, int32_t given) {
    bool known = true;
    int64_t s = given;
    if (has(in, CodeFlag::kSlotReg)) {
        s = static_cast<int64_t>(read(m, in.aux, known) & 0xffffffff);
        fix();
    }
    if (!known || s < 0 || s >= static_cast<int64_t>(m.slots.size()))
        refuse(in, "a descriptor number that depends on data");
    return static_cast<int32_t>(s);
}

int32_t* Local::descriptor_place(Main& m, const Instr& in, int32_t operand) {
    if (operand >> 16 == 0) return &m.slots[static_cast<size_t>(slot_number(m, in, operand & 0xffff))];
    return &m.dsrs[static_cast<size_t>(dsr_index(m, ((operand >> 16) - 1) * 32 + (operand & 0xffff)))].dsd;
}

void Local::execute(Main& m, const Instr& in, Cycle t) {
    if (m.map.beat_due()) return map_beat(m, in, t);
    if (in.op == Op::kMap) return start_map(m, in, t);
    if (in.op == Op::kRet && m.map.pc >= 0 && static_cast<int32_t>(m.calls.size()) == m.map.depth)
        return map_return(m, t);
    if (data) data->note(*this, m, in);
    if (in.op == Op::kVop) return local_vector(m, in, t);
    m.last_issue = t;
    int32_t target = m.pc + 1;
    Cycle next = t + 1;
    const int op = static_cast<int>(in.op);
    if (in.op == Op::kRet && m.calls.empty()) {
        m.in_task = false;
        m.free_at = t + arch_.task_end;
        m.end = std::max(m.end, m.free_at);
        return;
    }
    if (op >= 40 && op <= 46)
        next = branch(m, in, t, target);
    else if (op >= 50 && op <= 54)
        next = descriptor(m, in, t);
    else if ((op >= 70 && op <= 74) || in.op == Op::kMainPriority)
        next = task_control(m, in, t);
    else if (in.op == Op::kLoad || in.op == Op::kStore)
        next = load_store(m, in, t);
    else if (op <= 29)
        next = compute(m, in, t);
    else
        refuse(in, "an instruction that fidelity stream does not execute");
    m.pc = target;
    m.next_issue = m.next_vector = next;
    m.end = std::max(m.end, next);
}

Cycle Local::branch(Main& m, const Instr& in, Cycle t, int32_t& target) {
    bool known = true;
    switch (in.op) {
        case Op::kJmp:
            target = in.imm;
            return cost(t, ArchInt::kCostJump);
        case Op::kBz:
        case Op::kBnz: {
            const uint64_t value = read(m, in.a, known);
            if (!known) refuse(in, "a branch that depends on array data");
            if (term_ >= 0) {  // the outcome decides, not the value
                Term test;
                test.op = Op::kNe, test.type = Type::kU64, test.operand[0] = term_, test.value = value != 0;
                recorder.fix(recorder.add(test));
            }
            const bool taken = (value == 0) == (in.op == Op::kBz);
            if (taken) target = in.imm;
            return cost(t, taken ? ArchInt::kCostBranchTaken : ArchInt::kCostBranchNotTaken);
        }
        case Op::kCall:
            if (m.calls.size() >= 16) refuse(in, "calls deeper than 16");
            m.calls.push_back(m.pc + 1);
            target = in.imm;
            return cost(t, ArchInt::kCostCall);
        case Op::kRet:
            target = m.calls.back();
            m.calls.pop_back();
            return cost(t, ArchInt::kCostRet);
        case Op::kLoop: {
            const bool immediate = has(in, CodeFlag::kBImm);
            const uint64_t count =
                immediate ? static_cast<uint64_t>(static_cast<int64_t>(in.imm2)) : read(m, in.b, known);
            if (!immediate) fix();
            if (!known) refuse(in, "a loop count that depends on array data");
            write(m, in.dst, 0, true, t + arch_.value(ArchInt::kLatencyAlu));
            write(m, in.c, count, true, t + arch_.value(ArchInt::kLatencyAlu));
            if (static_cast<int64_t>(count) > 0) return cost(t, ArchInt::kCostLoop);
            target = in.imm;
            return cost(t, ArchInt::kCostBranchTaken);
        }
        default:
            break;
    }
    Term next, test;  // ENDLOOP
    next.op = Op::kAdd, next.type = Type::kU64, next.constant[1] = 1;
    const uint64_t turn = read(m, in.dst, known) + 1;
    next.operand[0] = term_;
    const uint64_t count = read(m, in.c, known);
    test.op = Op::kLt, test.type = Type::kI64, test.operand[1] = term_, test.constant[1] = count;
    if (!known) refuse(in, "a loop that depends on array data");
    next.value = turn;
    const int32_t sum = next.operand[0] >= 0 ? recorder.add(next) : -1;
    const bool again = static_cast<int64_t>(turn) < static_cast<int64_t>(count);
    test.operand[0] = sum, test.constant[0] = turn, test.value = again;
    if (sum >= 0 || test.operand[1] >= 0) recorder.fix(recorder.add(test));
    write(m, in.dst, turn, true, t + arch_.value(ArchInt::kLatencyAlu), sum);
    if (again) target = in.imm;
    return cost(t, again ? ArchInt::kCostLoopBack : ArchInt::kCostLoopExit);
}

Cycle Local::descriptor(Main& m, const Instr& in, Cycle t) {
    bool known = true;
    switch (in.op) {
        case Op::kDsdSet: {
            int32_t* place = descriptor_place(m, in, in.dst);
            Dsd d = dsd(*place);
            const auto v = in.a < 0 ? in.imm2 : static_cast<int32_t>(read(m, in.a, known));
            if (in.a >= 0) fix();
            if (!known) refuse(in, "a descriptor field that depends on array data");
            switch (static_cast<DsdField>(in.imm)) {
                case DsdField::kBase:
                    d.base = v & 0xffff;
                    break;
                case DsdField::kLength:
                    d.ext[0] = v & 0xffff;
                    break;
                case DsdField::kStride:
                    d.stride[0] = static_cast<int16_t>(v);
                    break;
                case DsdField::kOffset:
                    d.base = (d.base + v) & 0xffff;
                    break;
                case DsdField::kQueue:
                    d.queue = v & 7;
                    break;
                case DsdField::kColor:
                    d.color = v < 0 || v >= kMaxColors ? 0 : v;
                    break;
            }
            *place = intern(d);
            return cost(t, ArchInt::kCostDsdSet);
        }
        case Op::kDsdGet: {
            const Dsd& d = dsd(*descriptor_place(m, in, in.a));
            int32_t v = 0;
            switch (static_cast<DsdField>(in.imm)) {
                case DsdField::kBase:
                case DsdField::kOffset:
                    v = d.base;
                    break;
                case DsdField::kLength:
                    v = d.ext[0];
                    break;
                case DsdField::kStride:
                    v = d.stride[0];
                    break;
                case DsdField::kQueue:
                    v = d.queue;
                    break;
                case DsdField::kColor:
                    v = d.color;
                    break;
            }
            if (data) data->set(in.dst, static_cast<uint64_t>(static_cast<int64_t>(v)));
            write(m, in.dst, static_cast<uint64_t>(static_cast<int64_t>(v)), true,
                  t + arch_.value(ArchInt::kLatencyAlu));
            return cost(t, ArchInt::kCostDsdSet);
        }
        case Op::kDsdCopy:
            m.slots[static_cast<size_t>(in.dst)] = m.slots[static_cast<size_t>(slot_number(m, in, in.a))];
            return cost(t, ArchInt::kCostDsdSet);
        case Op::kLoadDsr: {
            Dsd d = dsd(m.slots[static_cast<size_t>(slot_number(m, in, in.a))]);
            d.settings = in.settings;
            m.dsrs[static_cast<size_t>(dsr_index(m, in.dst))] = {intern(d), t + arch_.dsr_load_use};
            return cost(t, ArchInt::kCostLoadDsr);
        }
        default:  // STORE_DSR
            m.slots[static_cast<size_t>(slot_number(m, in, in.dst))] =
                m.dsrs[static_cast<size_t>(dsr_index(m, in.a))].dsd;
            return cost(t, ArchInt::kCostDsdSet);
    }
}

uint64_t Local::tasks_named(int32_t number, BlockSpace space, int id) const {
    const Tile& tile = program_.tiles[static_cast<size_t>(number)];
    uint64_t mask = 0;
    auto add = [&](int task) {
        if (task >= 0) mask |= UINT64_C(1) << task;
    };
    if (id < 0 || id > 63) return mask;
    if (space == BlockSpace::kTask) {
        add(tile.local_task[static_cast<size_t>(id)]);
        for (size_t i = 0; i < tile.tasks.size(); ++i)
            if (tile.tasks[i].kind == TaskKind::kData && tile.tasks[i].id == id) add(static_cast<int>(i));
    }
    if (space == BlockSpace::kControl || arch_.generation == 2) add(tile.control_task[static_cast<size_t>(id)]);
    return mask;
}

Cycle Local::task_control(Main& m, const Instr& in, Cycle t) {
    if (in.op == Op::kDone) {
        ++done;
        return cost(t, ArchInt::kCostDone);
    }
    if (in.op == Op::kMainPriority) {
        m.priority = in.imm;
        return cost(t, ArchInt::kCostTaskControl);
    }
    bool known = true;
    const auto id = in.a < 0 ? in.imm : static_cast<int32_t>(read(m, in.a, known) & 0xffff);
    if (in.a >= 0) fix();
    if (!known) refuse(in, "a task number that depends on data");
    if (in.op == Op::kActivate) {
        const int task = id < 0 || id > 63 ? -1 : tile(m).local_task[static_cast<size_t>(id)];
        if (task < 0) refuse(in, "activation of a task that is not bound");
        m.active |= UINT64_C(1) << task;
        return cost(t, ArchInt::kCostTaskControl);
    }
    const uint64_t tasks = tasks_named(m.tile, static_cast<BlockSpace>(in.type), id);
    auto set = [&](uint64_t& on, uint64_t& off, bool to) {
        on = to ? on | tasks : on & ~tasks;
        off = to ? off & ~tasks : off | tasks;
    };
    if (in.op == Op::kTaskPriority)
        set(m.high, m.lowered, in.imm2 != 0);
    else
        set(m.blocked, m.cleared, in.op == Op::kBlock);
    return cost(t, ArchInt::kCostTaskControl);
}

Cycle Local::load_store(Main& m, const Instr& in, Cycle t) {
    bool known = true;
    const auto type = static_cast<Type>(in.type);
    const int bytes = type_bytes(type);
    const uint64_t base = in.a < 0 ? 0 : read(m, in.a, known);
    const int32_t base_term = in.a < 0 ? -1 : term_;
    const auto address =
        static_cast<int32_t>(static_cast<uint16_t>(base + static_cast<uint64_t>(static_cast<int64_t>(in.imm))));
    if (base_term >= 0) recorder.fix(base_term);
    if (known && (address + bytes > arch_.sram_bytes || (bytes > 1 && address % 2)))
        refuse(in, "a load or store at an odd address or outside SRAM");
    if (in.op == Op::kLoad) {
        const Cycle ready = t + arch_.value(ArchInt::kLatencyLoad);
        if (known)
            load_at(m, address, type, in.dst, ready);
        else
            write(m, in.dst, extend(type, 0), false, ready);
        return cost(t, ArchInt::kCostLoad);
    }
    if (!known && !data) refuse(in, "a store to an address that depends on array data");
    if (!known) {  // whatever it writes is unknown from now on
        vector_writes(m, 0, arch_.sram_bytes);
        return cost(t, ArchInt::kCostStore);
    }
    store_at(m, address, bytes, in.b);
    return cost(t, ArchInt::kCostStore);
}

// Of bytes in SRAM at a known address into a register.
void Local::load_at(Main& m, int32_t address, Type type, int32_t r, Cycle ready) {
    const ControlBytes& control = control_[static_cast<size_t>(m.tile)];
    const int bytes = type_bytes(type), at = control.find(address, address + bytes);
    uint64_t value = 0;
    bool clear = at >= 0;
    for (int i = 0; at >= 0 && i < bytes; ++i) {
        clear = clear && !m.unknown[static_cast<size_t>(at + i)] && !control.data[static_cast<size_t>(at + i)];
        value |= static_cast<uint64_t>(m.memory[static_cast<size_t>(at + i)]) << 8 * i;
    }
    int32_t term = clear ? recorder.load_bytes(at, bytes, m.memory.data()) : -1;
    if (term >= 0) {
        Term extended;
        extended.kind = Term::Kind::kExtend, extended.type = type, extended.operand[0] = term,
        extended.value = extend(type, value);
        term = recorder.add(extended);
    }
    write(m, r, extend(type, value), clear, ready, term);
}

// Of a register's low bytes.
void Local::store_at(Main& m, int32_t address, int bytes, int32_t r) {
    const int at = control_[static_cast<size_t>(m.tile)].find(address, address + bytes);
    bool value_known = true;
    const uint64_t value = read(m, r, value_known);
    if (at < 0) return vector_writes(m, address, address + bytes);
    for (int i = 0; i < bytes; ++i) {
        m.memory[static_cast<size_t>(at + i)] = value_known ? static_cast<uint8_t>(value >> 8 * i) : 0;
        m.unknown[static_cast<size_t>(at + i)] = !value_known;
    }
    const uint64_t kept = !value_known ? 0 : bytes == 8 ? value : value & ((UINT64_C(1) << 8 * bytes) - 1);
    recorder.store_bytes(at, bytes, kept, value_known ? term_ : -1);
}

Cycle Local::compute(Main& m, const Instr& in, Cycle t) {
    if (in.op == Op::kNop) return cost(t, ArchInt::kCostAlu);
    const auto type = static_cast<Type>(in.type);
    bool known = true;
    Term term;
    const uint64_t a = read(m, in.a, known);
    term.operand[0] = term_, term.constant[0] = a;
    uint64_t result = 0;
    const ScalarTiming timing = scalar_timing(in);
    if (in.op == Op::kLi) {
        result = static_cast<uint64_t>(static_cast<uint32_t>(in.imm)) |
                 static_cast<uint64_t>(static_cast<uint32_t>(in.imm2)) << 32;
        known = true;
    } else if (in.op == Op::kMov) {
        result = a;
    } else if (in.op == Op::kSelect) {
        const uint64_t b = read(m, in.b, known);
        term.operand[1] = term_, term.constant[1] = b;
        const uint64_t c = read(m, in.c, known);
        term.operand[2] = term_, term.constant[2] = c;
        result = a ? b : c;
    } else if (in.op == Op::kCvt) {
        if (known) result = scalar_convert(type, static_cast<Type>(in.imm), a);
    } else if (in.op == Op::kMath) {
        if (known) result = scalar_math(static_cast<MathFn>(in.imm), type, a);
    } else {
        const bool immediate = has(in, CodeFlag::kBImm);
        const uint64_t b = immediate ? static_cast<uint64_t>(static_cast<int64_t>(in.imm)) : read(m, in.b, known);
        term.operand[1] = immediate ? -1 : term_, term.constant[1] = b;
        if (known) result = scalar_op(in.op, type, a, b);
    }
    const Cycle next = cost(t, timing.cost);
    int32_t id = -1;
    if (known && in.op != Op::kLi && (term.operand[0] >= 0 || term.operand[1] >= 0 || term.operand[2] >= 0)) {
        term.op = in.op, term.type = type, term.imm = in.imm, term.value = result;
        id = recorder.add(term);
    }
    write(m, in.dst, result, known, (timing.slow ? next - 1 : t) + arch_.value(timing.latency), id);
    return next;
}

}  // namespace wafersim::stream
