// Descriptors, branches, calls, loops and task control of the main thread (docs/semantics.md, section 3).
#include <algorithm>

#include "pe/core.hpp"

namespace wafersim {
namespace {

constexpr size_t kMaxCallDepth = 16;

bool has(const Instr& in, CodeFlag flag) {
    return in.flags & static_cast<int>(flag);
}

}  // namespace

void Core::exec_descriptor(Pe& p, const Instr& in, Cycle t) {
    Cycle next = t + arch_.value(ArchInt::kCostDsdSet);
    auto bad_slot = [&](int64_t slot) {
        if (slot >= 0 && slot < static_cast<int64_t>(p.tile->dsds.size())) return false;
        fail(p, t,
             "descriptor number " + std::to_string(slot) + " is not declared; there are " +
                 std::to_string(p.tile->dsds.size()),
             -1, in.line);
        p.dead = true;
        return true;
    };
    const bool from_reg = has(in, CodeFlag::kSlotReg);
    auto slot_number = [&](int32_t given) {
        return from_reg ? static_cast<int64_t>(p.regs[static_cast<size_t>(in.aux)] & 0xffffffff) : given;
    };
    auto place = [&](int32_t operand) -> Dsd* {
        const int space = operand >> 16;
        if (space == 0) {
            const int64_t slot = slot_number(operand & 0xffff);
            return bad_slot(slot) ? nullptr : &p.slots[static_cast<size_t>(slot)];
        }
        return &p.dsrs[static_cast<size_t>(p.dsr_first[static_cast<size_t>(space - 1)] + (operand & 0xffff))];
    };
    auto dsr_at = [&](int32_t dsr) {
        return static_cast<size_t>(p.dsr_first[static_cast<size_t>(dsr / 32)] + dsr % 32);
    };
    switch (in.op) {
        case Op::kDsdSet: {
            Dsd* d = place(in.dst);
            if (!d) return;
            const auto v =
                static_cast<int32_t>(in.a < 0 ? in.imm2 : static_cast<int32_t>(p.regs[static_cast<size_t>(in.a)]));
            switch (static_cast<DsdField>(in.imm)) {
                case DsdField::kBase:
                    d->base = v & 0xffff;
                    break;
                case DsdField::kLength:
                    d->ext[0] = v & 0xffff;
                    break;
                case DsdField::kStride:
                    d->stride[0] = static_cast<int16_t>(v);
                    break;
                case DsdField::kOffset:
                    d->base = (d->base + v) & 0xffff;
                    break;
                case DsdField::kQueue:
                    d->queue = v & 7;
                    break;
                case DsdField::kColor:
                    d->color = v < 0 || v >= kMaxColors ? 0 : v;
                    break;
            }
            break;
        }
        case Op::kDsdGet: {
            const Dsd* d = place(in.a);
            if (!d) return;
            int32_t v = 0;
            switch (static_cast<DsdField>(in.imm)) {
                case DsdField::kBase:
                case DsdField::kOffset:
                    v = d->base;
                    break;
                case DsdField::kLength:
                    v = d->ext[0];
                    break;
                case DsdField::kStride:
                    v = d->stride[0];
                    break;
                case DsdField::kQueue:
                    v = d->queue;
                    break;
                case DsdField::kColor:
                    v = d->color;
                    break;
            }
            p.regs[static_cast<size_t>(in.dst)] = static_cast<uint64_t>(static_cast<int64_t>(v));
            p.reg_ready[static_cast<size_t>(in.dst)] = t + arch_.value(ArchInt::kLatencyAlu);
            break;
        }
        case Op::kDsdCopy: {
            const int64_t from = slot_number(in.a);
            if (bad_slot(from)) return;
            p.slots[static_cast<size_t>(in.dst)] = p.slots[static_cast<size_t>(from)];
            break;
        }
        case Op::kLoadDsr: {
            const int64_t from = slot_number(in.a);
            if (bad_slot(from)) return;
            Dsd& d = p.dsrs[dsr_at(in.dst)];
            d = p.slots[static_cast<size_t>(from)];
            d.settings = in.settings;
            p.dsr_ready[dsr_at(in.dst)] = t + arch_.dsr_load_use;
            next = t + arch_.value(ArchInt::kCostLoadDsr);
            break;
        }
        case Op::kStoreDsr: {
            const int64_t to = slot_number(in.dst);
            if (bad_slot(to)) return;
            p.slots[static_cast<size_t>(to)] = p.dsrs[dsr_at(in.a)];
            break;
        }
        default: {  // FIFO_SET
            FifoState& f = p.fifos[static_cast<size_t>(in.a)];
            const auto v = static_cast<int32_t>(
                in.b < 0 ? in.imm2 : static_cast<int32_t>(p.regs[static_cast<size_t>(in.b)] & 0xffff));
            switch (static_cast<FifoField>(in.imm)) {
                case FifoField::kReadLength:
                    f.read_length = v;
                    break;
                case FifoField::kWriteLength:
                    f.write_length = v;
                    break;
                case FifoField::kReset:
                    f.head = f.count = 0;
                    break;
            }
            break;
        }
    }
    p.next_issue = p.next_vector = next;
    mark(next);
    ++p.pc;
}

void Core::exec_control(Pe& p, const Instr& in, Cycle t) {
    auto cost = [&](ArchInt slot) { return t + arch_.value(slot); };
    auto reg = [&](int32_t r) -> uint64_t { return p.regs[static_cast<size_t>(r)]; };
    const Cycle alu = t + arch_.value(ArchInt::kLatencyAlu);
    Cycle next = t + 1;
    int32_t target = p.pc + 1;
    switch (in.op) {
        case Op::kJmp:
            target = in.imm;
            next = cost(ArchInt::kCostJump);
            break;
        case Op::kBz:
        case Op::kBnz: {
            const bool taken = (reg(in.a) == 0) == (in.op == Op::kBz);
            if (taken) target = in.imm;
            next = cost(taken ? ArchInt::kCostBranchTaken : ArchInt::kCostBranchNotTaken);
            break;
        }
        case Op::kCall:
            if (p.calls.size() >= kMaxCallDepth) {
                fail(p, t, "calls are nested deeper than 16", -1, in.line);
                p.dead = true;
                return;
            }
            p.calls.push_back(p.pc + 1);
            target = in.imm;
            next = cost(ArchInt::kCostCall);
            break;
        case Op::kRet: {
            LiveOp* map = p.main_op_live() && p.op(kMainThread)->op == Op::kMap ? p.op(kMainThread) : nullptr;
            if (map && map->map_phase == 1 && p.calls.size() == map->map_depth) {
                map->map_phase = 2;
                map->next_beat = cost(ArchInt::kCostRet);
                p.next_issue = p.next_vector = map->next_beat;
                mark(map->next_beat);
                if (map->dst.kind == Source::kNone) map_write(p, *map, map->next_beat - 1);
                return;
            }
            if (p.calls.empty()) {
                end_task(p, t);
                return;
            }
            target = p.calls.back();
            p.calls.pop_back();
            next = cost(ArchInt::kCostRet);
            break;
        }
        case Op::kLoop: {
            const uint64_t count =
                has(in, CodeFlag::kBImm) ? static_cast<uint64_t>(static_cast<int64_t>(in.imm2)) : reg(in.b);
            p.regs[static_cast<size_t>(in.dst)] = 0;
            p.regs[static_cast<size_t>(in.c)] = count;
            p.reg_ready[static_cast<size_t>(in.dst)] = p.reg_ready[static_cast<size_t>(in.c)] = alu;
            next = cost(ArchInt::kCostLoop);
            if (static_cast<int64_t>(count) <= 0) {
                target = in.imm;
                next = cost(ArchInt::kCostBranchTaken);
            }
            break;
        }
        case Op::kEndloop: {
            const uint64_t turn = ++p.regs[static_cast<size_t>(in.dst)];
            p.reg_ready[static_cast<size_t>(in.dst)] = alu;
            const bool again = static_cast<int64_t>(turn) < static_cast<int64_t>(reg(in.c));
            if (again) target = in.imm;
            next = cost(again ? ArchInt::kCostLoopBack : ArchInt::kCostLoopExit);
            break;
        }
        case Op::kActivate: {
            const int id = static_cast<int>(in.a < 0 ? in.imm : static_cast<int32_t>(reg(in.a) & 0xffff));
            if (id < 0 || id > 63 || p.tile->local_task[static_cast<size_t>(id)] < 0) {
                fail(p, t, "local task " + std::to_string(id) + " is activated but not bound", -1, in.line);
                p.dead = true;
                return;
            }
            activate(p, id);
            next = cost(ArchInt::kCostTaskControl);
            break;
        }
        case Op::kBlock:
        case Op::kUnblock: {
            const int id = static_cast<int>(in.a < 0 ? in.imm : static_cast<int32_t>(reg(in.a) & 0xffff));
            set_blocked(p, static_cast<BlockSpace>(in.type), id, in.op == Op::kBlock);
            next = cost(ArchInt::kCostTaskControl);
            break;
        }
        case Op::kDone:
            if (p.open_launches > 0) --p.open_launches, --open_launches;
            next = cost(ArchInt::kCostDone);
            break;
        case Op::kTaskPriority: {
            const int id = static_cast<int>(in.a < 0 ? in.imm : static_cast<int32_t>(reg(in.a) & 0xffff));
            const uint64_t tasks = tasks_named(p, static_cast<BlockSpace>(in.type), id);
            p.high_tasks = in.imm2 ? p.high_tasks | tasks : p.high_tasks & ~tasks;
            next = cost(ArchInt::kCostTaskControl);
            break;
        }
        default:  // MAIN_PRIORITY
            p.main_priority = in.imm;
            next = cost(ArchInt::kCostTaskControl);
            break;
    }
    p.pc = target;
    p.next_issue = p.next_vector = next;
    mark(next);
}

}  // namespace wafersim
