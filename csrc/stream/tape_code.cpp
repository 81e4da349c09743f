#include "stream/tape_code.hpp"

#include <algorithm>
#include <cstring>

#include "stream/tape.hpp"

namespace wafersim::stream {
namespace {

uint64_t cut(const Quick& q, uint64_t v) {
    return q.is_signed ? static_cast<uint64_t>(static_cast<int64_t>(v << q.shift) >> q.shift) : v << q.shift >> q.shift;
}

template <typename T>
T load(const uint8_t* at) {
    T v;
    std::memcpy(&v, at, sizeof v);
    return v;
}

bool less(const Quick& q, uint64_t a, uint64_t b) {
    return q.is_signed ? static_cast<int64_t>(a) < static_cast<int64_t>(b) : a < b;
}

// From the cells, whose first byte here is byte `origin`.
uint64_t load(const Quick& q, const uint8_t* cells, int32_t origin = 0) {
    const uint8_t* at = cells + (q.operand[0] - origin);
    if (q.kind == Quick::Kind::kLoad8) return load<uint64_t>(at);
    if (q.kind == Quick::Kind::kLoad2)
        return q.is_signed ? static_cast<uint64_t>(int64_t{load<int16_t>(at)}) : load<uint16_t>(at);
    uint64_t v = 0;
    std::memcpy(&v, at, static_cast<size_t>(q.operand[1]));
    return v;
}

uint64_t arithmetic(const Quick& q, const uint64_t* values) {
    const uint64_t a = q.operand[0] >= 0 ? values[q.operand[0]] : q.constant;
    if (q.kind == Quick::Kind::kExtend) return cut(q, a);
    if (q.kind == Quick::Kind::kMov) return a;
    const uint64_t b = q.operand[1] >= 0 ? values[q.operand[1]] : q.constant;
    switch (q.kind) {
        case Quick::Kind::kSelect:
            return a ? b : q.operand[2] >= 0 ? values[q.operand[2]] : q.constant;
        case Quick::Kind::kAdd:
            return cut(q, a + b);
        case Quick::Kind::kSub:
            return cut(q, a - b);
        case Quick::Kind::kMul:
            return cut(q, a * b);
        case Quick::Kind::kAnd:
            return cut(q, a & b);
        case Quick::Kind::kOr:
            return cut(q, a | b);
        case Quick::Kind::kXor:
            return cut(q, a ^ b);
        case Quick::Kind::kEq:
            return cut(q, a) == cut(q, b);
        case Quick::Kind::kNe:
            return cut(q, a) != cut(q, b);
        case Quick::Kind::kLt:
            return less(q, cut(q, a), cut(q, b));
        case Quick::Kind::kLe:
            return !less(q, cut(q, b), cut(q, a));
        case Quick::Kind::kGt:
            return less(q, cut(q, b), cut(q, a));
        default:
            return !less(q, cut(q, a), cut(q, b));
    }
}

bool is_load(const Quick& q) {
    return q.kind >= Quick::Kind::kLoad && q.kind <= Quick::Kind::kLoad2;
}
bool compares(const Quick& q) {
    return q.kind >= Quick::Kind::kEq;
}
bool is_integer(const Term& t) {
    return t.type <= Type::kU64;
}

// Whether both have the same value.
bool same(const Quick& a, const Quick& b) {
    return a.kind == b.kind && a.shift == b.shift && a.is_signed == b.is_signed && a.constant == b.constant &&
           std::equal(a.operand, a.operand + 3, b.operand);
}

// Terms become steps one by one; a term that only repeats another has no step of its own.
class Lowering {
  public:
    explicit Lowering(const std::vector<Term>& terms) {
        for (const Term& t : terms) step_of_.push_back(lower(t));
    }
    void guard(size_t term, uint64_t value) {
        int32_t at = step_of_[term];
        if (step(at).guard && step(at).value != value) {  // never fulfilled; kept as it is
            Quick again;
            again.kind = Quick::Kind::kMov;
            again.operand[0] = at;
            at = push(again);
        }
        step(at).guard = true;
        step(at).value = value;
    }
    int32_t step_of(int32_t term) const { return step_of_[static_cast<size_t>(term)]; }
    // What guards and stores need.
    Code finish(std::vector<Code::Store> stores) {
        std::vector<char> wanted(steps_.size());
        for (const Code::Store& s : stores)
            if (s.step >= 0) wanted[static_cast<size_t>(s.step)] = 1;
        for (size_t i = steps_.size(); i-- > 0;) {
            wanted[i] = wanted[i] || steps_[i].guard;
            if (wanted[i]) each_operand(steps_[i], [&](int32_t& o) { wanted[static_cast<size_t>(o)] = 1; });
        }
        Code code;
        std::vector<int32_t> place(steps_.size(), -1);
        for (size_t i = 0; i < steps_.size(); ++i) {
            if (!wanted[i]) continue;
            Quick q = steps_[i];
            each_operand(q, [&](int32_t& o) { o = place[static_cast<size_t>(o)]; });
            if (q.kind == Quick::Kind::kTerm) {
                code.general.push_back(general_[static_cast<size_t>(q.operand[0])]);
                q.operand[0] = static_cast<int32_t>(code.general.size()) - 1;
            }
            place[i] = static_cast<int32_t>(code.steps.size());
            code.steps.push_back(q);
        }
        for (Code::Store& s : stores)
            if (s.step >= 0) s.step = place[static_cast<size_t>(s.step)];
        code.stores = std::move(stores);
        return code;
    }

  private:
    Quick& step(int32_t i) { return steps_[static_cast<size_t>(i)]; }
    template <typename F>
    void each_operand(Quick& q, F&& f) {
        if (is_load(q)) return;
        int32_t* operands =
            q.kind == Quick::Kind::kTerm ? general_[static_cast<size_t>(q.operand[0])].operand : q.operand;
        for (int i = 0; i < 3; ++i)
            if (operands[i] >= 0) f(operands[i]);
    }
    int32_t push(const Quick& q) {
        for (size_t i = 0; i < steps_.size() && q.kind != Quick::Kind::kTerm; ++i)
            if (same(steps_[i], q)) return static_cast<int32_t>(i);
        steps_.push_back(q);
        return static_cast<int32_t>(steps_.size()) - 1;
    }
    int32_t lower(const Term& t) {
        if (t.kind == Term::Kind::kLoad) return lower_load(t);
        Quick q;
        if (is_integer(t) || t.op == Op::kMov || t.op == Op::kSelect) q = quick_of(t);
        if (q.kind == Quick::Kind::kTerm) {
            Term copy = t;
            for (int32_t& o : copy.operand)
                if (o >= 0) o = step_of(o);
            general_.push_back(copy);
            q.operand[0] = static_cast<int32_t>(general_.size()) - 1;
            return push(q);
        }
        if (const int32_t same = same_as(q); same >= 0) return same;
        if (q.kind == Quick::Kind::kExtend && q.shift == 48 && q.operand[0] >= 0) {
            const Quick& from = step(q.operand[0]);
            if (from.kind == Quick::Kind::kLoad2) {
                Quick whole = from;
                whole.is_signed = q.is_signed;
                return push(whole);
            }
        }
        return push(q);
    }
    int32_t lower_load(const Term& t) {
        Quick q;
        q.kind = t.bytes == 8 ? Quick::Kind::kLoad8 : t.bytes == 2 ? Quick::Kind::kLoad2 : Quick::Kind::kLoad;
        q.operand[0] = t.imm, q.operand[1] = t.bytes;
        return push(q);
    }
    Quick quick_of(const Term& t) const {
        Quick q;
        const int type = std::min(static_cast<int>(t.type), static_cast<int>(Type::kU64));
        q.shift = static_cast<uint8_t>(64 - (8 << type / 2));
        q.is_signed = type % 2 == 0;
        Quick::Kind kind = Quick::Kind::kTerm;
        size_t operands = 2;
        auto among = [&](Op first, Op last, Quick::Kind as) {
            if (t.op >= first && t.op <= last)
                kind =
                    static_cast<Quick::Kind>(static_cast<int>(as) + static_cast<int>(t.op) - static_cast<int>(first));
        };
        if (t.kind == Term::Kind::kExtend) {
            kind = Quick::Kind::kExtend, operands = 1;
        } else if (t.op == Op::kMov) {
            kind = Quick::Kind::kMov, operands = 1;
        } else if (t.op == Op::kSelect) {
            kind = Quick::Kind::kSelect, operands = 3;
        } else {
            among(Op::kAdd, Op::kMul, Quick::Kind::kAdd);
            among(Op::kAnd, Op::kXor, Quick::Kind::kAnd);
            among(Op::kEq, Op::kGe, Quick::Kind::kEq);
        }
        int constants = 0;
        for (size_t i = 0; i < operands; ++i) {
            q.operand[i] = t.operand[i] >= 0 ? step_of(t.operand[i]) : -1;
            if (t.operand[i] < 0) q.constant = t.constant[i], ++constants;
        }
        if (constants <= 1) q.kind = kind;
        return q;
    }
    // The step whose value it has in any case.
    int32_t same_as(const Quick& q) {
        if (q.operand[0] < 0) return -1;
        if (q.kind == Quick::Kind::kMov) return q.operand[0];
        const Quick& from = step(q.operand[0]);
        if (q.kind == Quick::Kind::kNe && q.operand[1] < 0 && q.constant == 0 && compares(from)) return q.operand[0];
        const bool fits = compares(from) || (((from.kind >= Quick::Kind::kAdd && !compares(from)) ||
                                              from.kind == Quick::Kind::kExtend || from.kind == Quick::Kind::kLoad2) &&
                                             from.is_signed == q.is_signed &&
                                             (from.kind == Quick::Kind::kLoad2 ? 48 : from.shift) == q.shift);
        return q.kind == Quick::Kind::kExtend && fits ? q.operand[0] : -1;
    }

    std::vector<Quick> steps_;
    std::vector<Term> general_;
    std::vector<int32_t> step_of_;
};

}  // namespace

namespace {

// The half words for which a comparison with a constant gives `value`; false if there are none, or it is of more bits.
bool range_of(const Quick& compare, bool sign_of_load, uint64_t value, HalfRange& r) {
    const auto c = static_cast<uint16_t>(compare.constant);
    if (compare.shift == 0 && compare.kind == Quick::Kind::kEq) {  // of all bits: as the load extends a half word
        const uint64_t extended = sign_of_load ? static_cast<uint64_t>(int64_t{static_cast<int16_t>(c)}) : uint64_t{c};
        if (extended != compare.constant || value != 1) return false;
    } else if (compare.shift != 48) {
        return false;
    }
    const auto least = static_cast<uint16_t>(compare.is_signed ? 0x8000 : 0), most = static_cast<uint16_t>(least - 1);
    auto set = [&](uint16_t low, uint16_t high) { r.low = low, r.span = static_cast<uint16_t>(high - low); };
    bool empty = false, inside = value != 0;
    switch (compare.kind) {
        case Quick::Kind::kNe:
            inside = !inside;
            [[fallthrough]];
        case Quick::Kind::kEq:
            set(c, c);
            break;
        case Quick::Kind::kGe:
            inside = !inside;
            [[fallthrough]];
        case Quick::Kind::kLt:
            empty = c == least;
            set(least, static_cast<uint16_t>(c - 1));
            break;
        case Quick::Kind::kGt:
            inside = !inside;
            [[fallthrough]];
        case Quick::Kind::kLe:
            if (c == most) return inside && (set(least, most), true);
            set(least, c);
            break;
        default:
            return false;
    }
    if (empty) return !inside && (set(least, most), true);
    if (!inside) set(static_cast<uint16_t>(r.low + r.span + 1), static_cast<uint16_t>(r.low - 1));
    return true;
}

// What lies in both of two ranges, if that is one range.
bool meet(const HalfRange& a, const HalfRange& b, HalfRange& both) {
    const uint32_t low = static_cast<uint16_t>(b.low - a.low), high = low + b.span;  // counted from a.low
    const bool begins = low <= a.span, round = high > UINT16_MAX;                    // in `a`; to its low end
    const uint32_t end = high - UINT16_MAX - 1;                                      // then
    if (!begins && !round) return false;
    if (begins && round && end + 1 < low) return false;
    both = a;
    if (begins && round) return true;
    if (round) return both.span = static_cast<uint16_t>(std::min<uint32_t>(a.span, end)), true;
    both.low = b.low;
    both.span = static_cast<uint16_t>(std::min<uint32_t>(a.span, high) - low);
    return true;
}

}  // namespace

HalfRanges Code::ranges(int32_t at) const {
    HalfRanges found;
    if (!only_reads(at)) return found;
    uint8_t count = 0;
    for (const Check& c : checks) {
        const int32_t from = c.load.operand[0] - at;
        const bool half = c.load.kind == Quick::Kind::kLoad2 ||
                          (c.load.kind == Quick::Kind::kLoad8 && c.compare.shift == 48);  // its low half then
        if (!half || c.compare.value > 1) return found;
        HalfRange r;
        if (!range_of(c.compare, c.load.is_signed, c.compare.value, r)) return found;
        const auto bits = static_cast<uint8_t>(8 * from);
        uint8_t i = 0;
        while (i < count && (found.bits[i] != bits || !meet(HalfRange{found.range[i]}, r, found.range[i]))) ++i;
        if (i == HalfRanges::kMost) return found;
        if (i < count) continue;
        found.bits[count] = bits, found.range[count] = r;
        ++count;
    }
    found.count = count;
    return found;
}

// Guards without anything else, if all of them are checks.
void Code::find_checks() {
    std::vector<Check> found;
    for (const Quick& q : steps) {
        if (!q.guard) continue;
        Check c;
        if (is_load(q)) {
            c.load = q;
            c.compare.kind = Quick::Kind::kEq;
            c.compare.constant = q.value, c.compare.value = 1;
        } else if (compares(q) && q.operand[0] >= 0 && q.operand[1] < 0 &&
                   is_load(steps[static_cast<size_t>(q.operand[0])])) {
            c.load = steps[static_cast<size_t>(q.operand[0])];
            c.compare = q;
        } else {
            return;
        }
        c.compare.operand[0] = 0, c.compare.operand[1] = -1;
        found.push_back(c);
    }
    checks = std::move(found);
}

bool Code::only_reads(int32_t at) const {
    return !checks.empty() && std::all_of(checks.begin(), checks.end(), [&](const Check& c) {
        const int32_t bytes = c.load.kind == Quick::Kind::kLoad8 ? 8 : c.load.operand[1];
        return c.load.operand[0] >= at && c.load.operand[0] + bytes <= at + 8;
    });
}

bool Code::check(const uint8_t* bytes, int32_t at) const {
    for (const Check& c : checks) {
        const uint64_t loaded = load(c.load, bytes, at);
        if (arithmetic(c.compare, &loaded) != c.compare.value) return false;
    }
    return true;
}

bool Code::run(const uint8_t* cells, std::vector<uint64_t>& values) const {
    if (!checks.empty()) return check(cells, 0);
    if (values.size() < steps.size()) values.resize(steps.size());
    uint64_t* out = values.data();
    for (const Quick& q : steps) {
        uint64_t v = 0;
        if (is_load(q)) {
            v = load(q, cells);
        } else if (q.kind != Quick::Kind::kTerm) {
            v = arithmetic(q, values.data());
        } else {
            v = evaluate(general[static_cast<size_t>(q.operand[0])], values.data());
        }
        if (q.guard && v != q.value) return false;
        *out++ = v;
    }
    return true;
}

void Code::store(const std::vector<uint64_t>& values, uint8_t* cells) const {
    for (const Store& s : stores) {
        const uint64_t v = s.step >= 0 ? values[static_cast<size_t>(s.step)] : s.constant;
        if (s.bytes == 8)
            std::memcpy(cells + s.at, &v, 8);
        else if (s.bytes == 2)
            std::memcpy(cells + s.at, &v, 2);
        else
            std::memcpy(cells + s.at, &v, static_cast<size_t>(s.bytes));
    }
}

Code code_of_guards(const std::vector<Term>& terms) {
    Lowering all(terms);
    for (size_t i = 0; i < terms.size(); ++i)
        if (terms[i].guard) all.guard(i, terms[i].value);
    Code code = all.finish({});
    code.find_checks();
    return code;
}

Code code_of_writes(const std::vector<Term>& terms, const std::vector<CellWrite>& writes) {
    Lowering all(terms);
    std::vector<Code::Store> stores;
    for (const CellWrite& w : writes)
        stores.push_back({w.at, w.bytes, w.term >= 0 ? all.step_of(w.term) : -1, w.constant});
    return all.finish(std::move(stores));
}

}  // namespace wafersim::stream
