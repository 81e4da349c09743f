#include "stream/partial.hpp"

#include <cstring>
#include <utility>

namespace wafersim::stream {

Partial::Value Partial::computed(const Term& t) {
    bool known = false;
    const Term made = fold(t, values_, known);
    if (known) return {-1, stream::evaluate(made, nullptr)};
    rest.terms.push_back(made);
    return {static_cast<int32_t>(rest.terms.size()) - 1, 0};
}

// False if it cannot hold. That a choice between two constants gives one of them says how it was decided.
bool Partial::guard(int32_t term, uint64_t value) {
    Term& t = rest.terms[static_cast<size_t>(term)];
    const bool chooses = t.kind == Term::Kind::kOp && t.op == Op::kSelect && t.operand[0] >= 0 && t.operand[1] < 0 &&
                         t.operand[2] < 0 && (t.constant[1] == value) != (t.constant[2] == value);
    if (chooses) {
        const Term& by = rest.terms[static_cast<size_t>(t.operand[0])];
        if (by.kind == Term::Kind::kOp && by.op >= Op::kEq && by.op <= Op::kGe)
            return guard(t.operand[0], t.constant[1] == value);
    }
    if (t.guard) return t.value == value;
    t.guard = true;
    t.value = value;
    return true;
}

Partial::Outcome Partial::evaluate(const Tape& tape, const Classes& classes, uint32_t values) {
    const std::span<const uint64_t> before = classes.mask(classes.layout_in(values));
    const uint8_t* shared = classes.values(values);
    rest = Tape{};
    values_.clear();
    for (const Term& t : tape.terms) {
        Value v;
        if (t.kind != Term::Kind::kLoad) {
            v = computed(t);
        } else if (const int own = owned(before, t.imm, t.bytes); own < 0) {
            return Outcome::kMixed;
        } else if (own) {
            v.term = static_cast<int32_t>(rest.terms.size());
            rest.terms.push_back(t);
            rest.terms.back().guard = false;
        } else {
            std::memcpy(&v.constant, shared + t.imm, static_cast<size_t>(t.bytes));
        }
        if (t.guard && v.term >= 0) {
            if (!guard(v.term, t.value)) return Outcome::kFails;
            v = {-1, t.value};
        } else if (t.guard && v.constant != t.value) {
            return Outcome::kFails;
        }
        values_.push_back(v);
    }
    mask.assign(before.begin(), before.end());
    after.assign(shared, shared + 8 * before.size());
    for (const CellWrite& w : tape.writes) {
        const Value v = w.term >= 0 ? values_[static_cast<size_t>(w.term)] : Value{-1, w.constant};
        set_owned(mask, w.at, w.bytes, v.term >= 0);
        if (v.term >= 0)
            rest.writes.push_back({w.at, w.bytes, v.term, 0});
        else
            std::memcpy(after.data() + w.at, &v.constant, static_cast<size_t>(w.bytes));
    }
    if (!rest.empty()) rest = needed(std::move(rest));
    return Outcome::kHolds;
}

Partials::Entry* Partials::put(const Entry& e) {
    const size_t mask = slots_.size() - 1;
    size_t i = place(e.tape, e.values);
    while (slots_[i].tape >= 0) i = (i + 1) & mask;
    slots_[i] = e;
    return &slots_[i];
}

const Partials::Entry& Partials::add(const Entry& e) {
    if (2 * ++size_ > slots_.size()) {
        const auto old = std::exchange(slots_, decltype(slots_)(2 * slots_.size()));
        for (const Entry& o : old)
            if (o.tape >= 0) put(o);
    }
    return *put(e);
}

void Partials::clear() {
    *this = Partials();
}

}  // namespace wafersim::stream
