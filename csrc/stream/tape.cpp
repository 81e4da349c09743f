#include "stream/tape.hpp"

#include <algorithm>
#include <cstring>

#include "pe/values.hpp"

namespace wafersim::stream {

uint64_t evaluate(const Term& t, const uint64_t* values) {
    auto operand = [&](size_t i) { return t.operand[i] >= 0 ? values[t.operand[i]] : t.constant[i]; };
    if (t.kind == Term::Kind::kExtend) return extend(t.type, operand(0));
    switch (t.op) {
        case Op::kMov:
            return operand(0);
        case Op::kSelect:
            return operand(0) ? operand(1) : operand(2);
        case Op::kCvt:
            return scalar_convert(t.type, static_cast<Type>(t.imm), operand(0));
        case Op::kMath:
            return scalar_math(static_cast<MathFn>(t.imm), t.type, operand(0));
        default:
            return scalar_op(t.op, t.type, operand(0), operand(1));
    }
}

namespace {

uint64_t cut(const Quick& q, uint64_t v) {
    return q.is_signed ? static_cast<uint64_t>(static_cast<int64_t>(v << q.shift) >> q.shift) : v << q.shift >> q.shift;
}

uint64_t load(const uint8_t* cells, int32_t at, int32_t bytes) {
    uint64_t v = 0;
    if (bytes == 8)
        std::memcpy(&v, cells + at, 8);
    else if (bytes == 2)
        std::memcpy(&v, cells + at, 2);
    else
        std::memcpy(&v, cells + at, static_cast<size_t>(bytes));
    return v;
}

bool less(const Quick& q, uint64_t a, uint64_t b) {
    return q.is_signed ? static_cast<int64_t>(a) < static_cast<int64_t>(b) : a < b;
}

uint64_t quickly(const Quick& q, const uint64_t* values) {
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

template <bool guards>
bool run(const Tape& tape, const uint8_t* cells, int64_t now, std::vector<uint64_t>& values) {
    if (values.size() < tape.quick.size()) values.resize(tape.quick.size());
    uint64_t* out = values.data();
    for (const Quick& q : tape.quick) {
        uint64_t v = 0;
        if (q.kind == Quick::Kind::kLoad) {
            v = load(cells, q.operand[0], q.operand[1]);
        } else if (q.kind != Quick::Kind::kTerm) {
            v = quickly(q, values.data());
        } else {
            const Term& t = tape.terms[static_cast<size_t>(out - values.data())];
            v = t.kind == Term::Kind::kTime ? (static_cast<uint64_t>(now) + t.constant[0]) & ((UINT64_C(1) << 48) - 1)
                                            : evaluate(t, values.data());
        }
        if (guards && q.guard && v != q.value) return false;
        *out++ = v;
    }
    return true;
}

Quick quick_of(const Term& t) {
    Quick q;
    q.guard = t.guard, q.value = t.value;
    if (t.kind == Term::Kind::kLoad) {
        q.kind = Quick::Kind::kLoad;
        q.operand[0] = t.imm, q.operand[1] = t.bytes;
        return q;
    }
    if (t.kind == Term::Kind::kTime || (t.type > Type::kU64 && t.op != Op::kMov && t.op != Op::kSelect)) return q;
    const int type = std::min(static_cast<int>(t.type), static_cast<int>(Type::kU64));
    q.shift = static_cast<uint8_t>(64 - (8 << type / 2));
    q.is_signed = type % 2 == 0;
    Quick::Kind kind = Quick::Kind::kTerm;
    size_t operands = 2;
    if (t.kind == Term::Kind::kExtend)
        kind = Quick::Kind::kExtend, operands = 1;
    else if (t.op == Op::kMov)
        kind = Quick::Kind::kMov, operands = 1;
    else if (t.op == Op::kSelect)
        kind = Quick::Kind::kSelect, operands = 3;
    else if (t.op >= Op::kAdd && t.op <= Op::kMul)
        kind = static_cast<Quick::Kind>(static_cast<int>(Quick::Kind::kAdd) + static_cast<int>(t.op) -
                                        static_cast<int>(Op::kAdd));
    else if (t.op >= Op::kAnd && t.op <= Op::kXor)
        kind = static_cast<Quick::Kind>(static_cast<int>(Quick::Kind::kAnd) + static_cast<int>(t.op) -
                                        static_cast<int>(Op::kAnd));
    else if (t.op >= Op::kEq && t.op <= Op::kGe)
        kind = static_cast<Quick::Kind>(static_cast<int>(Quick::Kind::kEq) + static_cast<int>(t.op) -
                                        static_cast<int>(Op::kEq));
    int constants = 0;
    for (size_t i = 0; i < operands; ++i) {
        q.operand[i] = t.operand[i];
        if (t.operand[i] < 0) q.constant = t.constant[i], ++constants;
    }
    if (constants <= 1) q.kind = kind;
    return q;
}

}  // namespace

void Tape::make_quick() {
    quick.clear();
    for (const Term& t : terms) quick.push_back(quick_of(t));
}

bool matches(const Tape& tape, const uint8_t* cells, int64_t now, std::vector<uint64_t>& values) {
    return run<true>(tape, cells, now, values);
}

void compute(const Tape& tape, const uint8_t* cells, int64_t now, std::vector<uint64_t>& values) {
    run<false>(tape, cells, now, values);
}

void commit(const Tape& tape, const std::vector<uint64_t>& values, uint8_t* cells) {
    for (const CellWrite& w : tape.writes) {
        const uint64_t v = w.term >= 0 ? values[static_cast<size_t>(w.term)] : w.constant;
        if (w.bytes == 8) {
            std::memcpy(cells + w.at, &v, 8);
            continue;
        }
        std::memcpy(cells + w.at, &v, static_cast<size_t>(w.bytes));
    }
}

void Recorder::begin(std::size_t registers, int64_t now) {
    terms_.clear();
    regs_.assign(registers, {});
    bytes_.clear();
    now_ = now;
}

int32_t Recorder::add(const Term& t) {
    terms_.push_back(t);
    return static_cast<int32_t>(terms_.size()) - 1;
}

int32_t Recorder::load_register(int32_t r, uint64_t value) {
    RegState& s = regs_[static_cast<size_t>(r)];
    if (s.term == -2) {
        Term t;
        t.kind = Term::Kind::kLoad;
        t.imm = 8 * r;
        t.value = value;
        s.term = add(t);
    }
    return s.term >= 0 && !is_fixed(s.term) ? s.term : -1;
}

void Recorder::store_register(int32_t r, uint64_t value, int32_t term) {
    regs_[static_cast<size_t>(r)] = {term, true, value};
}

void Recorder::forget_register(int32_t r) {
    regs_[static_cast<size_t>(r)] = {-1, false, 0};
}

int32_t Recorder::load_bytes(int32_t at, int32_t bytes, const uint8_t* memory) {
    const auto same = bytes_.find(at);
    if (same != bytes_.end() && same->second.bytes == bytes) {
        const int32_t term = same->second.term;
        return term >= 0 && !is_fixed(term) ? term : -1;
    }
    bool mixed = false;
    for (const auto& [first, s] : bytes_)
        if (first < at + bytes && at < first + s.bytes) mixed = true, fix(s.term);
    Term t;
    t.kind = Term::Kind::kLoad;
    for (int32_t i = 0; i < (mixed ? bytes : 1); ++i) {
        t.imm = static_cast<int32_t>(8 * regs_.size()) + at + i;
        t.bytes = mixed ? 1 : bytes;
        t.value = 0;
        std::memcpy(&t.value, memory + at + i, static_cast<size_t>(t.bytes));
        if (!mixed) return add(t);
        bool stored = false;
        for (const auto& [first, s] : bytes_) stored = stored || (first <= at + i && at + i < first + s.bytes);
        if (!stored) fix(add(t));
    }
    return -1;
}

void Recorder::store_bytes(int32_t at, int32_t bytes, uint64_t value, int32_t term) {
    for (auto it = bytes_.begin(); it != bytes_.end();) {
        const auto [first, s] = *it;
        const bool inside = at <= first && first + s.bytes <= at + bytes;
        if (inside) {
            it = bytes_.erase(it);
        } else if (first < at + bytes && at < first + s.bytes) {  // split: its value is a constant from now on
            fix(s.term);
            it = bytes_.erase(it);
            for (int32_t i = 0; i < s.bytes; ++i)
                if (first + i < at || first + i >= at + bytes) bytes_[first + i] = {1, -1, s.value >> 8 * i & 0xff};
            return store_bytes(at, bytes, value, term);
        } else {
            ++it;
        }
    }
    bytes_[at] = {bytes, term, value};
}

void Recorder::forget_bytes(int32_t at, int32_t bytes) {
    for (int32_t i = 0; i < bytes; ++i) store_bytes(at + i, 1, 0, -1);
}

void Recorder::fix(int32_t id) {
    if (id < 0) return;
    Term& t = terms_[static_cast<size_t>(id)];
    if (t.fixed) return;
    t.fixed = true;
    const bool compares = t.op >= Op::kEq && t.op <= Op::kGe;
    int32_t open = -1;
    int count = 0;
    if (t.kind == Term::Kind::kOp || t.kind == Term::Kind::kExtend)
        for (const int32_t o : t.operand)
            if (o >= 0 && !terms_[static_cast<size_t>(o)].fixed) open = o, ++count;
    if (count == 1 && !compares) return fix(open);  // enough: the rest follows from it
    if (count == 0 && (t.kind == Term::Kind::kOp || t.kind == Term::Kind::kExtend)) return;
    t.guard = true;
}

// Keeps the terms that guards and writes need.
Tape Recorder::finish() {
    Tape tape;
    for (size_t r = 0; r < regs_.size(); ++r)
        if (regs_[r].written) tape.writes.push_back({static_cast<int32_t>(8 * r), 8, regs_[r].term, regs_[r].value});
    for (const auto& [at, s] : bytes_)
        tape.writes.push_back({static_cast<int32_t>(8 * regs_.size()) + at, s.bytes, s.term, s.value});
    std::sort(tape.writes.begin(), tape.writes.end(),
              [](const CellWrite& a, const CellWrite& b) { return a.at < b.at; });
    std::vector<int32_t> place(terms_.size(), -1);
    std::vector<bool> wanted(terms_.size(), false);
    for (const CellWrite& w : tape.writes)
        if (w.term >= 0) wanted[static_cast<size_t>(w.term)] = true;
    for (size_t i = terms_.size(); i-- > 0;) {
        if (terms_[i].guard) wanted[i] = true;
        if (!wanted[i]) continue;
        for (const int32_t o : terms_[i].operand)
            if (o >= 0) wanted[static_cast<size_t>(o)] = true;
    }
    for (size_t i = 0; i < terms_.size(); ++i) {
        if (!wanted[i]) continue;
        place[i] = static_cast<int32_t>(tape.terms.size());
        tape.terms.push_back(terms_[i]);
        for (int32_t& o : tape.terms.back().operand)
            if (o >= 0) o = place[static_cast<size_t>(o)];
    }
    for (CellWrite& w : tape.writes)
        if (w.term >= 0) w.term = place[static_cast<size_t>(w.term)];
    tape.make_quick();
    return tape;
}

}  // namespace wafersim::stream
