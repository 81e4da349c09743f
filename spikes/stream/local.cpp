#include "local.hpp"

#include <algorithm>
#include <cstring>

namespace wafersim::stream {
namespace {

bool has(const Instr& in, CodeFlag flag) { return in.flags & static_cast<int>(flag); }
int kind_of(int32_t encoded) { return encoded < 0 ? 0 : encoded >> 24; }
[[noreturn]] void refuse(const Instr& in, const std::string& what) {
    throw Refused(what + " (opcode " + std::to_string(static_cast<int>(in.op)) + ", source map entry " + std::to_string(in.line) + ")");
}
int stride_cap(const Dsd& d) {
    const int step = d.stride[0] * d.elem_bytes, s = step / 2;
    if (s == 0 || s == 1 || (d.elem_bytes == 4 && (s == 2 || s == -2))) return 16;
    switch (((s % 8) + 8) % 8) {
        case 0: return 1;
        case 4: return d.elem_bytes == 4 ? 1 : 2;
        case 1:
        case 7: return 2;
        default: return 16;
    }
}

}  // namespace

Local::Local(const Program& program, const Arch& arch) : program_(program), arch_(arch) {
    for (const Instr& in : program.code) uses_.push_back(uses(in));
}

Local::Uses Local::uses(const Instr& in) const {
    Uses u;
    auto reg = [&](int32_t r) { if (r >= 0) u.regs[u.num_regs++] = r; };
    auto dsr = [&](int32_t r) { u.dsrs[u.num_dsrs++] = r; };
    const int op = static_cast<int>(in.op);
    u.local = op <= 46 || (op >= 50 && op <= 54) || (op >= 70 && op <= 73);
    if (has(in, CodeFlag::kSlotReg)) reg(in.aux);
    switch (in.op) {
        case Op::kNop:
        case Op::kLi: break;
        case Op::kSelect: reg(in.a); reg(in.b); reg(in.c); break;
        case Op::kStore: reg(in.a); reg(in.b); break;
        case Op::kLoop: if (!has(in, CodeFlag::kBImm)) reg(in.b); break;
        case Op::kEndloop: reg(in.dst); reg(in.c); break;
        case Op::kDsdSet:
            reg(in.a);
            if (in.dst >> 16) dsr(((in.dst >> 16) - 1) * 32 + (in.dst & 0xffff));
            break;
        case Op::kDsdGet: if (in.a >> 16) dsr(((in.a >> 16) - 1) * 32 + (in.a & 0xffff)); break;
        case Op::kLoadDsr: dsr(in.dst); break;
        case Op::kStoreDsr: dsr(in.a); break;
        case Op::kVop:
            u.vector = true;
            for (const int32_t operand : {in.dst, in.a, in.b, in.c}) {
                if (operand < 0) continue;
                const auto kind = static_cast<OperandKind>(operand >> 24);
                if (kind == OperandKind::kDsr) dsr(operand & 0xffffff);
                if (kind == OperandKind::kPtr || (kind == OperandKind::kReg && operand != in.dst)) reg(operand & 0xffffff);
            }
            if (in.settings >= 0) reg(program_.settings[static_cast<size_t>(in.settings)].index_reg);
            break;
        default:
            if (op <= 31 || in.op == Op::kBz || in.op == Op::kBnz || in.op == Op::kAssert || op >= 70) reg(in.a);
            if (((op >= 3 && op <= 13) || (op >= 18 && op <= 23)) && !has(in, CodeFlag::kBImm)) reg(in.b);
            break;
    }
    return u;
}

int32_t Local::intern(const Dsd& d) {
    const int32_t f[] = {static_cast<int32_t>(d.kind), d.base, d.elem_bytes, d.ndim, d.ext[0], d.ext[1], d.ext[2], d.ext[3],
                         d.stride[0], d.stride[1], d.stride[2], d.stride[3], d.queue, d.color, d.fifo, d.settings,
                         d.control, d.index_offset, d.advance_switch};
    std::string k(reinterpret_cast<const char*>(f), sizeof f);
    const auto [it, fresh] = ids_.try_emplace(std::move(k), static_cast<int32_t>(pool_.size()));
    if (fresh) pool_.push_back(d);
    return it->second;
}

int Local::dsr_index(const Main& m, int32_t dsr) const {
    const auto& n = m.tile->num_dsrs;
    const int file = dsr / 32;
    return (file > 0 ? n[0] : 0) + (file > 1 ? n[1] : 0) + dsr % 32;
}

void Local::need(Loc loc, int32_t index, uint64_t value, bool known) {
    if (!record_) return;
    const uint64_t k = key(loc, index);
    if (made_.count(k) || !needed_.try_emplace(k, true).second) return;
    record_->needs.push_back({loc, index, known ? value : 0, known});
}

uint64_t Local::read(Main& m, int32_t r, bool& known) {
    term_ = -1;
    if (r < 0) return 0;
    const Reg& reg = m.regs[static_cast<size_t>(r)];
    known = known && reg.known;
    if (!record_) return reg.value;
    int32_t& term = reg_term_[static_cast<size_t>(r)];
    if (term == -2) {
        if (reg.known) {
            term = static_cast<int32_t>(record_->terms.size());
            Term t;
            t.kind = Term::Kind::kReg;
            t.imm = r;
            t.value = reg.value;
            record_->terms.push_back(t);
        } else {
            need(Loc::kReg, r, 0, false);
            term = -1;
        }
    }
    if (reg.known && term >= 0 && !record_->terms[static_cast<size_t>(term)].fixed) term_ = term;
    return reg.value;
}

void Local::write(Main& m, int32_t r, uint64_t value, bool known, Cycle ready, int32_t term) {
    if (r < 0) return;
    m.regs[static_cast<size_t>(r)] = {known ? value : 0, ready, known};
    make(Loc::kReg, r);
    make(Loc::kRegReady, r);
    if (record_) reg_term_[static_cast<size_t>(r)] = known ? term : -1;
}

const Dsd* Local::dsr(const Main& m, int32_t encoded) const {
    if (kind_of(encoded) != static_cast<int>(OperandKind::kDsr)) return nullptr;
    return &dsd(m.dsrs[static_cast<size_t>(dsr_index(m, encoded & 0xffffff))].dsd);
}

Settings Local::settings_of(const Main& m, const Instr& in) const {
    if (in.settings >= 0) return program_.settings[static_cast<size_t>(in.settings)];
    for (const int32_t encoded : {in.dst, in.a, in.b})
        if (const Dsd* d = dsr(m, encoded); d && d->settings >= 0) return program_.settings[static_cast<size_t>(d->settings)];
    return {};
}

int64_t Local::vector_length(const Main& m, const Instr& in) const {
    bool endless = false;
    for (const int32_t encoded : {in.a, in.b, in.dst}) {
        const Dsd* d = dsr(m, encoded);
        if (!d || d->kind == DsdKind::kNone) continue;
        if (d->kind == DsdKind::kFifo) refuse(in, "FIFOs");
        int64_t n = 1;
        if (d->kind == DsdKind::kMem)
            for (int i = 0; i < d->ndim; ++i) n *= d->ext[static_cast<size_t>(i)];
        else
            n = d->ext[0];
        if (d->kind != DsdKind::kMem && n == kEndless) {
            endless = true;
            continue;
        }
        return n;
    }
    return endless ? kEndless : 1;
}

void Local::memory_range(const Dsd& d, int64_t length, int64_t& low, int64_t& high) const {
    int64_t inner = 1;
    for (int i = 0; i + 1 < d.ndim; ++i) inner *= std::max(d.ext[static_cast<size_t>(i)], 1);
    const int64_t outer = (length + inner - 1) / inner;
    low = high = d.base;
    for (int i = 0; i < d.ndim; ++i) {
        const int64_t extent = i + 1 == d.ndim ? outer : std::min<int64_t>(d.ext[static_cast<size_t>(i)], length);
        const int64_t reach = (extent - 1) * d.stride[static_cast<size_t>(i)] * d.elem_bytes;
        (reach < 0 ? low : high) += reach;
    }
    high += d.elem_bytes;
}

void Local::vector_writes(Main& m, int64_t low, int64_t high) {
    const ControlBytes& c = *m.control;
    for (size_t i = 0; i < c.ranges.size(); ++i) {
        const int64_t a = std::max<int64_t>(low, c.ranges[i].first), b = std::min<int64_t>(high, c.ranges[i].second);
        for (int64_t x = a; x < b; ++x) {
            const auto at = static_cast<int32_t>(c.offset[i] + x - c.ranges[i].first);
            m.unknown[static_cast<size_t>(at)] = 1;
            make(Loc::kByte, at);
        }
    }
}

bool Local::is_local(const Main& m) const {
    const Instr& in = program_.code[static_cast<size_t>(m.pc)];
    const Uses& u = uses_[static_cast<size_t>(m.pc)];
    if (u.local) return true;
    if (!u.vector) return false;
    for (const int32_t encoded : {in.dst, in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, encoded); d && d->kind != DsdKind::kMem) return false;
    const Settings s = settings_of(m, in);
    return !s.async && s.activate < 0 && s.unblock < 0 && vector_length(m, in) > 0;
}

Cycle Local::ready_from(const Main& m, Cycle t) {
    const Instr& in = program_.code[static_cast<size_t>(m.pc)];
    const Uses& u = uses_[static_cast<size_t>(m.pc)];
    Cycle from = u.vector ? m.next_vector : m.next_issue;
    for (int i = 0; i < u.num_regs; ++i) {
        const Cycle r = m.regs[static_cast<size_t>(u.regs[i])].ready;
        need(Loc::kRegReady, u.regs[i], static_cast<uint64_t>(std::max<Cycle>(0, r - record_start_)), true);
        from = std::max(from, r);
    }
    for (int i = 0; i < u.num_dsrs; ++i) {
        const int d = dsr_index(m, u.dsrs[i]);
        const Cycle r = m.dsrs[static_cast<size_t>(d)].ready;
        need(Loc::kDsrReady, d, static_cast<uint64_t>(std::max<Cycle>(0, r - record_start_)), true);
        if (u.vector) need(Loc::kDsr, d, static_cast<uint64_t>(m.dsrs[static_cast<size_t>(d)].dsd), true);
        from = std::max(from, r);
    }
    if (!u.vector) return from;
    const Cycle at = std::max(t, from);
    for (const Recent& r : m.recent) {
        if (r.start + arch_.vector_raw <= at) continue;
        const int64_t length = vector_length(m, in);
        for (const int32_t encoded : {in.a, in.b}) {
            const Dsd* d = dsr(m, encoded);
            if (!d || d->kind != DsdKind::kMem || !length) continue;
            int64_t low, high;
            memory_range(*d, length, low, high);
            if (low < r.high && r.low < high) from = std::max(from, r.start + arch_.vector_raw);
        }
    }
    return from;
}

Local::Why Local::run(Main& m, Cycle now, Cycle limit, Cycle slot_free) {
    Cycle floor = std::max(now, slot_free);
    while (m.in_task) {
        if (!is_local(m)) return Why::kNotLocal;
        const Cycle at = std::max(ready_from(m, floor), floor);
        if (at >= limit) return Why::kLimit;
        const bool vector = uses_[static_cast<size_t>(m.pc)].vector;
        execute(m, program_.code[static_cast<size_t>(m.pc)], at);
        ++instructions;
        floor = vector ? m.next_vector : at + 1;
        if (record_) ++record_->instructions;
    }
    return Why::kTaskEnded;
}

int Local::width_of(const Main& m, const Instr& in, VOp vop) const {
    int width = arch_.vop[static_cast<int>(vop)].simd, bytes = 0;
    for (const int32_t e : {in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem) bytes += d->elem_bytes;
    if (bytes) width = std::min(width, std::max(1, arch_.read_bytes / bytes));
    for (const int32_t e : {in.dst, in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem) width = std::min(width, stride_cap(*d));
    const int dst = kind_of(in.dst);
    if (dst == static_cast<int>(OperandKind::kReg) || dst == static_cast<int>(OperandKind::kPtr)) width = 1;
    return width;
}

// A synchronous op on memory alone, starting at t: its last beat and cost give the next instructions' times.
void Local::local_vector(Main& m, const Instr& in, Cycle t) {
    const auto vop = static_cast<VOp>(in.type);
    const VopCost& rate = arch_.vop[in.type];
    const int64_t length = vector_length(m, in);
    if (length == kEndless) refuse(in, "a memory op of endless length");
    const int dst = kind_of(in.dst);
    const bool scalar_dst = dst == static_cast<int>(OperandKind::kReg) || dst == static_cast<int>(OperandKind::kPtr);
    const int width = width_of(m, in, vop);
    const int cost = std::max(rate.beat_cycles, scalar_dst ? arch_.scalar_dest : 1);
    struct Walk {
        const Dsd* d;
        int64_t addr;
        int32_t index[4] = {};
        void advance() {
            for (int i = 0; i < d->ndim; ++i) {
                const auto k = static_cast<size_t>(i);
                if (++index[i] < d->ext[k] || i + 1 == d->ndim) break;
                index[i] = 0;
            }
            addr = d->base;
            for (int i = 0; i < d->ndim; ++i) addr += static_cast<int64_t>(index[i]) * d->stride[static_cast<size_t>(i)] * d->elem_bytes;
        }
    };
    std::vector<Walk> walks;
    std::vector<size_t> sources;
    bool plain = true;
    int64_t low = 0, high = 0;
    for (const int32_t e : {in.dst, in.a, in.b, in.c}) {
        const Dsd* d = dsr(m, e);
        if (!d || d->kind != DsdKind::kMem) continue;
        if (d->index_offset) refuse(in, "INDEX_OFFSET");
        if (e != in.dst || &e == &in.dst) {}
        walks.push_back({d, d->base, {}});
        plain = plain && d->ndim == 1;
    }
    const Dsd* target = dsr(m, in.dst);
    const size_t first_source = target && target->kind == DsdKind::kMem ? 1 : 0;
    for (size_t i = first_source; i < walks.size(); ++i) sources.push_back(i);
    const bool pair = sources.size() >= 2;
    auto conflict = [&]() -> int {
        if (!pair) return 0;
        const int64_t d = (walks[sources[0]].addr >> 2) - (walks[sources[1]].addr >> 2);
        const int64_t p = arch_.conflict_period_words;
        return ((d % p) + p) % p == arch_.conflict_class_words ? arch_.conflict_cycles : 0;
    };
    Cycle last = t;
    int last_cost = cost;
    bool same = plain;
    if (pair && plain) {
        const int64_t s0 = walks[sources[0]].d->stride[0] * walks[sources[0]].d->elem_bytes, s1 = walks[sources[1]].d->stride[0] * walks[sources[1]].d->elem_bytes;
        same = s0 == s1 && s0 % 4 == 0;
    }
    if (same) {
        const int64_t beats = (length + width - 1) / width;
        last_cost = cost + conflict();
        const bool paced = static_cast<int64_t>(rate.pace_num) > static_cast<int64_t>(last_cost) * rate.pace_den;
        last = t + (paced ? (beats - 1) * rate.pace_num / rate.pace_den : (beats - 1) * last_cost);
    } else {
        int64_t done = 0, beats = 0;
        Cycle next = t;
        while (done < length) {
            int64_t n = std::min<int64_t>(width, length - done);
            for (const Walk& w : walks)
                if (w.d->ndim > 1) n = std::min<int64_t>(n, w.d->ext[0] - w.index[0]);
            last = next;
            last_cost = cost + conflict();
            for (Walk& w : walks)
                for (int64_t i = 0; i < n; ++i) w.advance();
            done += n;
            ++beats;
            next = std::max(last + last_cost, t + beats * rate.pace_num / rate.pace_den);
        }
    }
    if (target && target->kind == DsdKind::kMem) {
        memory_range(*target, length, low, high);
        vector_writes(m, low, high);
        m.recent[m.recent_next] = {t, static_cast<int32_t>(low), static_cast<int32_t>(high)};
        m.recent_next = (m.recent_next + 1) & 3;
    }
    if (dst == static_cast<int>(OperandKind::kReg)) write(m, in.dst & 0xffffff, 0, false, last + last_cost);
    if (dst == static_cast<int>(OperandKind::kPtr)) {
        bool known = true;
        const auto address = static_cast<uint16_t>(read(m, in.dst & 0xffffff, known));
        fix(term_);
        if (!known) refuse(in, "a scalar destination at an unknown address");
        vector_writes(m, address, address + 4);
    }
    const Settings set = settings_of(m, in);
    if (set.save_address)
        for (const int32_t e : {in.dst, in.a, in.b})
            if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem && d->ndim == 1) {
                Dsd moved = *d;
                moved.base = (moved.base + static_cast<int32_t>(length) * d->stride[0] * d->elem_bytes) & 0xffff;
                const int at = dsr_index(m, e & 0xffffff);
                m.dsrs[static_cast<size_t>(at)].dsd = intern(moved);
                make(Loc::kDsr, at);
            }
    if (in.aux >= 0) write(m, in.aux, 1, true, last + last_cost);
    m.last_issue = last;
    m.next_vector = last + last_cost;
    m.next_issue = last + last_cost - 1 + arch_.vector_drain;
    m.end = std::max(m.end, last + last_cost);
    ++m.pc;
}

void Local::execute(Main& m, const Instr& in, Cycle t) {
    if (in.op == Op::kVop) return local_vector(m, in, t);
    auto cost = [&](ArchInt slot) { return t + arch_.value(slot); };
    const int op = static_cast<int>(in.op);
    const Cycle alu = cost(ArchInt::kLatencyAlu);
    Cycle next = t + 1;
    int32_t target = m.pc + 1;
    m.last_issue = t;
    bool known = true;
    auto task_id = [&] {
        const int id = static_cast<int>(in.a < 0 ? in.imm : static_cast<int32_t>(read(m, in.a, known) & 0xffff));
        if (in.a >= 0) fix(term_);
        if (!known || id < 0 || id > 63) refuse(in, "a task number that depends on data");
        return id;
    };
    auto slot = [&](int32_t given) {
        const int64_t s = has(in, CodeFlag::kSlotReg) ? static_cast<int64_t>(read(m, in.aux, known) & 0xffffffff) : given;
        if (has(in, CodeFlag::kSlotReg)) fix(term_);
        if (!known || s < 0 || s >= static_cast<int64_t>(m.slots.size())) refuse(in, "a descriptor number that depends on data");
        return static_cast<int32_t>(s);
    };
    auto read_dsd = [&](int32_t operand) -> int32_t {
        if (operand >> 16 == 0) {
            const int32_t s = slot(operand & 0xffff);
            need(Loc::kSlot, s, static_cast<uint64_t>(m.slots[static_cast<size_t>(s)]), true);
            return m.slots[static_cast<size_t>(s)];
        }
        const int d = dsr_index(m, ((operand >> 16) - 1) * 32 + (operand & 0xffff));
        need(Loc::kDsr, d, static_cast<uint64_t>(m.dsrs[static_cast<size_t>(d)].dsd), true);
        return m.dsrs[static_cast<size_t>(d)].dsd;
    };
    auto write_dsd = [&](int32_t operand, int32_t id) {
        if (operand >> 16 == 0) {
            const int32_t s = slot(operand & 0xffff);
            m.slots[static_cast<size_t>(s)] = id;
            make(Loc::kSlot, s);
        } else {
            const int d = dsr_index(m, ((operand >> 16) - 1) * 32 + (operand & 0xffff));
            m.dsrs[static_cast<size_t>(d)].dsd = id;
            make(Loc::kDsr, d);
        }
    };
    switch (in.op) {
        case Op::kJmp: target = in.imm; next = cost(ArchInt::kCostJump); break;
        case Op::kBz:
        case Op::kBnz: {
            const bool zero = read(m, in.a, known) == 0;
            fix(term_);
            if (!known) refuse(in, "a branch that depends on array data; values cannot be switched off for this program");
            const bool taken = zero == (in.op == Op::kBz);
            if (taken) target = in.imm;
            next = cost(taken ? ArchInt::kCostBranchTaken : ArchInt::kCostBranchNotTaken);
            break;
        }
        case Op::kCall:
            m.calls.push_back(m.pc + 1);
            target = in.imm;
            next = cost(ArchInt::kCostCall);
            break;
        case Op::kRet:
            if (m.calls.empty()) {
                m.in_task = false;
                m.free_at = t + arch_.task_end;
                m.end = std::max(m.end, m.free_at);
                return;
            }
            target = m.calls.back();
            m.calls.pop_back();
            next = cost(ArchInt::kCostRet);
            break;
        case Op::kLoop: {
            const uint64_t count = has(in, CodeFlag::kBImm) ? static_cast<uint64_t>(static_cast<int64_t>(in.imm2)) : read(m, in.b, known);
            if (!has(in, CodeFlag::kBImm)) fix(term_);
            if (!known) refuse(in, "a loop count that depends on array data");
            write(m, in.dst, 0, true, alu);
            write(m, in.c, count, true, alu);
            next = cost(ArchInt::kCostLoop);
            if (static_cast<int64_t>(count) <= 0) target = in.imm, next = cost(ArchInt::kCostBranchTaken);
            break;
        }
        case Op::kEndloop: {
            const uint64_t turn = read(m, in.dst, known) + 1;
            fix(term_);
            const uint64_t count = read(m, in.c, known);
            fix(term_);
            if (!known) refuse(in, "a loop that depends on array data");
            write(m, in.dst, turn, true, alu);
            const bool again = static_cast<int64_t>(turn) < static_cast<int64_t>(count);
            if (again) target = in.imm;
            next = cost(again ? ArchInt::kCostLoopBack : ArchInt::kCostLoopExit);
            break;
        }
        case Op::kDsdSet: {
            Dsd d = dsd(read_dsd(in.dst));
            const auto v = static_cast<int32_t>(in.a < 0 ? in.imm2 : static_cast<int32_t>(read(m, in.a, known)));
            if (in.a >= 0) fix(term_);
            if (!known) refuse(in, "a descriptor field that depends on array data");
            switch (static_cast<DsdField>(in.imm)) {
                case DsdField::kBase: d.base = v & 0xffff; break;
                case DsdField::kLength: d.ext[0] = v & 0xffff; break;
                case DsdField::kStride: d.stride[0] = static_cast<int16_t>(v); break;
                case DsdField::kOffset: d.base = (d.base + v) & 0xffff; break;
                case DsdField::kQueue: d.queue = v & 7; break;
                case DsdField::kColor: d.color = v < 0 || v >= kMaxColors ? 0 : v; break;
            }
            write_dsd(in.dst, intern(d));
            next = cost(ArchInt::kCostDsdSet);
            break;
        }
        case Op::kDsdGet: {
            const Dsd& d = dsd(read_dsd(in.a));
            int32_t v = 0;
            switch (static_cast<DsdField>(in.imm)) {
                case DsdField::kBase:
                case DsdField::kOffset: v = d.base; break;
                case DsdField::kLength: v = d.ext[0]; break;
                case DsdField::kStride: v = d.stride[0]; break;
                case DsdField::kQueue: v = d.queue; break;
                case DsdField::kColor: v = d.color; break;
            }
            write(m, in.dst, static_cast<uint64_t>(static_cast<int64_t>(v)), true, alu);
            next = cost(ArchInt::kCostDsdSet);
            break;
        }
        case Op::kDsdCopy: {
            const int32_t from = slot(in.a);
            need(Loc::kSlot, from, static_cast<uint64_t>(m.slots[static_cast<size_t>(from)]), true);
            m.slots[static_cast<size_t>(in.dst)] = m.slots[static_cast<size_t>(from)];
            make(Loc::kSlot, in.dst);
            next = cost(ArchInt::kCostDsdSet);
            break;
        }
        case Op::kLoadDsr: {
            const int32_t from = slot(in.a);
            need(Loc::kSlot, from, static_cast<uint64_t>(m.slots[static_cast<size_t>(from)]), true);
            Dsd d = dsd(m.slots[static_cast<size_t>(from)]);
            d.settings = in.settings;
            const int at = dsr_index(m, in.dst);
            m.dsrs[static_cast<size_t>(at)] = {intern(d), t + arch_.dsr_load_use};
            make(Loc::kDsr, at);
            make(Loc::kDsrReady, at);
            next = cost(ArchInt::kCostLoadDsr);
            break;
        }
        case Op::kStoreDsr: {
            const int at = dsr_index(m, in.a);
            need(Loc::kDsr, at, static_cast<uint64_t>(m.dsrs[static_cast<size_t>(at)].dsd), true);
            const int32_t to = slot(in.dst);
            m.slots[static_cast<size_t>(to)] = m.dsrs[static_cast<size_t>(at)].dsd;
            make(Loc::kSlot, to);
            next = cost(ArchInt::kCostDsdSet);
            break;
        }
        case Op::kActivate: {
            const int task = m.tile->local_task[static_cast<size_t>(task_id())];
            if (task < 0) refuse(in, "activation of a task that is not bound");
            m.active |= UINT64_C(1) << task;
            if (record_) record_->set_active |= UINT64_C(1) << task;
            next = cost(ArchInt::kCostTaskControl);
            break;
        }
        case Op::kBlock:
        case Op::kUnblock: {
            if (in.type != 0) refuse(in, "blocking of control tasks or microthreads");
            const int task = m.tile->local_task[static_cast<size_t>(task_id())];
            const uint64_t bit = task < 0 ? 0 : UINT64_C(1) << task;
            if (in.op == Op::kBlock) m.blocked |= bit; else m.blocked &= ~bit;
            if (record_) {
                uint64_t &set = in.op == Op::kBlock ? record_->set_blocked : record_->clear_blocked, &other = in.op == Op::kBlock ? record_->clear_blocked : record_->set_blocked;
                set |= bit;
                other &= ~bit;
            }
            next = cost(ArchInt::kCostTaskControl);
            break;
        }
        case Op::kDone:
            ++m.done;
            if (record_) ++record_->done;
            next = cost(ArchInt::kCostDone);
            break;
        case Op::kLoad:
        case Op::kStore: {
            const auto type = static_cast<Type>(in.type);
            const int bytes = type_bytes(type);
            const uint64_t base = in.a < 0 ? 0 : read(m, in.a, known);
            if (in.a >= 0) fix(term_);
            const auto address = static_cast<int32_t>(static_cast<uint16_t>(base + static_cast<uint64_t>(static_cast<int64_t>(in.imm))));
            if (known && address + bytes > arch_.sram_bytes) refuse(in, "a configuration word");
            const int at = known ? m.control->find(address, address + bytes) : -1;
            if (in.op == Op::kLoad) {
                uint64_t value = 0;
                bool clear = at >= 0;
                for (int i = 0; at >= 0 && i < bytes; ++i) {
                    const auto b = static_cast<size_t>(at + i);
                    clear = clear && !m.unknown[b];
                    value |= static_cast<uint64_t>(m.memory[b]) << 8 * i;
                }
                int32_t term = -1;
                if (record_ && at >= 0) {
                    int made = 0;
                    for (int i = 0; i < bytes; ++i) made += made_.count(key(Loc::kByte, at + i)) > 0;
                    const auto stored = byte_term_.find(at);
                    if (made == bytes && stored != byte_term_.end() && stored->second.first == bytes) {
                        term = stored->second.second;
                    } else if (made) {
                        unrecordable_ = true;
                    } else if (clear) {
                        term = static_cast<int32_t>(record_->terms.size());
                        Term t_in;
                        t_in.kind = Term::Kind::kBytes;
                        t_in.imm = at;
                        t_in.operand[1] = bytes;
                        t_in.value = value;
                        record_->terms.push_back(t_in);
                    } else {
                        for (int i = 0; i < bytes; ++i) need(Loc::kByte, at + i, m.memory[static_cast<size_t>(at + i)], !m.unknown[static_cast<size_t>(at + i)]);
                    }
                    if (term >= 0 && clear) {
                        Term t_ex;
                        t_ex.kind = Term::Kind::kExtend;
                        t_ex.type = type;
                        t_ex.operand[0] = term;
                        t_ex.value = extend(type, value);
                        term = static_cast<int32_t>(record_->terms.size());
                        record_->terms.push_back(t_ex);
                    }
                }
                write(m, in.dst, extend(type, value), clear, t + arch_.value(ArchInt::kLatencyLoad), clear ? term : -1);
                next = cost(ArchInt::kCostLoad);
            } else {
                if (!known) refuse(in, "a store to an address that depends on array data");
                bool value_known = true;
                const uint64_t value = read(m, in.b, value_known);
                if (record_ && at >= 0) {
                    std::erase_if(byte_term_, [&](const auto& e) { return e.first < at + bytes && at < e.first + e.second.first; });
                    byte_term_[at] = {bytes, value_known ? term_ : -1};
                }
                if (at >= 0) {
                    for (int i = 0; i < bytes; ++i) {
                        m.memory[static_cast<size_t>(at + i)] = static_cast<uint8_t>(value >> 8 * i);
                        m.unknown[static_cast<size_t>(at + i)] = !value_known;
                        make(Loc::kByte, at + i);
                    }
                } else {
                    vector_writes(m, address, address + bytes);
                }
                next = cost(ArchInt::kCostStore);
            }
            break;
        }
        default: {
            if (op > 29) refuse(in, "an instruction that this prototype does not execute");
            const auto type = static_cast<Type>(in.type);
            const uint64_t a = read(m, in.a, known);
            Term term;
            term.operand[0] = term_;
            term.constant[0] = a;
            uint64_t result = 0;
            ArchInt slot_cost = ArchInt::kCostAlu;
            Cycle latency = arch_.value(ArchInt::kLatencyAlu);
            bool slow = false;
            if (in.op == Op::kLi) {
                result = static_cast<uint64_t>(static_cast<uint32_t>(in.imm)) | static_cast<uint64_t>(static_cast<uint32_t>(in.imm2)) << 32;
                known = true;
            } else if (in.op == Op::kNop) {
                m.next_issue = m.next_vector = t + arch_.value(ArchInt::kCostAlu);
                ++m.pc;
                return;
            } else if (in.op == Op::kMov) {
                result = a;
            } else if (in.op == Op::kSelect) {
                const bool first = known;
                const uint64_t b = read(m, in.b, known);
                term.operand[1] = term_, term.constant[1] = b;
                const uint64_t c = read(m, in.c, known);
                term.operand[2] = term_, term.constant[2] = c;
                known = known && first;
                result = a ? b : c;
            } else if (in.op == Op::kCvt) {
                const auto from = static_cast<Type>(in.imm);
                if (known) result = scalar_convert(type, from, a);
                if (is_float(type) || is_float(from)) slot_cost = ArchInt::kCostFp, latency = arch_.value(ArchInt::kLatencyFp);
            } else if (in.op == Op::kMath) {
                if (known) result = scalar_math(static_cast<MathFn>(in.imm), type, a);
                slot_cost = ArchInt::kCostMath, latency = arch_.value(ArchInt::kLatencyFp), slow = true;
            } else {
                const uint64_t b = has(in, CodeFlag::kBImm) ? static_cast<uint64_t>(static_cast<int64_t>(in.imm)) : read(m, in.b, known);
                if (!has(in, CodeFlag::kBImm)) term.operand[1] = term_;
                term.constant[1] = b;
                if (known) result = scalar_op(in.op, type, a, b);
                const bool divides = in.op == Op::kDiv || in.op == Op::kRem;
                if (is_float(type)) {
                    slot_cost = divides ? ArchInt::kCostFdiv : ArchInt::kCostFp, latency = arch_.value(ArchInt::kLatencyFp), slow = divides;
                } else if (in.op == Op::kMul || divides) {
                    slot_cost = in.op == Op::kMul ? ArchInt::kCostMul : ArchInt::kCostDiv, slow = true;
                }
            }
            next = cost(slot_cost);
            int32_t id = -1;
            if (record_ && known && in.op != Op::kLi && (term.operand[0] >= 0 || term.operand[1] >= 0 || term.operand[2] >= 0)) {
                term.op = in.op;
                term.type = type;
                term.imm = in.imm;
                term.value = result;
                id = static_cast<int32_t>(record_->terms.size());
                record_->terms.push_back(term);
            }
            write(m, in.dst, result, known, (slow ? next - 1 : t) + latency, id);
            break;
        }
    }
    m.pc = target;
    m.next_issue = m.next_vector = next;
    m.end = std::max(m.end, next);
}

}  // namespace wafersim::stream
