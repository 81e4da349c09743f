#include "stream/data_tape.hpp"

#include <bit>
#include <cstring>

#include "base/numbers.hpp"
#include "pe/values.hpp"
#include "stream/local.hpp"

namespace wafersim::stream {
namespace {

bool has(const Instr& in, CodeFlag flag) {
    return in.flags & static_cast<int>(flag);
}
int kind_of(int32_t encoded) {
    return encoded < 0 ? 0 : encoded >> 24;
}

}  // namespace

// Of a vector op as its descriptors stand; registers are read when its elements are.
Elements DataTapes::elements_of(Local& local, const Main& m, const Instr& in, int64_t length) const {
    Elements e;
    e.vop = static_cast<VOp>(in.type);
    e.length = length;
    e.line = in.line;
    const VOpShape& shape = kVopShape[in.type];
    const int8_t bytes[4] = {shape.dst_bytes, shape.src0_bytes, shape.src1_bytes, shape.src1_bytes};
    const int32_t encoded[4] = {in.dst, in.a, in.b, in.c};
    Operand* operands[4] = {&e.dst, &e.a, &e.b, &e.c};
    for (size_t i = 0; i < 4; ++i) {
        Operand& o = *operands[i];
        o.reg = encoded[i] & 0xffffff;
        switch (static_cast<OperandKind>(kind_of(encoded[i]))) {
            case OperandKind::kReg:
                o.kind = Source::kReg;
                continue;
            case OperandKind::kPtr:
                o.kind = Source::kPtr;
                o.elem_bytes = static_cast<uint8_t>(bytes[i]);
                continue;
            case OperandKind::kImm:
                o.kind = Source::kImm;
                o.imm = static_cast<uint32_t>(in.imm2);
                continue;
            case OperandKind::kDsr:
                break;
            default:
                continue;
        }
        const Dsd& d = *local.dsr(m, encoded[i]);
        o.kind = d.kind == DsdKind::kMem      ? Source::kMem
                 : d.kind == DsdKind::kFabin  ? Source::kFabin
                 : d.kind == DsdKind::kFabout ? Source::kFabout
                 : d.kind == DsdKind::kFifo   ? Source::kFifo
                                              : Source::kNone;
        o.elem_bytes = static_cast<uint8_t>(d.elem_bytes);
        o.ndim = static_cast<uint8_t>(d.ndim);
        o.index_offset = i == 0 && d.index_offset;
        o.base = o.addr = d.base;
        o.ext = d.ext;
        for (size_t k = 0; k < 4; ++k) o.step[k] = d.stride[k] * d.elem_bytes;
        if (o.kind != Source::kFifo) continue;
        const Fifo& f = local.tile(m).fifos[static_cast<size_t>(d.fifo)];
        o.fifo = static_cast<int16_t>(d.fifo);
        o.base = f.base, o.ext[0] = f.capacity, o.step[0] = f.elem_bytes;
    }
    if (shape.num_sources == 1 && e.a.kind == Source::kNone) std::swap(e.a, e.b);
    return e;
}

void DataTapes::set(int32_t r, uint64_t value) {
    if (r < 0) return;
    moves_.push_back({Kind::kSet, 0, static_cast<int16_t>(r), static_cast<int32_t>(constants_.size())});
    constants_.push_back(value);
}

void DataTapes::move(bool loads, Type type, int32_t r, int32_t address) {
    moves_.push_back(
        {loads ? Kind::kLoad : Kind::kStore, static_cast<uint8_t>(type), static_cast<int16_t>(r), address});
}

void DataTapes::low_half(int32_t r, int32_t from) {
    moves_.push_back({Kind::kLow, 0, static_cast<int16_t>(r), from});
}

void DataTapes::note(Local& local, const Main& m, const Instr& in) {
    const int op = static_cast<int>(in.op);
    if (in.op == Op::kVop) return note_vector(local, m, in);
    if (in.op == Op::kLoad || in.op == Op::kStore) return note_memory(m, in);
    if (in.op == Op::kLoop) {
        if (has(in, CodeFlag::kBImm))
            set(in.c, static_cast<uint64_t>(static_cast<int64_t>(in.imm2)));
        else if (in.c >= 0)
            moves_.push_back({Kind::kCopy, 0, static_cast<int16_t>(in.c), in.b});
        set(in.dst, 0);
    } else if (in.op == Op::kEndloop) {
        moves_.push_back({Kind::kNext, 0, static_cast<int16_t>(in.dst), in.dst});
    } else if (op > 0 && op <= 29 && in.dst >= 0) {
        moves_.push_back({Kind::kScalar, 0, static_cast<int16_t>(in.dst), m.pc});
    }
}

// An address that is known is the same for all that make this stretch.
void DataTapes::note_memory(const Main& m, const Instr& in) {
    const bool known = in.a < 0 || m.regs[static_cast<size_t>(in.a)].known;
    const bool loads = in.op == Op::kLoad;
    const auto reg = static_cast<int16_t>(loads ? in.dst : in.b);
    if (reg < 0) return;
    const uint64_t base = in.a < 0 || !known ? 0 : m.regs[static_cast<size_t>(in.a)].value;
    const auto address =
        static_cast<int32_t>(static_cast<uint16_t>(base + static_cast<uint64_t>(static_cast<int64_t>(in.imm))));
    const auto type = static_cast<uint8_t>(in.type);
    if (known)
        moves_.push_back({loads ? Kind::kLoad : Kind::kStore, type, reg, address});
    else
        moves_.push_back({loads ? Kind::kLoadAt : Kind::kStoreAt, type, reg, m.pc});
}

void DataTapes::note_vector(Local& local, const Main& m, const Instr& in) {
    const int64_t length = local.vector_length(m, in);
    std::vector<int32_t> key{in.type, in.imm2, static_cast<int32_t>(length)};
    for (const int32_t e : {in.dst, in.a, in.b, in.c}) {
        const bool dsr = kind_of(e) == static_cast<int>(OperandKind::kDsr);
        key.push_back(dsr ? m.dsrs[static_cast<size_t>(local.dsr_index(m, e & 0xffffff))].dsd : e);
        key.push_back(dsr);
    }
    const std::string text(reinterpret_cast<const char*>(key.data()), key.size() * sizeof(int32_t));
    auto at = known_.find(text);
    if (at == known_.end()) {
        const Elements e = elements_of(local, m, in, length);
        Known made{Kind::kElements, static_cast<int32_t>(elements_.size())};
        if (add_fmacs(e, key))
            made = {Kind::kFmacs, static_cast<int32_t>(fmacs_.size()) - 1};
        else
            elements_.push_back(e), bytes_ += sizeof e;
        at = known_.emplace(text, made).first;
    }
    const bool scalar = kind_of(in.dst) == static_cast<int>(OperandKind::kReg);
    moves_.push_back({at->second.kind, 0, static_cast<int16_t>(scalar ? in.dst & 0xffffff : -1), at->second.number});
    if (in.aux >= 0) set(in.aux, 1);
}

bool DataTapes::add_fmacs(const Elements& e, const std::vector<int32_t>&) {
    auto row = [](const Operand& o) {
        return o.kind == Source::kMem && o.ndim == 1 && o.elem_bytes == 4 && o.base % 4 == 0 && !o.index_offset;
    };
    const bool scalar = e.c.kind == Source::kReg || e.c.kind == Source::kImm;
    if (e.vop != VOp::kFmacs || !row(e.dst) || !row(e.a) || !row(e.b) || !scalar) return false;
    Fmacs f;
    f.dst = e.dst.base, f.a = e.a.base, f.b = e.b.base;
    f.sd = e.dst.step[0] / 4, f.sa = e.a.step[0] / 4, f.sb = e.b.step[0] / 4;
    f.reg = e.c.kind == Source::kReg ? e.c.reg : -1;
    f.imm = e.c.imm;
    f.length = e.length;
    fmacs_.push_back(f);
    bytes_ += sizeof f;
    return true;
}

template <typename Visit>
void DataTapes::reads(const Move& move, Visit&& visit) const {
    const auto code = [&] { return program_.code[static_cast<size_t>(move.x)]; };
    switch (move.kind) {
        case Kind::kScalar: {
            const Instr in = code();
            for (const int32_t r : {in.a, has(in, CodeFlag::kBImm) ? -1 : in.b, in.c})
                if (r >= 0) visit(r);
            break;
        }
        case Kind::kCopy:
        case Kind::kLow:
        case Kind::kNext:
            if (move.x >= 0) visit(move.x);
            break;
        case Kind::kLoadAt:
            visit(code().a);
            break;
        case Kind::kStoreAt:
            visit(code().a);
            [[fallthrough]];
        case Kind::kStore:
            visit(static_cast<int32_t>(move.reg));
            break;
        case Kind::kFmacs:
            if (fmacs_[static_cast<size_t>(move.x)].reg >= 0) visit(fmacs_[static_cast<size_t>(move.x)].reg);
            break;
        case Kind::kElements: {
            const Elements& e = elements_[static_cast<size_t>(move.x)];
            for (const Operand* o : {&e.dst, &e.a, &e.b, &e.c})
                if (o->kind == Source::kPtr || (o->kind == Source::kReg && o != &e.dst)) visit(o->reg);
            break;
        }
        default:
            break;
    }
}

// Leaves out what only finds values that are known anyway: known registers are written by the stretch's tape.
int32_t DataTapes::finish(const Main& m) {
    std::vector<bool> wanted(m.regs.size());
    for (size_t r = 0; r < wanted.size(); ++r) wanted[r] = !m.regs[r].known;
    std::vector<Move> kept;
    for (size_t i = moves_.size(); i-- > 0;) {
        const Move& move = moves_[i];
        const bool writes_memory = move.kind == Kind::kStore || move.kind == Kind::kStoreAt ||
                                   move.kind == Kind::kFmacs || (move.kind == Kind::kElements && move.reg < 0);
        if (!writes_memory) {
            const auto r = static_cast<size_t>(move.reg);
            if (!wanted[r]) continue;
            wanted[r] = false;
        }
        reads(move, [&](int32_t r) { wanted[static_cast<size_t>(r)] = true; });
        kept.push_back(move);
    }
    if (kept.empty()) return -1;
    tapes_.emplace_back(kept.rbegin(), kept.rend());
    bytes_ += kept.size() * sizeof(Move) + sizeof tapes_[0];
    return static_cast<int32_t>(tapes_.size()) - 1;
}

void DataTapes::run_scalar(const Instr& in, const Place& place) const {
    const auto type = static_cast<Type>(in.type);
    auto reg = [&](int32_t r) { return r < 0 ? 0 : place.reg(r); };
    const uint64_t a = reg(in.a);
    uint64_t result = a;
    if (in.op == Op::kLi)
        result = static_cast<uint64_t>(static_cast<uint32_t>(in.imm)) |
                 static_cast<uint64_t>(static_cast<uint32_t>(in.imm2)) << 32;
    else if (in.op == Op::kSelect)
        result = a ? reg(in.b) : reg(in.c);
    else if (in.op == Op::kCvt)
        result = scalar_convert(type, static_cast<Type>(in.imm), a);
    else if (in.op == Op::kMath)
        result = scalar_math(static_cast<MathFn>(in.imm), type, a);
    else if (in.op != Op::kMov)
        result = scalar_op(in.op, type, a,
                           has(in, CodeFlag::kBImm) ? static_cast<uint64_t>(static_cast<int64_t>(in.imm)) : reg(in.b));
    place.set_reg(in.dst, result);
}

void DataTapes::replay(int32_t tape, const Place& place) const {
    for (const Move move : tapes_[static_cast<size_t>(tape)]) {
        switch (move.kind) {
            case Kind::kScalar:
                run_scalar(program_.code[static_cast<size_t>(move.x)], place);
                break;
            case Kind::kSet:
                place.set_reg(move.reg, constants_[static_cast<size_t>(move.x)]);
                break;
            case Kind::kCopy:
                place.set_reg(move.reg, move.x < 0 ? 0 : place.reg(move.x));
                break;
            case Kind::kLow:
                place.set_reg(move.reg, place.reg(move.x) & 0xffffffff);
                break;
            case Kind::kNext:
                place.set_reg(move.reg, place.reg(move.x) + 1);
                break;
            case Kind::kLoadAt:
            case Kind::kStoreAt: {
                const Instr& in = program_.code[static_cast<size_t>(move.x)];
                const auto address =
                    static_cast<uint16_t>(place.reg(in.a) + static_cast<uint64_t>(static_cast<int64_t>(in.imm)));
                const auto bytes = static_cast<size_t>(type_bytes(static_cast<Type>(in.type)));
                if (address + bytes > static_cast<size_t>(place.sram_bytes) || (bytes > 1 && address % 2))
                    throw Refused("an address that depends on array data, odd or outside SRAM", in.line);
                uint64_t value = move.kind == Kind::kStoreAt ? place.reg(move.reg) : 0;
                if (move.kind == Kind::kStoreAt)
                    std::memcpy(place.sram + address, &value, bytes);
                else
                    std::memcpy(&value, place.sram + address, bytes),
                        place.set_reg(move.reg, extend(static_cast<Type>(in.type), value));
                break;
            }
            case Kind::kLoad: {
                uint64_t value = 0;
                const auto type = static_cast<Type>(move.type);
                std::memcpy(&value, place.sram + move.x, static_cast<size_t>(type_bytes(type)));
                place.set_reg(move.reg, extend(type, value));
                break;
            }
            case Kind::kStore: {
                const uint64_t value = place.reg(move.reg);
                std::memcpy(place.sram + move.x, &value, static_cast<size_t>(type_bytes(static_cast<Type>(move.type))));
                break;
            }
            case Kind::kFmacs: {
                const Fmacs& f = fmacs_[static_cast<size_t>(move.x)];
                const auto c = f.reg >= 0 ? static_cast<uint32_t>(place.reg(f.reg)) : f.imm;
                auto at = [&](int32_t address) { return reinterpret_cast<float*>(place.sram + address); };
                fmacs_loop(at(f.dst), at(f.a), at(f.b), bits_to_f32(c), f.length, f.sd, f.sa, f.sb);
                break;
            }
            case Kind::kElements: {
                Elements e = elements_[static_cast<size_t>(move.x)];
                for (Operand* o : {&e.dst, &e.a, &e.b, &e.c}) place.settle(*o, e.line);
                const uint32_t nothing[3] = {};
                for (int64_t i = 0; i < e.length; ++i) place.element(e, nothing, 0);
                break;
            }
        }
    }
}

uint64_t Place::reg(int32_t r) const {
    uint64_t value;
    std::memcpy(&value, registers + 8 * r, 8);
    return value;
}

void Place::set_reg(int32_t r, uint64_t value) const {
    std::memcpy(registers + 8 * r, &value, 8);
}

void Place::settle(Operand& o, int32_t line) const {
    if (o.kind != Source::kPtr) return;
    o.addr = static_cast<uint16_t>(reg(o.reg));
    if (o.addr % 2 || o.addr + o.elem_bytes > sram_bytes)
        throw Refused("a scalar operand at an odd address or outside SRAM", line);
}

// Where the next element of a FIFO lies; goes on to the one behind it.
int32_t Place::in_ring(Operand& o) {
    const int32_t at = o.base + o.index[0] * o.step[0];
    o.index[0] = (o.index[0] + 1) % o.ext[0];
    return at;
}

uint32_t Place::fetch(Operand& o, uint32_t word) const {
    uint32_t value = 0;
    switch (o.kind) {
        case Source::kMem:
        case Source::kPtr:
            if (o.addr >= 0 && o.addr + o.elem_bytes <= sram_bytes) std::memcpy(&value, sram + o.addr, o.elem_bytes);
            if (o.kind == Source::kMem) o.advance();
            return value;
        case Source::kFifo:
            std::memcpy(&value, sram + in_ring(o), static_cast<size_t>(o.step[0]));
            return value;
        case Source::kFabin:
            return word;
        case Source::kReg:
            return static_cast<uint32_t>(reg(o.reg));
        case Source::kImm:
            return o.imm;
        default:
            return 0;
    }
}

void Place::store(Operand& o, uint32_t value, uint32_t index, int32_t line) const {
    if (o.kind == Source::kReg) return set_reg(o.reg, value);
    if (o.kind == Source::kFifo) return std::memcpy(sram + in_ring(o), &value, static_cast<size_t>(o.step[0])), void();
    if (o.kind != Source::kMem && o.kind != Source::kPtr) return;
    int64_t address = o.addr;
    if (o.index_offset) address += static_cast<int64_t>(index) * o.elem_bytes;
    if (address < 0 || address % 2 || address + o.elem_bytes > sram_bytes)
        throw Refused("an element that INDEX_OFFSET puts at an odd address or outside SRAM", line);
    std::memcpy(sram + address, &value, o.elem_bytes);
    if (o.kind == Source::kMem) o.advance();
}

uint32_t Place::element(Elements& e, const uint32_t word[3], uint32_t index) const {
    const uint32_t a = fetch(e.a, word[0]), b = fetch(e.b, word[1]), c = fetch(e.c, word[2]);
    const uint32_t value = vector_element(e.vop, a, b, c, e.carry);
    store(e.dst, value, index, e.line);
    ++e.done;
    return value;
}

}  // namespace wafersim::stream
