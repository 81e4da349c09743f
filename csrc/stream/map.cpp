// MAP over memory: an instruction that calls code for each element (docs/semantics.md, section 4.6). Its beats issue
// like instructions; between them the callback runs.
#include <algorithm>
#include <utility>

#include "pe/memory_rules.hpp"
#include "stream/local.hpp"

namespace wafersim::stream {
namespace {

Type word_type(int bytes) {
    return bytes == 2 ? Type::kU16 : Type::kU32;
}

OperandKind kind_of(int32_t encoded) {
    return encoded < 0 ? OperandKind::kNone : static_cast<OperandKind>(encoded >> 24);
}

}  // namespace

// Where element k of a descriptor lies; its outermost dimension goes on.
int32_t address_of(const Dsd& d, int64_t k) {
    int64_t address = d.base;
    for (int i = 0; i < d.ndim; ++i) {
        const auto dim = static_cast<size_t>(i);
        const int64_t at = i + 1 == d.ndim ? k : k % d.ext[dim];
        k /= d.ext[dim];
        address += at * d.stride[dim] * d.elem_bytes;
    }
    return static_cast<int32_t>(address);
}

// Whether its next beat, or the start of the one at the program counter, touches nothing but the PE's own memory.
bool Local::map_is_local(const Main& m, const Instr& in) const {
    auto fabric = [](const Dsd* d) { return d && d->kind != DsdKind::kMem; };
    const Mapping& map = m.map;
    if (map.phase == Mapping::Phase::kNone || map.phase == Mapping::Phase::kCall)  // nested: refused
        return map.pc >= 0 || vector_length(m, in) == 0 ||
               !(fabric(dsr(m, in.dst)) || fabric(dsr(m, in.a)) || fabric(dsr(m, in.b)));
    auto beyond = [&](size_t i) { return map.operand[i] >= 0 && fabric(&dsd(map.operand[i])); };
    return map.phase == Mapping::Phase::kRead ? !beyond(1) && !beyond(2) : !beyond(0);
}

// It starts with its first beat; one without elements takes a slot.
void Local::start_map(Main& m, const Instr& in, Cycle t) {
    if (m.map.pc >= 0) refuse(in, "a vector operation inside a MAP callback");
    const Settings set = settings_of(m, in);
    if (vector_length(m, in) == 0) {
        m.last_issue = t;
        m.next_issue = m.next_vector = t + 1;
        m.end = std::max(m.end, t + 1);
        ++m.pc;
        return complete(m, t + arch_.completion, set.activate, set.unblock);
    }
    int32_t scalar = -1;
    if (kind_of(in.dst) == OperandKind::kPtr) {
        bool known = true;
        scalar = static_cast<uint16_t>(read(m, in.dst & 0xffffff, known));
        fix();
        if (!known) refuse(in, "a scalar destination at an unknown address");
    }
    begin_map(m, in, t, scalar);
    map_beat(m, in, t);
}

// `scalar`: the address of a scalar destination in memory, -1: none.
void Local::begin_map(Main& m, const Instr& in, Cycle t, int32_t scalar) {
    const Settings set = settings_of(m, in);
    Mapping& map = m.map;
    map.phase = Mapping::Phase::kRead;
    map.pc = m.pc;
    map.length = vector_length(m, in);
    if (map.length == kEndless) refuse(in, "an op of endless length");
    map.depth = static_cast<int32_t>(m.calls.size());
    map.activate = set.activate, map.unblock = set.unblock;
    map.save = set.save_address;
    map.scalar = scalar;
    m.next_issue = std::min(m.next_issue, t);
    if (scalar >= 0 && (scalar % 2 || scalar + 4 > arch_.sram_bytes)) refuse(in, "a scalar destination outside SRAM");
    const int32_t encoded[3] = {in.dst, in.a, in.b};
    for (size_t i = 0; i < 3; ++i) {
        const Dsd* d = dsr(m, encoded[i]);
        if (!d) continue;
        int64_t low, high;
        if (d->kind == DsdKind::kMem) check_memory(m, in, *d, map.length, false, low, high);
        map.operand[i] = m.dsrs[static_cast<size_t>(dsr_index(m, encoded[i] & 0xffffff))].dsd;
    }
}

// The destination counts as written from the first beat on.
void Local::note_first_beat(Main& m, Cycle t) const {
    const Mapping& map = m.map;
    if (map.done || map.phase != Mapping::Phase::kRead || map.operand[0] < 0) return;
    const Dsd& d = dsd(map.operand[0]);
    int64_t low, high;
    memory_range(d, map.length, low, high);
    if (d.kind == DsdKind::kMem) remember(m, t, low, high);
}

void Local::map_beat(Main& m, const Instr& in, Cycle t) {
    Mapping& map = m.map;
    m.last_issue = t;
    if (map.phase == Mapping::Phase::kWrite) {
        if (map.operand[0] >= 0 || map.scalar >= 0) {
            const Dsd* d = map.scalar >= 0 ? nullptr : &dsd(map.operand[0]);
            const int32_t address = d ? address_of(*d, map.done) : map.scalar, bytes = d ? d->elem_bytes : 4;
            if (data) data->move(false, word_type(bytes), in.aux, address);
            store_at(m, address, bytes, in.aux);
        } else {
            set_low_half(m, in.dst & 0xffffff, in.aux, t);
        }
        return map_next(m, in, t);
    }
    note_first_beat(m, t);
    int32_t r = in.imm2;
    for (size_t i = 1; i < 3; ++i) {
        if (map.operand[i] < 0) continue;
        const Dsd& d = dsd(map.operand[i]);
        const int32_t address = address_of(d, map.done);
        if (data) data->move(true, word_type(d.elem_bytes), r, address);
        load_at(m, address, word_type(d.elem_bytes), r++, t + 1);
    }
    call_back(m, in, t);
}

void Local::call_back(Main& m, const Instr& in, Cycle t) const {
    m.map.phase = Mapping::Phase::kCall;
    m.pc = in.imm;
    m.next_issue = m.next_vector = t + arch_.map_call;
    m.end = std::max(m.end, m.next_issue);
}

// Its result is the low half of the register AUX.
void Local::set_low_half(Main& m, int32_t r, int32_t from, Cycle t) {
    if (data) data->low_half(r, from);
    bool known = true;
    const uint64_t value = read(m, from, known) & 0xffffffff;
    int32_t id = -1;
    if (term_ >= 0) {
        Term term;
        term.kind = Term::Kind::kExtend, term.type = Type::kU32, term.operand[0] = term_, term.value = value;
        id = recorder.add(term);
    }
    write(m, r, value, known, t, id);
}

// The callback returns. Without a destination the element ends when the return's cost is over.
void Local::map_return(Main& m, Cycle t) {
    const Instr& in = program_.code[static_cast<size_t>(m.map.pc)];
    m.last_issue = t;
    m.next_issue = m.next_vector = cost(t, ArchInt::kCostRet);
    m.end = std::max(m.end, m.next_issue);
    m.pc = m.map.pc;
    if (kind_of(in.dst) == OperandKind::kNone) return map_next(m, in, m.next_issue - 1);
    m.map.phase = Mapping::Phase::kWrite;
}

// Behind an element, which ended in cycle t.
void Local::map_next(Main& m, const Instr& in, Cycle t) {
    Mapping& map = m.map;
    m.next_vector = m.next_issue = t + 1;
    m.end = std::max(m.end, t + 1);
    map.phase = Mapping::Phase::kRead;
    if (++map.done < map.length) return;
    const bool sends = map.operand[0] >= 0 && dsd(map.operand[0]).kind == DsdKind::kFabout;
    m.next_issue = t + (sends ? 1 : arch_.vector_drain);
    const int32_t encoded[3] = {in.dst, in.a, in.b};
    for (size_t i = 0; i < 3; ++i) {
        if (map.operand[i] < 0) continue;
        const Dsd& d = dsd(map.operand[i]);
        if (d.kind != DsdKind::kMem || d.ndim != 1 || (!map.save && !saves_itself(d))) continue;
        save_base(m, encoded[i] & 0xffffff,
                  (d.base + static_cast<int32_t>(map.length) * d.stride[0] * d.elem_bytes) & 0xffff);
    }
    ++m.pc;
    const Mapping was = std::exchange(map, Mapping{});
    complete(m, t + arch_.completion, was.activate, was.unblock);
}

// What a synchronous op does when it is complete; the stretch ends there.
void Local::complete(Main& m, Cycle when, int32_t activate, int32_t unblock) {
    if (activate < 0 && unblock < 0) return;
    m.completes = when, m.activate = activate, m.unblock = unblock;
}

}  // namespace wafersim::stream
