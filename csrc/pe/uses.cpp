#include "pe/uses.hpp"

#include "pe/values.hpp"

namespace wafersim {
namespace {

bool has(const Instr& in, CodeFlag flag) {
    return in.flags & static_cast<int>(flag);
}

}  // namespace

Uses uses_of(const Program& program, const Instr& in) {
    Uses d;
    auto reg = [&](int32_t r) {
        if (r >= 0) d.regs[d.num_regs++] = r;
    };
    auto dsr = [&](int32_t r) { d.dsrs[d.num_dsrs++] = r; };
    const int op = static_cast<int>(in.op);
    if (has(in, CodeFlag::kSlotReg)) reg(in.aux);
    switch (in.op) {
        case Op::kNop:
        case Op::kLi:
            break;
        case Op::kSelect:
            reg(in.a);
            reg(in.b);
            reg(in.c);
            break;
        case Op::kStore:
            reg(in.a);
            reg(in.b);
            break;
        case Op::kLoop:
            if (!has(in, CodeFlag::kBImm)) reg(in.b);
            break;
        case Op::kEndloop:
            reg(in.dst);
            reg(in.c);
            break;
        case Op::kPrint:
            reg(in.a);
            reg(in.b);
            reg(in.c);
            break;
        case Op::kDsdSet:
            reg(in.a);
            if (in.dst >> 16) dsr(((in.dst >> 16) - 1) * 32 + (in.dst & 0xffff));
            break;
        case Op::kDsdGet:
            if (in.a >> 16) dsr(((in.a >> 16) - 1) * 32 + (in.a & 0xffff));
            break;
        case Op::kLoadDsr:
            dsr(in.dst);
            break;
        case Op::kStoreDsr:
            dsr(in.a);
            break;
        case Op::kFifoSet:
            reg(in.b);
            break;
        case Op::kVop:
        case Op::kMap: {
            d.vector = true;
            for (const int32_t operand : {in.dst, in.a, in.b, in.c}) {
                if (operand < 0) continue;
                const auto kind = static_cast<OperandKind>(operand >> 24);
                if (kind == OperandKind::kDsr) dsr(operand & 0xffffff);
                if (kind == OperandKind::kPtr || (kind == OperandKind::kReg && operand != in.dst))
                    reg(operand & 0xffffff);
            }
            if (in.settings >= 0) reg(program.settings[static_cast<size_t>(in.settings)].index_reg);
            break;
        }
        default:
            if (op <= 31 || in.op == Op::kBz || in.op == Op::kBnz || in.op == Op::kAssert || op >= 70) reg(in.a);
            if (op >= 3 && op <= 27 && !has(in, CodeFlag::kBImm)) {
                const bool two = (op >= 3 && op <= 14) || (op >= 18 && op <= 23);
                if (two) reg(in.b);
            }
            break;
    }
    return d;
}

ScalarTiming scalar_timing(const Instr& in) {
    const auto type = static_cast<Type>(in.type);
    const bool divides = in.op == Op::kDiv || in.op == Op::kRem;
    switch (in.op) {
        case Op::kNop:
        case Op::kLi:
        case Op::kMov:
        case Op::kSelect:
            return {};
        case Op::kCvt:
            if (!is_float(type) && !is_float(static_cast<Type>(in.imm))) return {};
            return {ArchInt::kCostFp, ArchInt::kLatencyFp, false};
        case Op::kMath:
            return {ArchInt::kCostMath, ArchInt::kLatencyFp, true};
        default:
            if (is_float(type)) return {divides ? ArchInt::kCostFdiv : ArchInt::kCostFp, ArchInt::kLatencyFp, divides};
            if (in.op != Op::kMul && !divides) return {};
            return {divides ? ArchInt::kCostDiv : ArchInt::kCostMul, ArchInt::kLatencyAlu, true};
    }
}

}  // namespace wafersim
