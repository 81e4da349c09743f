#include "stream/local.hpp"

#include <algorithm>

#include "pe/memory_rules.hpp"
#include "pe/values.hpp"

namespace wafersim::stream {
namespace {

int kind_of(int32_t encoded) {
    return encoded < 0 ? 0 : encoded >> 24;
}

// Array data up to this size is held as a whole if scalar code stores some of it by address, such as time stamps.
constexpr int32_t kStoredArray = 256;

using Ranges = std::vector<std::pair<int32_t, int32_t>>;

void merge(Ranges& ranges) {
    std::sort(ranges.begin(), ranges.end());
    Ranges out;
    for (const auto& [low, high] : ranges) {
        if (!out.empty() && low <= out.back().second)
            out.back().second = std::max(out.back().second, high);
        else
            out.push_back({low, high});
    }
    ranges = std::move(out);
}

// What a tile's rows say of each byte.
enum class Named : uint8_t { kNot, kData, kState };

std::vector<Named> named_bytes(const std::vector<Array>& arrays, size_t tile, int sram_bytes) {
    std::vector<Named> named(static_cast<size_t>(sram_bytes), Named::kNot);
    for (const Array& a : arrays)
        for (int32_t x = a.address; static_cast<size_t>(a.tile) == tile && x < a.address + a.bytes; ++x) {
            Named& byte = named[static_cast<size_t>(x)];
            byte = std::max(byte, a.data ? Named::kData : Named::kState);
        }
    return named;
}

}  // namespace

std::vector<ControlBytes> find_control_bytes(const Program& program, int sram_bytes,
                                             const std::vector<int32_t>& code_owner, const std::vector<Array>& arrays) {
    std::vector<Ranges> accesses(program.tiles.size());
    for (size_t i = 0; i < program.code.size(); ++i) {
        const Instr& in = program.code[i];
        if ((in.op == Op::kLoad || in.op == Op::kStore) && in.a < 0 && code_owner[i] >= 0)
            accesses[static_cast<size_t>(code_owner[i])].push_back(
                {in.imm, in.imm + type_bytes(static_cast<Type>(in.type))});
    }
    std::vector<ControlBytes> control(program.tiles.size());
    for (size_t t = 0; t < control.size(); ++t) {
        const std::vector<Named> named = named_bytes(arrays, t, sram_bytes);
        std::vector<uint8_t> held(static_cast<size_t>(sram_bytes), 0);
        auto hold = [&](int64_t low, int64_t high, bool data) {
            for (int64_t x = std::max<int64_t>(low, 0); x < std::min<int64_t>(high, sram_bytes); ++x)
                if (const auto at = static_cast<size_t>(x); data || named[at] != Named::kData) held[at] = 1;
        };
        merge(accesses[t]);
        for (const auto& [low, high] : accesses[t]) hold(low, high, true);
        for (const ParamBlock& p : program.tiles[t].params) hold(p.address, p.address + p.bytes, false);
        for (const Array& a : arrays) {
            if (static_cast<size_t>(a.tile) != t) continue;
            if (!a.data) hold(a.address, a.address + a.bytes, true);
            for (const auto& [low, high] : accesses[t])
                if (a.data && a.bytes <= kStoredArray && a.address < high && low < a.address + a.bytes)
                    hold(a.address, a.address + a.bytes, true);
        }
        ControlBytes& c = control[t];
        for (int32_t x = 0; x < sram_bytes; ++x) {
            const auto at = static_cast<size_t>(x);
            if (!held[at]) continue;
            if (c.ranges.empty() || c.ranges.back().second != x)
                c.ranges.push_back({x, x}), c.offset.push_back(c.bytes);
            c.ranges.back().second = x + 1;
            c.data.push_back(named[at] == Named::kData);
            ++c.bytes;
        }
    }
    return control;
}

Local::Local(const Program& program, const Arch& arch, const std::vector<ControlBytes>& control)
    : program_(program), arch_(arch), control_(control) {
    for (const Instr& in : program.code) decoded_.push_back(decode(in));
}

Local::Decoded Local::decode(const Instr& in) const {
    Decoded u;
    static_cast<Uses&>(u) = uses_of(program_, in);
    const int op = static_cast<int>(in.op);
    u.vector = in.op == Op::kVop;
    u.local = op <= 46 || (op >= 50 && op <= 54) || (op >= 70 && op <= 74) || in.op == Op::kMainPriority;
    if ((in.op == Op::kBlock || in.op == Op::kUnblock) && static_cast<BlockSpace>(in.type) == BlockSpace::kUt)
        u.local = false;
    return u;
}

int32_t Local::intern(const Dsd& d) {
    const int32_t f[] = {static_cast<int32_t>(d.kind),
                         d.base,
                         d.elem_bytes,
                         d.ndim,
                         d.ext[0],
                         d.ext[1],
                         d.ext[2],
                         d.ext[3],
                         d.stride[0],
                         d.stride[1],
                         d.stride[2],
                         d.stride[3],
                         d.queue,
                         d.color,
                         d.fifo,
                         d.settings,
                         d.control,
                         d.index_offset,
                         d.advance_switch};
    std::string k(reinterpret_cast<const char*>(f), sizeof f);
    const auto [it, fresh] = ids_.try_emplace(std::move(k), static_cast<int32_t>(pool_.size()));
    if (fresh) pool_.push_back(d);
    return it->second;
}

int Local::dsr_index(const Main& m, int32_t dsr) const {
    const auto& n = tile(m).num_dsrs;
    const int file = dsr / 32;
    return (file > 0 ? n[0] : 0) + (file > 1 ? n[1] : 0) + dsr % 32;
}

uint64_t Local::read(Main& m, int32_t r, bool& known) {
    term_ = -1;
    if (r < 0) return 0;
    const Reg& reg = m.regs[static_cast<size_t>(r)];
    known = known && reg.known;
    if (reg.known) term_ = recorder.load_register(r, reg.value);
    return reg.value;
}

void Local::write(Main& m, int32_t r, uint64_t value, bool known, Cycle ready, int32_t term) {
    if (r < 0) return;
    m.regs[static_cast<size_t>(r)] = {known ? value : 0, ready, known};
    if (known)
        recorder.store_register(r, value, term);
    else
        recorder.forget_register(r);
}

const Dsd* Local::dsr(const Main& m, int32_t encoded) const {
    if (kind_of(encoded) != static_cast<int>(OperandKind::kDsr)) return nullptr;
    return &dsd(m.dsrs[static_cast<size_t>(dsr_index(m, encoded & 0xffffff))].dsd);
}

Settings Local::settings_of(const Main& m, const Instr& in) const {
    if (in.settings >= 0) return program_.settings[static_cast<size_t>(in.settings)];
    for (const int32_t encoded : {in.dst, in.a, in.b})
        if (const Dsd* d = dsr(m, encoded); d && d->settings >= 0)
            if (const Settings& set = program_.settings[static_cast<size_t>(d->settings)]; !set.plain) return set;
    return {};
}

bool Local::is_local(const Main& m) const {
    const Instr& in = program_.code[static_cast<size_t>(m.pc)];
    const Decoded& u = decoded_[static_cast<size_t>(m.pc)];
    if (in.op == Op::kMap) return map_is_local(m, in);
    if (u.local) return true;
    if (!u.vector) return false;
    for (const int32_t encoded : {in.dst, in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, encoded); d && d->kind != DsdKind::kMem) return false;
    const Settings s = settings_of(m, in);
    return !s.async && s.activate < 0 && s.unblock < 0 && vector_length(m, in) > 0;
}

Cycle Local::ready_from(const Main& m, Cycle t) const {
    const Instr& in = program_.code[static_cast<size_t>(m.pc)];
    const Decoded& u = decoded_[static_cast<size_t>(m.pc)];
    if (m.map.beat_due()) return m.next_issue;
    const bool vector = u.vector || in.op == Op::kMap;
    Cycle from = vector ? m.next_vector : m.next_issue;
    for (int i = 0; i < u.num_regs; ++i)
        from = std::max(from, m.regs[static_cast<size_t>(u.regs[static_cast<size_t>(i)])].ready);
    for (int i = 0; i < u.num_dsrs; ++i)
        from = std::max(from, m.dsrs[static_cast<size_t>(dsr_index(m, u.dsrs[static_cast<size_t>(i)]))].ready);
    if (!vector) return from;
    const Cycle at = std::max(t, from);
    for (const Recent& r : m.recent) {
        if (r.start + arch_.vector_raw <= at) continue;
        const int64_t length = vector_length(m, in);
        for (const int32_t encoded : {in.a, in.b, in.c}) {
            const Dsd* d = dsr(m, encoded);
            if (!d || d->kind != DsdKind::kMem || !length) continue;
            int64_t low, high;
            memory_range(*d, length, low, high);
            if (low < r.high && r.low < high) from = std::max(from, r.start + arch_.vector_raw);
        }
    }
    return from;
}

// A LOAD or STORE of a configuration word.
bool Local::leaves_sram(Main& m) {
    const Instr& in = program_.code[static_cast<size_t>(m.pc)];
    if (in.op != Op::kLoad && in.op != Op::kStore) return false;
    bool known = true;
    const uint64_t base = in.a < 0 ? 0 : read(m, in.a, known);
    const auto address = static_cast<uint16_t>(base + static_cast<uint64_t>(static_cast<int64_t>(in.imm)));
    if (!known || address < arch_.sram_bytes) return false;
    fix();
    return true;
}

int32_t Local::undecided(const Main& m) const {
    const Instr& in = program_.code[static_cast<size_t>(m.pc)];
    auto open = [&](int32_t r) { return r >= 0 && !m.regs[static_cast<size_t>(r)].known; };
    auto scalar = [](int32_t e) { return kind_of(e) == static_cast<int>(OperandKind::kPtr) ? e & 0xffffff : -1; };
    const auto op = static_cast<int>(in.op);
    const bool numbered = in.flags & static_cast<int>(CodeFlag::kSlotReg);
    if (op >= 50 && op <= 54 && numbered && open(in.aux)) return in.aux;
    switch (in.op) {
        case Op::kBz:
        case Op::kBnz:
        case Op::kActivate:
        case Op::kBlock:
        case Op::kUnblock:
        case Op::kTaskPriority:
            return open(in.a) ? in.a : -1;
        case Op::kDsdSet:
            return open(in.a) ? in.a : -1;
        case Op::kLoop:
            return !(in.flags & static_cast<int>(CodeFlag::kBImm)) && open(in.b) ? in.b : -1;
        case Op::kEndloop:
            return open(in.dst) ? in.dst : open(in.c) ? in.c : -1;
        case Op::kMap:  // where its scalar destination lies
            return m.map.pc < 0 && open(scalar(in.dst)) ? scalar(in.dst) : -1;
        case Op::kVop:  // likewise, and whether it adds into it
            if (scalar(in.dst) < 0) return -1;
            for (const int32_t e : {in.dst, in.a, in.b, in.c})
                if (open(scalar(e))) return scalar(e);
            return -1;
        default:
            return -1;
    }
}

int64_t Local::run(Main& m, Cycle now, Cycle limit, Cycle slot_free, bool scalar_only) {
    Cycle floor = std::max(now, slot_free);
    int64_t count = 0;
    while (m.in_task && is_local(m)) {
        const bool vector = is_vector(m);
        if ((vector && scalar_only) || leaves_sram(m) || (data && undecided(m) >= 0)) break;
        const Cycle at = std::max(ready_from(m, floor), floor);
        if (at >= limit) break;
        execute(m, program_.code[static_cast<size_t>(m.pc)], at);
        ++instructions;
        ++count;
        floor = vector ? m.next_vector : at + 1;
        if (m.completes < kForever) break;
    }
    return count;
}

}  // namespace wafersim::stream
