#include "stream/liveness.hpp"

#include <algorithm>
#include <initializer_list>

#include "pe/uses.hpp"

namespace wafersim::stream {
namespace {

bool is_scalar(const Instr& in) {
    return in.op < Op::kJmp;
}
bool is_branch(const Instr& in) {
    return in.op >= Op::kJmp && in.op <= Op::kEndloop;
}
// Reads what `uses_of` says, when it issues.
bool is_plain(const Instr& in) {
    return in.op < Op::kVop || (in.op >= Op::kActivate && in.op <= Op::kTaskPriority);
}

}  // namespace

Liveness::Liveness(const Program& program) : program_(program), num_code_(program.code.size()) {
    for (const Tile& tile : program.tiles) num_regs_ = std::max(num_regs_, static_cast<size_t>(tile.num_regs));
    in_.resize((num_code_ + 2) * num_regs_);
    pinned_.resize(num_regs_);
    auto pin = [&](int32_t r) {
        if (r >= 0 && static_cast<size_t>(r) < num_regs_) pinned_[static_cast<size_t>(r)] = 1;
    };
    for (const Settings& s : program.settings) pin(s.index_reg);  // of whatever descriptor has them
    for (const Instr& in : program.code) {
        if (is_plain(in)) continue;
        const Uses uses = uses_of(program, in);
        for (size_t i = 0; i < uses.num_regs; ++i) pin(uses.regs[i]);
        for (const int32_t field : {in.dst, in.a, in.b, in.c, in.aux})
            pin(field);  // too many, if they are no registers
        if (in.op != Op::kVop && in.op != Op::kMap) continue;
        for (const int32_t field : {in.dst, in.a, in.b, in.c}) {
            const auto kind = static_cast<OperandKind>(field >> 24);
            if (kind == OperandKind::kReg || kind == OperandKind::kPtr) pin(field & 0xffffff);
        }
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t pc = num_code_; pc-- > 0;) changed = update(pc) || changed;
        for (const Tile& tile : program.tiles) {
            for (const Task& t : tile.tasks) changed = merge(num_code_, static_cast<size_t>(t.entry)) || changed;
            for (const Function& f : tile.functions)
                changed = merge(num_code_, static_cast<size_t>(f.entry)) || changed;
        }
    }
}

// What is live at `from` is so at `to`.
bool Liveness::merge(size_t to, size_t from) {
    if (to > num_code_ + 1 || from > num_code_ + 1) return false;
    bool changed = false;
    for (size_t r = 0; r < num_regs_; ++r) {
        char& bit = in_[to * num_regs_ + r];
        changed = changed || in_[from * num_regs_ + r] > bit;
        bit = std::max(bit, in_[from * num_regs_ + r]);
    }
    return changed;
}

bool Liveness::update(size_t pc) {
    const Instr& in = program_.code[pc];
    const size_t behind_return = num_code_ + 1;
    bool changed = false;
    std::vector<char> live(num_regs_);
    auto join = [&](size_t from) {
        if (from > behind_return) return;
        for (size_t r = 0; r < num_regs_; ++r) live[r] = std::max(live[r], in_[from * num_regs_ + r]);
    };
    auto set = [&](int32_t r, char to) {
        if (r >= 0 && static_cast<size_t>(r) < num_regs_) live[static_cast<size_t>(r)] = to;
    };
    if (in.op == Op::kRet)
        join(behind_return), join(num_code_);          // of a task: it ends
    else if (in.op != Op::kJmp && pc + 1 < num_code_)  // of a call, too: it comes back
        join(pc + 1);
    if (is_branch(in) && in.op != Op::kRet) join(static_cast<size_t>(in.imm));
    if (in.op == Op::kCall && pc + 1 < num_code_) changed = merge(behind_return, pc + 1);
    if (in.op == Op::kMap) join(static_cast<size_t>(in.imm)), changed = merge(behind_return, pc);
    if (is_scalar(in) && in.op != Op::kStore) set(in.dst, 0);
    if (in.op == Op::kLoop) set(in.dst, 0), set(in.c, 0);
    const Uses uses = uses_of(program_, in);
    for (size_t i = 0; i < uses.num_regs; ++i) set(uses.regs[i], 1);
    for (size_t r = 0; r < num_regs_; ++r) {
        char& bit = in_[pc * num_regs_ + r];
        changed = changed || live[r] > bit;
        bit = std::max(bit, live[r]);
    }
    return changed;
}

}  // namespace wafersim::stream
