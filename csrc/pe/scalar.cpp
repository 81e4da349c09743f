// The main thread's instructions other than vector operations (docs/semantics.md, section 3).
#include <algorithm>
#include <cstring>

#include "pe/core.hpp"
#include "pe/values.hpp"

namespace wafersim {
namespace {

constexpr size_t kMaxCallDepth = 16;

bool has(const Instr& in, CodeFlag flag) { return in.flags & static_cast<int>(flag); }

// Configuration words use the order W, E, S, N, R from bit 0 on; masks use N, E, S, W, R.
constexpr int kConfigBit[5] = {3, 1, 2, 0, 4};

uint32_t mask_to_config(uint32_t mask) {
    uint32_t out = 0;
    for (int port = 0; port < 5; ++port)
        if (mask >> port & 1) out |= 1u << kConfigBit[port];
    return out;
}

uint32_t config_to_mask(uint32_t bits) {
    uint32_t out = 0;
    for (int port = 0; port < 5; ++port)
        if (bits >> kConfigBit[port] & 1) out |= 1u << port;
    return out;
}

uint32_t switch_nibble(const ColorState& cs, int k) {
    if (k >= cs.num_positions) return 5;
    const auto at = static_cast<size_t>(k);
    const bool input = cs.in[at] != cs.in[0];
    const uint32_t mask = input ? cs.in[at] : cs.out[at];
    for (int port = 0; port < 5; ++port)
        if (mask == 1u << port) return static_cast<uint32_t>(kConfigBit[port]) | (input ? 8u : 0u);
    return 5;
}

}  // namespace

Core::Core(const Program& program, const Arch& arch, Fabric& fabric, Wheel& routers, Wheel& ces, uint64_t seed)
    : program_(program), arch_(arch), fabric_(fabric), routers_(routers), ces_(ces), seed_(seed) {
    for (const Instr& in : program.code) decoded_.push_back(decode(in));
}

Core::Decoded Core::decode(const Instr& in) const {
    Decoded d;
    auto reg = [&](int32_t r) {
        if (r >= 0) d.regs[d.num_regs++] = r;
    };
    auto dsr = [&](int32_t r) { d.dsrs[d.num_dsrs++] = r; };
    const int op = static_cast<int>(in.op);
    d.local = op <= 46 || (op >= 50 && op <= 54) || in.op == Op::kActivate || in.op == Op::kBlock || in.op == Op::kUnblock ||
              (op >= 90 && op <= 93) || in.op == Op::kMainPriority;
    if (has(in, CodeFlag::kSlotReg)) reg(in.aux);
    switch (in.op) {
        case Op::kNop:
        case Op::kLi: break;
        case Op::kSelect: reg(in.a); reg(in.b); reg(in.c); break;
        case Op::kStore: reg(in.a); reg(in.b); break;
        case Op::kLoop: if (!has(in, CodeFlag::kBImm)) reg(in.b); break;
        case Op::kEndloop: reg(in.dst); reg(in.c); break;
        case Op::kPrint: reg(in.a); reg(in.b); reg(in.c); break;
        case Op::kDsdSet:
            reg(in.a);
            if (in.dst >> 16) dsr(((in.dst >> 16) - 1) * 32 + (in.dst & 0xffff));
            break;
        case Op::kDsdGet: if (in.a >> 16) dsr(((in.a >> 16) - 1) * 32 + (in.a & 0xffff)); break;
        case Op::kLoadDsr: dsr(in.dst); break;
        case Op::kStoreDsr: dsr(in.a); break;
        case Op::kFifoSet: reg(in.b); break;
        case Op::kVop:
        case Op::kMap: {
            d.vector = true;
            for (const int32_t operand : {in.dst, in.a, in.b, in.c}) {
                if (operand < 0) continue;
                const auto kind = static_cast<OperandKind>(operand >> 24);
                if (kind == OperandKind::kDsr) dsr(operand & 0xffffff);
                if (kind == OperandKind::kPtr || (kind == OperandKind::kReg && operand != in.dst)) reg(operand & 0xffffff);
            }
            if (in.settings >= 0) reg(program_.settings[static_cast<size_t>(in.settings)].index_reg);
            break;
        }
        default:
            if (op <= 31 || in.op == Op::kBz || in.op == Op::kBnz || in.op == Op::kAssert || op >= 70) reg(in.a);
            if (op >= 3 && op <= 27 && !has(in, CodeFlag::kBImm)) {
                const bool two = (op >= 3 && op <= 13) || (op >= 18 && op <= 23);
                if (two) reg(in.b);
            }
            break;
    }
    return d;
}

void Core::end_task(Pe& p, Cycle t) {
    p.in_task = false;
    p.free_at = t + arch_.task_end;
    mark(p.free_at);
}

void Core::exec(Pe& p, const Instr& in, Cycle t) {
    const int op = static_cast<int>(in.op);
    if (op >= 50 && op <= 55) return exec_descriptor(p, in, t);
    if (in.op == Op::kVop || in.op == Op::kMap) {  // an async launch, or an op of length zero
        start_op(p, in, t);
        return;
    }
    if ((op >= 40 && op <= 46) || (op >= 70 && op <= 73) || in.op == Op::kMainPriority) return exec_control(p, in, t);
    if (op >= 80 && op <= 88) return exec_fabric(p, in, t);
    exec_scalar(p, in, t);
}

void Core::exec_scalar(Pe& p, const Instr& in, Cycle t) {
    const int op = static_cast<int>(in.op);
    const auto type = static_cast<Type>(in.type);
    auto reg = [&](int32_t r) -> uint64_t { return r < 0 ? 0 : p.regs[static_cast<size_t>(r)]; };
    const uint64_t a = reg(in.a);
    const uint64_t b = has(in, CodeFlag::kBImm) ? static_cast<uint64_t>(static_cast<int64_t>(in.imm)) : (in.op == Op::kLoad ? 0 : reg(in.b));
    uint64_t result = 0;
    ArchInt cost = ArchInt::kCostAlu;
    Cycle latency = arch_.value(ArchInt::kLatencyAlu);
    bool slow = false;  // result ready `latency` after the unit is free again
    switch (in.op) {
        case Op::kNop: break;
        case Op::kLi: result = static_cast<uint64_t>(static_cast<uint32_t>(in.imm)) | static_cast<uint64_t>(static_cast<uint32_t>(in.imm2)) << 32; break;
        case Op::kMov: result = a; break;
        case Op::kSelect: result = a ? reg(in.b) : reg(in.c); break;
        case Op::kCvt: {
            const auto from = static_cast<Type>(in.imm);
            result = scalar_convert(type, from, a);
            if (is_float(type) || is_float(from)) cost = ArchInt::kCostFp, latency = arch_.value(ArchInt::kLatencyFp);
            break;
        }
        case Op::kMath:
            result = scalar_math(static_cast<MathFn>(in.imm), type, a);
            cost = ArchInt::kCostMath;
            latency = arch_.value(ArchInt::kLatencyFp);
            slow = true;
            break;
        case Op::kLoad:
        case Op::kStore: {
            const auto address = static_cast<int32_t>(static_cast<uint16_t>(a + static_cast<uint64_t>(static_cast<int64_t>(in.imm))));
            const int bytes = type_bytes(type);
            if (touches_configuration(p, in)) {
                cost = ArchInt::kCostConfig;
                latency = arch_.value(ArchInt::kCostConfig);
                if (in.op == Op::kLoad) result = load_configuration(p, address, t);
                else store_configuration(p, address, static_cast<uint32_t>(reg(in.b)), t);
                if (p.dead) return;
            } else {
                if (address + bytes > arch_.sram_bytes || (bytes > 1 && address % 2)) {
                    fail(p, t, std::string(in.op == Op::kLoad ? "a load" : "a store") + " of " + std::to_string(bytes) + " bytes at address " + std::to_string(address) + " is misaligned or outside SRAM (" + std::to_string(arch_.sram_bytes) + " bytes)", -1, in.line);
                    p.dead = true;
                    return;
                }
                if (in.op == Op::kLoad) {
                    std::memcpy(&result, p.sram + address, static_cast<size_t>(bytes));
                    result = extend(type, result);
                    cost = ArchInt::kCostLoad;
                    latency = arch_.value(ArchInt::kLatencyLoad);
                    p.count(Event::kSramReadBytes) += bytes;
                } else {
                    const uint64_t value = reg(in.b);
                    std::memcpy(p.sram + address, &value, static_cast<size_t>(bytes));
                    cost = ArchInt::kCostStore;
                    p.count(Event::kSramWriteBytes) += bytes;
                }
            }
            break;
        }
        case Op::kTimestamp:
            result = static_cast<uint64_t>(p.tsc_enabled ? t - p.tsc_offset : p.tsc_frozen) & ((UINT64_C(1) << 48) - 1);
            cost = ArchInt::kCostTimestamp;
            latency = arch_.value(ArchInt::kCostTimestamp);
            break;
        case Op::kTscControl:
            cost = ArchInt::kCostTimestamp;
            if (in.imm == 0 && p.tsc_enabled) p.tsc_frozen = t - p.tsc_offset, p.tsc_enabled = false;
            if (in.imm == 1 && !p.tsc_enabled) p.tsc_offset = t - p.tsc_frozen, p.tsc_enabled = true;
            if (in.imm == 2) p.tsc_offset = t, p.tsc_frozen = 0;
            break;
        case Op::kRandom:
            result = next_random(p) & 0xffff;
            cost = ArchInt::kCostRandom;
            break;
        case Op::kPerfGet:
            result = in.imm >= 0 && in.imm < kNumEvents ? static_cast<uint64_t>(p.events[static_cast<size_t>(in.imm)]) : 0;
            cost = ArchInt::kCostTimestamp;
            latency = arch_.value(ArchInt::kCostTimestamp);
            break;
        default:
            result = scalar_op(in.op, type, a, b);
            if (is_float(type)) {
                const bool divides = in.op == Op::kDiv || in.op == Op::kRem;
                cost = divides ? ArchInt::kCostFdiv : ArchInt::kCostFp;
                latency = arch_.value(ArchInt::kLatencyFp);
                slow = divides;
            } else if (in.op == Op::kMul || in.op == Op::kDiv || in.op == Op::kRem) {
                cost = in.op == Op::kMul ? ArchInt::kCostMul : ArchInt::kCostDiv;
                slow = true;
            }
            break;
    }
    const Cycle next = t + arch_.value(cost);
    if (in.dst >= 0 && in.op != Op::kStore && op != 0 && in.op != Op::kTscControl) {
        p.regs[static_cast<size_t>(in.dst)] = result;
        p.reg_ready[static_cast<size_t>(in.dst)] = (slow ? next - 1 : t) + latency;
    }
    p.next_issue = p.next_vector = next;
    mark(next);
    ++p.pc;
}

bool Core::exec_free(Pe& p, const Instr& in, Cycle t) {
    auto reg = [&](int32_t r) -> uint64_t { return r < 0 ? 0 : p.regs[static_cast<size_t>(r)]; };
    if (in.op == Op::kPrint) {
        if (prints.size() < 1000000) prints.push_back({t, fabric_.coord(p.id), in.imm, {reg(in.a), reg(in.b), reg(in.c)}, {in.a, in.b, in.c}});
    } else if (reg(in.a) == 0) {
        fail(p, t, "an assertion failed", -1, in.line);
        p.dead = true;
        return false;
    }
    ++p.pc;
    return true;
}

void Core::exec_descriptor(Pe& p, const Instr& in, Cycle t) {
    Cycle next = t + arch_.value(ArchInt::kCostDsdSet);
    auto bad_slot = [&](int64_t slot) {
        if (slot >= 0 && slot < static_cast<int64_t>(p.slots.size())) return false;
        fail(p, t, "descriptor number " + std::to_string(slot) + " is not declared; there are " + std::to_string(p.slots.size()), -1, in.line);
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
    auto dsr_at = [&](int32_t dsr) { return static_cast<size_t>(p.dsr_first[static_cast<size_t>(dsr / 32)] + dsr % 32); };
    switch (in.op) {
        case Op::kDsdSet: {
            Dsd* d = place(in.dst);
            if (!d) return;
            const auto v = static_cast<int32_t>(in.a < 0 ? in.imm2 : static_cast<int32_t>(p.regs[static_cast<size_t>(in.a)]));
            switch (static_cast<DsdField>(in.imm)) {
                case DsdField::kBase: d->base = v & 0xffff; break;
                case DsdField::kLength: d->ext[0] = v & 0xffff; break;
                case DsdField::kStride: d->stride[0] = static_cast<int16_t>(v); break;
                case DsdField::kOffset: d->base = (d->base + v) & 0xffff; break;
                case DsdField::kQueue: d->queue = v & 7; break;
                case DsdField::kColor: d->color = v < 0 || v >= kMaxColors ? 0 : v; break;
            }
            break;
        }
        case Op::kDsdGet: {
            const Dsd* d = place(in.a);
            if (!d) return;
            int32_t v = 0;
            switch (static_cast<DsdField>(in.imm)) {
                case DsdField::kBase:
                case DsdField::kOffset: v = d->base; break;
                case DsdField::kLength: v = d->ext[0]; break;
                case DsdField::kStride: v = d->stride[0]; break;
                case DsdField::kQueue: v = d->queue; break;
                case DsdField::kColor: v = d->color; break;
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
            const auto v = static_cast<int32_t>(in.b < 0 ? in.imm2 : static_cast<int32_t>(p.regs[static_cast<size_t>(in.b)] & 0xffff));
            switch (static_cast<FifoField>(in.imm)) {
                case FifoField::kReadLength: f.read_length = v; break;
                case FifoField::kWriteLength: f.write_length = v; break;
                case FifoField::kReset: f.head = f.count = 0; break;
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
            const uint64_t count = has(in, CodeFlag::kBImm) ? static_cast<uint32_t>(in.imm2) : reg(in.b);
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
        default:  // MAIN_PRIORITY
            p.main_priority = in.imm;
            next = cost(ArchInt::kCostTaskControl);
            break;
    }
    p.pc = target;
    p.next_issue = p.next_vector = next;
    mark(next);
}

void Core::exec_fabric(Pe& p, const Instr& in, Cycle t) {
    auto reg = [&](int32_t r) -> uint64_t { return p.regs[static_cast<size_t>(r)]; };
    const int color = in.a >= 0 && (in.op == Op::kRouteSet || in.op == Op::kTeardownExit) ? static_cast<int>(reg(in.a) & 0xffff) : in.imm;
    const Cycle next = t + arch_.value(ArchInt::kCostConfig);
    uint64_t result = 0;
    const bool per_color = in.op <= Op::kFilterSet;
    ColorState* cs = per_color && color >= 0 && color < kMaxColors ? fabric_.color(p.id, color) : nullptr;
    if (per_color && in.op != Op::kRouteSet && (!cs || !cs->has_route)) {
        fail(p, t, "fabric control of color " + std::to_string(color) + ", which has no route here", color, in.line);
        p.dead = true;
        return;
    }
    switch (in.op) {
        case Op::kRouteSet:
            if (color < 0 || color >= kMaxColors) {
                fail(p, t, "a route is set for color " + std::to_string(color) + "; colors are 0 to 23", -1, in.line);
                p.dead = true;
                return;
            }
            fabric_.set_route(p.id, color, program_.routes[static_cast<size_t>(in.imm2)], t);
            break;
        case Op::kSwitchSet: {
            const uint64_t position = in.a < 0 ? static_cast<uint64_t>(in.imm2) : reg(in.a);
            cs->set_position(static_cast<int>(std::min<uint64_t>(position, static_cast<uint64_t>(cs->num_positions - 1))));
            break;
        }
        case Op::kSwitchGet: result = cs->position; break;
        case Op::kTeardownExit: cs->teardown = false; break;
        case Op::kTeardownGet: result = cs->teardown; break;
        case Op::kFilterSet: {
            const auto v = static_cast<int32_t>(reg(in.a) & 0xffff);
            switch (static_cast<FilterField>(in.imm2)) {
                case FilterField::kCounter: cs->counter = v; break;
                case FilterField::kLimit1: cs->limit1 = v; break;
                case FilterField::kMax: cs->max = v; break;
                case FilterField::kMin: cs->min = v; break;
                case FilterField::kActive: if (v == 0) cs->filter = FilterKind::kNone; break;
            }
            break;
        }
        case Op::kQueueGet:
        case Op::kQueueFlush:
        case Op::kQueueBind: {
            const auto q = static_cast<size_t>(in.imm);
            auto apply = [&](auto& queue, int capacity) {
                if (in.op == Op::kQueueGet) {
                    switch (static_cast<QueueField>(in.imm2)) {
                        case QueueField::kEmpty: result = queue.ring.empty(); break;
                        case QueueField::kFull: result = queue.ring.count() >= capacity; break;
                        case QueueField::kDepth: result = static_cast<uint64_t>(queue.ring.count()); break;
                        case QueueField::kFlushed: result = queue.flushed; break;
                    }
                } else if (in.op == Op::kQueueFlush) {
                    queue.flush_pending = true;
                    queue.flushed = false;
                    p.queues->flush_watch = true;
                    ces_.wake(p.id, t + 1);
                } else {
                    queue.color = static_cast<int16_t>(in.a < 0 ? in.imm2 : static_cast<int32_t>(reg(in.a) & 0x1f));
                }
            };
            if (in.type) apply(p.queues->oq[q], arch_.oq_depth[q]);
            else apply(p.queues->iq[q], arch_.iq_capacity(static_cast<int>(q)));
            break;
        }
        default: break;
    }
    fabric_.route_changed(p.id, t);
    if (in.op == Op::kSwitchGet || in.op == Op::kTeardownGet || in.op == Op::kQueueGet) {
        p.regs[static_cast<size_t>(in.dst)] = result;
        p.reg_ready[static_cast<size_t>(in.dst)] = next;
    }
    p.next_issue = p.next_vector = next;
    mark(next);
    ++p.pc;
}

bool Core::touches_configuration(const Pe& p, const Instr& in) const {
    const uint64_t a = in.a < 0 ? 0 : p.regs[static_cast<size_t>(in.a)];
    const auto address = static_cast<int64_t>(static_cast<uint16_t>(a + static_cast<uint64_t>(static_cast<int64_t>(in.imm))));
    for (const ArchInt slot : {ArchInt::kColorConfigBase, ArchInt::kSwitchConfigBase}) {
        const int64_t base = arch_.value(slot);
        if (base >= 0 && address >= base && address < base + 2 * kMaxColors) return true;
    }
    return false;
}

uint64_t Core::load_configuration(Pe& p, int32_t address, Cycle t) {
    const int64_t color_base = arch_.value(ArchInt::kColorConfigBase), switch_base = arch_.value(ArchInt::kSwitchConfigBase);
    const bool is_color = address >= color_base && address < color_base + 2 * kMaxColors;
    const int64_t offset = address - (is_color ? color_base : switch_base);
    const ColorState* cs = offset % 2 ? nullptr : fabric_.color(p.id, static_cast<int>(offset / 2));
    if (offset % 2 || arch_.generation != 2) {
        fail(p, t, "configuration address " + std::to_string(address) + " is not a word that this generation documents");
        p.dead = true;
        return 0;
    }
    if (!cs || !cs->has_route) return 0;
    if (is_color)
        return mask_to_config(cs->in[0]) << 5 | mask_to_config(cs->out[0]) | static_cast<uint32_t>(cs->teardown) << 14 |
               static_cast<uint32_t>(cs->pop_mode) << 12 | static_cast<uint32_t>(cs->swap_x) << 11 | static_cast<uint32_t>(cs->swap_y) << 10;
    uint32_t word = static_cast<uint32_t>(cs->ring_mode) << 12 | static_cast<uint32_t>(cs->position) << 13;
    for (int k = 1; k < 4; ++k) word |= switch_nibble(*cs, k) << 4 * (k - 1);
    return word;
}

void Core::store_configuration(Pe& p, int32_t address, uint32_t value, Cycle t) {
    const int64_t color_base = arch_.value(ArchInt::kColorConfigBase), switch_base = arch_.value(ArchInt::kSwitchConfigBase);
    const bool is_color = address >= color_base && address < color_base + 2 * kMaxColors;
    const int64_t offset = address - (is_color ? color_base : switch_base);
    const int color = static_cast<int>(offset / 2);
    if (offset % 2 || arch_.generation != 2) {
        fail(p, t, "configuration address " + std::to_string(address) + " is not a word that this generation documents");
        p.dead = true;
        return;
    }
    ColorState* cs = fabric_.color(p.id, color);
    if (!cs || !cs->has_route) {
        fabric_.set_route(p.id, color, RouteClass{}, t);
        cs = fabric_.color(p.id, color);
    }
    if (is_color) {
        if (static_cast<bool>(value >> 11 & 1) != cs->swap_x || static_cast<bool>(value >> 10 & 1) != cs->swap_y) {
            fail(p, t, "the color swap of color " + std::to_string(color) + " cannot be changed at run time", color);
            p.dead = true;
            return;
        }
        cs->settle();
        cs->in[0] = static_cast<uint8_t>(config_to_mask(value >> 5 & 31));
        cs->out[0] = static_cast<uint8_t>(config_to_mask(value & 31));
        cs->pop_mode = static_cast<PopMode>(value >> 12 & 3);
        cs->teardown = value >> 14 & 1;
        cs->set_position(cs->position);
    } else {
        cs->settle();
        cs->num_positions = 1;
        for (int k = 1; k < 4; ++k) {
            const uint32_t nibble = value >> 4 * (k - 1) & 15;
            const uint32_t direction = nibble & 7;
            if (direction >= 5) break;
            const auto at = static_cast<size_t>(k);
            const auto mask = static_cast<uint8_t>(config_to_mask(1u << direction));
            cs->in[at] = nibble & 8 ? mask : cs->in[0];
            cs->out[at] = nibble & 8 ? cs->out[0] : mask;
            cs->num_positions = static_cast<uint8_t>(k + 1);
        }
        cs->ring_mode = value >> 12 & 1;
        cs->set_position(static_cast<int>(std::min<uint32_t>(value >> 13 & 3, static_cast<uint32_t>(cs->num_positions - 1))));
    }
    fabric_.route_changed(p.id, t);
}

// Galois register of x^23 + x^18 + 1, 128 steps per use.
uint32_t Core::next_random(Pe& p) const {
    uint32_t s = p.random & 0x7fffff;
    for (int i = 0; i < 128; ++i) s = s >> 1 ^ ((s & 1) ? 0x420000u : 0u);
    p.random = s;
    return s;
}

}  // namespace wafersim
