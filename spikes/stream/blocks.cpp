// Local blocks: recorded once, found again by what decides on their costs, and applied in one step.
#include <algorithm>

#include "local.hpp"

namespace wafersim::stream {

void Local::fix(int32_t id) {
    if (!record_ || id < 0) return;
    Term& t = record_->terms[static_cast<size_t>(id)];
    if (t.fixed) return;
    t.fixed = true;
    const bool compares = t.op >= Op::kEq && t.op <= Op::kGe;
    int32_t open = -1;
    int count = 0;
    if (t.kind == Term::Kind::kOp || t.kind == Term::Kind::kExtend)
        for (const int32_t o : t.operand)
            if (o >= 0 && !record_->terms[static_cast<size_t>(o)].fixed) open = o, ++count;
    if (count == 1 && !compares) return fix(open);  // enough: the rest follows from it
    if (count == 0 && t.kind == Term::Kind::kOp) return;
    t.guard = true;
}

uint64_t Local::evaluate(const Term& t) const {
    uint64_t v[3];
    for (size_t i = 0; i < 3; ++i) v[i] = t.operand[i] >= 0 ? values_[static_cast<size_t>(t.operand[i])] : t.constant[i];
    if (t.kind == Term::Kind::kExtend) return extend(t.type, v[0]);
    switch (t.op) {
        case Op::kMov: return v[0];
        case Op::kSelect: return v[0] ? v[1] : v[2];
        case Op::kCvt: return scalar_convert(t.type, static_cast<Type>(t.imm), v[0]);
        case Op::kMath: return scalar_math(static_cast<MathFn>(t.imm), t.type, v[0]);
        default: return scalar_op(t.op, t.type, v[0], v[1]);
    }
}

bool Local::matches(const Main& m, const Block& b, Cycle t) {
    if (b.lead_issue != std::max<Cycle>(0, m.next_issue - t) || b.lead_vector != std::max<Cycle>(0, m.next_vector - t) || b.calls_before != m.calls) return false;
    for (const Fact& f : b.needs) {
        const auto i = static_cast<size_t>(f.index);
        switch (f.loc) {
            case Loc::kReg: if (m.regs[i].known != f.known || (f.known && m.regs[i].value != f.value)) return false; break;
            case Loc::kRegReady: if (std::max<Cycle>(0, m.regs[i].ready - t) != static_cast<Cycle>(f.value)) return false; break;
            case Loc::kSlot: if (m.slots[i] != static_cast<int32_t>(f.value)) return false; break;
            case Loc::kDsr: if (m.dsrs[i].dsd != static_cast<int32_t>(f.value)) return false; break;
            case Loc::kDsrReady: if (std::max<Cycle>(0, m.dsrs[i].ready - t) != static_cast<Cycle>(f.value)) return false; break;
            case Loc::kByte: if (m.unknown[i] == f.known || (f.known && m.memory[i] != f.value)) return false; break;
        }
    }
    values_.resize(b.terms.size());
    for (size_t k = 0; k < b.terms.size(); ++k) {
        const Term& term = b.terms[k];
        if (term.kind == Term::Kind::kReg) {
            const Reg& r = m.regs[static_cast<size_t>(term.imm)];
            if (!r.known) return false;
            values_[k] = r.value;
        } else if (term.kind == Term::Kind::kBytes) {
            uint64_t v = 0;
            for (int i = 0; i < term.operand[1]; ++i) {
                const auto at = static_cast<size_t>(term.imm + i);
                if (m.unknown[at]) return false;
                v |= static_cast<uint64_t>(m.memory[at]) << 8 * i;
            }
            values_[k] = v;
        } else {
            values_[k] = evaluate(term);
        }
        if (term.guard && values_[k] != term.value) return false;
    }
    return true;
}

const Block* Local::block(const Main& m, Cycle t) {
    if (!memo) return nullptr;
    for (const Recent& r : m.recent)
        if (r.start + arch_.vector_raw > t) return nullptr;  // the reads of the first ops would have to be compared too
    auto& list = memory_[m.pc];
    for (size_t i = 0; i < list.size(); ++i)
        if (matches(m, *list[i], t)) {
            ++hits;
            if (i) std::rotate(list.begin(), list.begin() + static_cast<ptrdiff_t>(i), list.begin() + static_cast<ptrdiff_t>(i) + 1);
            return list.front().get();
        }
    ++misses;
    auto fresh = std::make_unique<Block>();
    Block& b = *fresh;
    b.lead_issue = std::max<Cycle>(0, m.next_issue - t);
    b.lead_vector = std::max<Cycle>(0, m.next_vector - t);
    b.calls_before = m.calls;
    Main copy = m;
    copy.end = t;
    record_ = &b;
    record_start_ = t;
    made_.clear();
    needed_.clear();
    byte_term_.clear();
    reg_term_.assign(m.regs.size(), -2);
    unrecordable_ = false;
    run(copy, t, kForever, t);
    record_ = nullptr;
    record_start_ = 0;
    if (b.instructions == 0 || unrecordable_) return nullptr;
    values_.clear();
    for (const Term& term : b.terms) values_.push_back(term.value);
    ++blocks;
    block_instructions += static_cast<uint64_t>(b.instructions);
    for (const auto& [k, _] : made_) {
        const auto loc = static_cast<Loc>(k >> 32);
        const auto index = static_cast<int32_t>(k);
        const auto i = static_cast<size_t>(index);
        switch (loc) {
            case Loc::kReg: b.makes.push_back({loc, index, copy.regs[i].value, copy.regs[i].known, reg_term_[i]}); break;
            case Loc::kRegReady: b.makes.push_back({loc, index, static_cast<uint64_t>(copy.regs[i].ready - t), true}); break;
            case Loc::kSlot: b.makes.push_back({loc, index, static_cast<uint64_t>(copy.slots[i]), true}); break;
            case Loc::kDsr: b.makes.push_back({loc, index, static_cast<uint64_t>(copy.dsrs[i].dsd), true}); break;
            case Loc::kDsrReady: b.makes.push_back({loc, index, static_cast<uint64_t>(copy.dsrs[i].ready - t), true}); break;
            case Loc::kByte: {
                Fact fact{loc, index, copy.memory[i], !copy.unknown[i]};
                for (const auto& [first, stored] : byte_term_)
                    if (index >= first && index < first + stored.first && stored.second >= 0) fact.term = stored.second, fact.shift = 8 * (index - first);
                b.makes.push_back(fact);
                break;
            }
        }
    }
    b.calls_after = copy.calls;
    b.pc_after = copy.pc;
    b.in_task_after = copy.in_task;
    b.next_issue = copy.next_issue - t;
    b.next_vector = copy.next_vector - t;
    b.free_at = copy.free_at - t;
    b.last_issue = copy.last_issue - t;
    b.end = copy.end - t;
    // Nothing else of the PE can be affected before `stop`: the end of the task, or the issue of the next instruction.
    b.stop = copy.in_task ? std::max(ready_from(copy, t), copy.last_issue + 1) - t : b.free_at;
    for (const Recent& r : copy.recent)
        if (r.start >= t) b.recent.push_back({r.start - t, r.low, r.high});
    std::sort(b.recent.begin(), b.recent.end(), [](const Recent& x, const Recent& y) { return x.start < y.start; });
    list.insert(list.begin(), std::move(fresh));
    return list.front().get();
}

void Local::commit(Main& m, const Block& b, Cycle t) {
    if (!matches(m, b, t)) throw Refused("internal: a block is committed in another state than it was found for");
    const std::vector<uint64_t>& values = values_;
    replayed += static_cast<uint64_t>(b.instructions);
    for (const Fact& f : b.makes) {
        const auto i = static_cast<size_t>(f.index);
        switch (f.loc) {
            case Loc::kReg: m.regs[i].value = f.term >= 0 ? values[static_cast<size_t>(f.term)] : f.value, m.regs[i].known = f.known; break;
            case Loc::kRegReady: m.regs[i].ready = t + static_cast<Cycle>(f.value); break;
            case Loc::kSlot: m.slots[i] = static_cast<int32_t>(f.value); break;
            case Loc::kDsr: m.dsrs[i].dsd = static_cast<int32_t>(f.value); break;
            case Loc::kDsrReady: m.dsrs[i].ready = t + static_cast<Cycle>(f.value); break;
            case Loc::kByte: m.memory[i] = static_cast<uint8_t>(f.term >= 0 ? values[static_cast<size_t>(f.term)] >> f.shift : f.value), m.unknown[i] = !f.known; break;
        }
    }
    m.calls = b.calls_after;
    m.pc = b.pc_after;
    m.in_task = b.in_task_after;
    m.next_issue = t + b.next_issue;
    m.next_vector = t + b.next_vector;
    if (!m.in_task) m.free_at = t + b.free_at;
    m.last_issue = t + b.last_issue;
    m.end = std::max(m.end, t + b.end);
    m.active |= b.set_active;
    m.blocked = (m.blocked | b.set_blocked) & ~b.clear_blocked;
    m.done += b.done;
    for (const Recent& r : b.recent) {
        m.recent[m.recent_next] = {t + r.start, r.low, r.high};
        m.recent_next = (m.recent_next + 1) & 3;
    }
}

}  // namespace wafersim::stream
