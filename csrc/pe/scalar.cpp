// The main thread's instructions other than vector operations (docs/semantics.md, section 3).
#include <algorithm>
#include <cstring>

#include "pe/core.hpp"
#include "pe/random.hpp"
#include "pe/values.hpp"

namespace wafersim {
namespace {

bool has(const Instr& in, CodeFlag flag) {
    return in.flags & static_cast<int>(flag);
}

}  // namespace

Core::Core(const Program& program, const Arch& arch, Fabric& fabric, Wheel& routers, Wheel& ces, uint64_t seed)
    : program_(program), arch_(arch), fabric_(fabric), routers_(routers), ces_(ces), seed_(seed) {
    for (const Instr& in : program.code) decoded_.push_back(decode(in));
}

Core::Decoded Core::decode(const Instr& in) const {
    Decoded d;
    static_cast<Uses&>(d) = uses_of(program_, in);
    const int op = static_cast<int>(in.op);
    d.local = op <= 46 || (op >= 50 && op <= 54) || in.op == Op::kActivate || in.op == Op::kBlock ||
              in.op == Op::kUnblock || in.op == Op::kTaskPriority || (op >= 90 && op <= 92) ||
              in.op == Op::kMainPriority;
    return d;
}

void Core::end_task(Pe& p, Cycle t) {
    if (kTraceable && p.traced) [[unlikely]]
        trace_task(p, t + 1);
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
    if ((op >= 40 && op <= 46) || (op >= 70 && op <= 74) || in.op == Op::kMainPriority) return exec_control(p, in, t);
    if ((op >= 80 && op <= 89) || op >= 97) return exec_fabric(p, in, t);
    exec_scalar(p, in, t);
}

void Core::exec_scalar(Pe& p, const Instr& in, Cycle t) {
    const int op = static_cast<int>(in.op);
    const auto type = static_cast<Type>(in.type);
    auto reg = [&](int32_t r) -> uint64_t { return r < 0 ? 0 : p.regs[static_cast<size_t>(r)]; };
    const uint64_t a = reg(in.a);
    const uint64_t b = has(in, CodeFlag::kBImm) ? static_cast<uint64_t>(static_cast<int64_t>(in.imm))
                                                : (in.op == Op::kLoad ? 0 : reg(in.b));
    uint64_t result = 0;
    const ScalarTiming timing = scalar_timing(in);  // unless another case says otherwise
    ArchInt cost = timing.cost;
    Cycle latency = arch_.value(timing.latency);
    switch (in.op) {
        case Op::kNop:
            break;
        case Op::kLi:
            result = static_cast<uint64_t>(static_cast<uint32_t>(in.imm)) |
                     static_cast<uint64_t>(static_cast<uint32_t>(in.imm2)) << 32;
            break;
        case Op::kMov:
            result = a;
            break;
        case Op::kSelect:
            result = a ? reg(in.b) : reg(in.c);
            break;
        case Op::kCvt:
            result = scalar_convert(type, static_cast<Type>(in.imm), a);
            break;
        case Op::kMath:
            result = scalar_math(static_cast<MathFn>(in.imm), type, a);
            break;
        case Op::kLoad:
        case Op::kStore: {
            const auto address =
                static_cast<int32_t>(static_cast<uint16_t>(a + static_cast<uint64_t>(static_cast<int64_t>(in.imm))));
            const int bytes = type_bytes(type);
            if (touches_configuration(p, in)) {
                cost = ArchInt::kCostConfig;
                latency = arch_.value(ArchInt::kCostConfig);
                if (in.op == Op::kLoad)
                    result = load_configuration(p, address, t);
                else
                    store_configuration(p, address, static_cast<uint32_t>(reg(in.b)), t);
                if (p.dead) return;
            } else {
                if (address + bytes > arch_.sram_bytes || (bytes > 1 && address % 2)) {
                    fail(p, t,
                         std::string(in.op == Op::kLoad ? "a load" : "a store") + " of " + std::to_string(bytes) +
                             " bytes at address " + std::to_string(address) + " is misaligned or outside SRAM (" +
                             std::to_string(arch_.sram_bytes) + " bytes)",
                         -1, in.line);
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
            result = next_random(p.random) & 0xffff;
            cost = ArchInt::kCostRandom;
            latency = arch_.value(ArchInt::kCostRandom);
            break;
        case Op::kPerfGet:
            result = static_cast<uint64_t>(event_count(p, in.imm));
            cost = ArchInt::kCostTimestamp;
            latency = arch_.value(ArchInt::kCostTimestamp);
            break;
        default:
            result = scalar_op(in.op, type, a, b);
            break;
    }
    const Cycle next = t + arch_.value(cost);
    if (in.dst >= 0 && in.op != Op::kStore && op != 0 && in.op != Op::kTscControl) {
        p.regs[static_cast<size_t>(in.dst)] = result;
        p.reg_ready[static_cast<size_t>(in.dst)] = (timing.slow ? next - 1 : t) + latency;
    }
    p.next_issue = p.next_vector = next;
    mark(next);
    ++p.pc;
}

bool Core::exec_free(Pe& p, const Instr& in, Cycle t) {
    auto reg = [&](int32_t r) -> uint64_t { return r < 0 ? 0 : p.regs[static_cast<size_t>(r)]; };
    if (in.op == Op::kPrint) {
        if (prints.size() < 1000000)
            prints.push_back({t, fabric_.coord(p.id), in.imm, {reg(in.a), reg(in.b), reg(in.c)}, {in.a, in.b, in.c}});
    } else if (reg(in.a) == 0) {
        fail(p, t, "an assertion failed", -1, in.line);
        p.dead = true;
        return false;
    }
    ++p.count(Event::kInstructions);
    ++p.pc;
    return true;
}

// A count of the run record as it stands: those of the fabric are kept there.
int64_t Core::event_count(const Pe& p, int event) const {
    if (event < 0 || event >= kNumEvents) return 0;
    int64_t count = p.events[static_cast<size_t>(event)];
    switch (static_cast<Event>(event)) {
        case Event::kWaveletsSent:
            return p.queues->wavelets_sent;
        case Event::kWaveletsReceived:
            return p.queues->wavelets_received;
        case Event::kIqHighWater:
            for (const InputQueue& q : p.queues->iq) count = std::max<int64_t>(count, q.high_water);
            return count;
        case Event::kOqHighWater:
            for (const OutputQueue& q : p.queues->oq) count = std::max<int64_t>(count, q.high_water);
            return count;
        case Event::kArbitrationLosses:
            for (ColorState* cs : fabric_.colors(p.id)) fabric_.settle(*cs), count += cs->route->arbitration_losses;
            return count;
        case Event::kBackpressure:
            for (ColorState* cs : fabric_.colors(p.id)) fabric_.settle(*cs), count += cs->route->backpressure;
            return count;
        default:
            return count;
    }
}

}  // namespace wafersim
