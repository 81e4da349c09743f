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

Term fold(const Term& t, const std::vector<Folded>& values, bool& known) {
    Term made = t;
    made.guard = made.fixed = false;
    made.value = 0;
    known = true;
    for (size_t i = 0; i < 3; ++i) {
        if (t.operand[i] < 0) continue;
        const Folded& v = values[static_cast<size_t>(t.operand[i])];
        made.operand[i] = v.term;
        made.constant[i] = v.term < 0 ? v.constant : 0;
        known = known && v.term < 0;
    }
    return made;
}

void Tape::make_code() {
    guards_code = code_of_guards(terms);
    writes_code = code_of_writes(terms, writes);
}

bool matches(const Tape& tape, const uint8_t* cells, std::vector<uint64_t>& values) {
    return tape.guards_code.run(cells, values);
}

void commit(const Tape& tape, std::vector<uint64_t>& values, uint8_t* cells) {
    tape.writes_code.run(cells, values);
    tape.writes_code.store(values, cells);
}

void Recorder::begin(std::size_t registers) {
    terms_.clear();
    regs_.assign(registers, {});
    bytes_.clear();
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

void Recorder::drop_register(int32_t r) {
    regs_[static_cast<size_t>(r)].written = false;
}

// The first of what is stored that may reach byte `at`: nothing stored is longer than 8 bytes.
Recorder::Bytes::iterator Recorder::reaching(int32_t at) {
    return bytes_.lower_bound(at - 7);
}

int32_t Recorder::load_bytes(int32_t at, int32_t bytes, const uint8_t* memory) {
    const auto same = bytes_.find(at);
    if (same != bytes_.end() && same->second.bytes == bytes) {
        const int32_t term = same->second.term;
        return term >= 0 && !is_fixed(term) ? term : -1;
    }
    bool mixed = false;
    uint32_t stored = 0;  // which of the bytes
    for (auto it = reaching(at); it != bytes_.end() && it->first < at + bytes; ++it) {
        const auto& [first, s] = *it;
        for (int32_t i = std::max(first, at); i < std::min(first + s.bytes, at + bytes); ++i)
            mixed = true, stored |= 1U << (i - at), fix(s.term);
    }
    Term t;
    t.kind = Term::Kind::kLoad;
    for (int32_t i = 0; i < (mixed ? bytes : 1); ++i) {
        t.imm = static_cast<int32_t>(8 * regs_.size()) + at + i;
        t.bytes = mixed ? 1 : bytes;
        t.value = 0;
        std::memcpy(&t.value, memory + at + i, static_cast<size_t>(t.bytes));
        if (!mixed) return add(t);
        if (!(stored >> i & 1)) fix(add(t));
    }
    return -1;
}

void Recorder::store_bytes(int32_t at, int32_t bytes, uint64_t value, int32_t term) {
    for (auto it = reaching(at); it != bytes_.end() && it->first < at + bytes;) {
        const auto [first, s] = *it;
        if (first + s.bytes <= at) {
            ++it;
            continue;
        }
        it = bytes_.erase(it);
        if (at <= first && first + s.bytes <= at + bytes) continue;
        fix(s.term);  // split: its value is a constant from now on
        for (int32_t i = 0; i < s.bytes; ++i)
            if (first + i < at || first + i >= at + bytes) bytes_[first + i] = {1, -1, s.value >> 8 * i & 0xff};
    }
    bytes_[at] = {bytes, term, value};
}

void Recorder::forget_bytes(int32_t at, int32_t bytes) {
    for (int32_t i = 0; i < bytes; i += 8) store_bytes(at + i, std::min(bytes - i, 8), 0, -1);
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
Tape needed(Tape all) {
    std::vector<char> wanted(all.terms.size());
    for (const CellWrite& w : all.writes)
        if (w.term >= 0) wanted[static_cast<size_t>(w.term)] = 1;
    for (size_t i = all.terms.size(); i-- > 0;) {
        if (!wanted[i] && !all.terms[i].guard) continue;
        wanted[i] = 1;
        for (const int32_t o : all.terms[i].operand)
            if (o >= 0) wanted[static_cast<size_t>(o)] = 1;
    }
    std::vector<int32_t> place(all.terms.size(), -1);
    Tape tape;
    for (size_t i = 0; i < all.terms.size(); ++i) {
        if (!wanted[i]) continue;
        place[i] = static_cast<int32_t>(tape.terms.size());
        tape.terms.push_back(all.terms[i]);
        for (int32_t& o : tape.terms.back().operand)
            if (o >= 0) o = place[static_cast<size_t>(o)];
    }
    tape.writes = std::move(all.writes);
    for (CellWrite& w : tape.writes)
        if (w.term >= 0) w.term = place[static_cast<size_t>(w.term)];
    tape.make_code();
    return tape;
}

Tape Recorder::finish() {
    Tape tape;
    for (size_t r = 0; r < regs_.size(); ++r)
        if (regs_[r].written) tape.writes.push_back({static_cast<int32_t>(8 * r), 8, regs_[r].term, regs_[r].value});
    for (const auto& [at, s] : bytes_)
        tape.writes.push_back({static_cast<int32_t>(8 * regs_.size()) + at, s.bytes, s.term, s.value});
    std::sort(tape.writes.begin(), tape.writes.end(),
              [](const CellWrite& a, const CellWrite& b) { return a.at < b.at; });
    tape.terms = terms_;
    return needed(std::move(tape));
}

}  // namespace wafersim::stream
