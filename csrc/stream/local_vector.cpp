// Vector ops of the main thread on memory alone: their beats, costs and what they write.
#include <algorithm>

#include "pe/memory_rules.hpp"
#include "pe/values.hpp"
#include "stream/local.hpp"

namespace wafersim::stream {
namespace {

int kind_of(int32_t encoded) {
    return encoded < 0 ? 0 : encoded >> 24;
}
bool in_memory(const Dsd* d) {
    return d && (d->kind == DsdKind::kMem || d->kind == DsdKind::kFifo);
}
bool is_scalar(int32_t dst) {
    return kind_of(dst) == static_cast<int>(OperandKind::kReg) || kind_of(dst) == static_cast<int>(OperandKind::kPtr);
}

// Where the elements of a descriptor lie, one after the other.
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
        for (int i = 0; i < d->ndim; ++i)
            addr += static_cast<int64_t>(index[i]) * d->stride[static_cast<size_t>(i)] * d->elem_bytes;
    }
};

}  // namespace

int64_t Local::vector_length(const Main& m, const Instr& in) const {
    bool endless = false;
    const int32_t operands[3] = {in.a, in.b, in.dst};
    for (int k = 0; k < 3; ++k) {
        const Dsd* d = dsr(m, operands[k]);
        if (!d || d->kind == DsdKind::kNone) continue;
        int64_t n = 1;
        if (d->kind == DsdKind::kMem)
            for (int i = 0; i < d->ndim; ++i) n *= d->ext[static_cast<size_t>(i)];
        else
            n = d->ext[0];
        if (d->kind == DsdKind::kFifo)
            if (const int32_t set = m.lengths[2 * static_cast<size_t>(d->fifo) + (k == 2)]; set > 0) n = set;
        if (d->kind != DsdKind::kMem && n == kEndless) {
            endless = true;
            continue;
        }
        return n;
    }
    return endless ? kEndless : 1;
}

void Local::vector_writes(Main& m, int64_t low, int64_t high) {
    const ControlBytes& c = control_[static_cast<size_t>(m.tile)];
    for (size_t i = 0; i < c.ranges.size(); ++i) {
        const int64_t a = std::max<int64_t>(low, c.ranges[i].first), b = std::min<int64_t>(high, c.ranges[i].second);
        if (a >= b) continue;
        const auto at = static_cast<int32_t>(c.offset[i] + a - c.ranges[i].first), bytes = static_cast<int32_t>(b - a);
        std::fill_n(m.unknown.begin() + at, bytes, uint8_t{1});
        std::fill_n(m.memory.begin() + at, bytes, uint8_t{0});
        recorder.forget_bytes(at, bytes);
    }
}

bool Local::holds(int32_t tile, int64_t low, int64_t high) const {
    for (const auto& [first, end] : control_[static_cast<size_t>(tile)].ranges)
        if (low < end && first < high) return true;
    return false;
}

int Local::known_at(const Main& m, int64_t low, int64_t high) const {
    const ControlBytes& c = control_[static_cast<size_t>(m.tile)];
    const int at = c.find(low, high);
    for (int64_t i = 0; at >= 0 && i < high - low; ++i) {
        const auto byte = static_cast<size_t>(at + i);
        if (m.unknown[byte] || c.data[byte]) return -1;
    }
    return at;
}

void Local::remember(Main& m, Cycle start, int64_t low, int64_t high) const {
    std::erase_if(m.recent, [&](const Recent& r) { return r.start + arch_.vector_raw <= start; });
    m.recent.push_back({start, static_cast<int32_t>(low), static_cast<int32_t>(high)});
}

Local::Shape Local::shape(const Main& m, const Instr& in) const {
    Shape s;
    const auto vop = static_cast<VOp>(in.type);
    s.width = arch_.vop[in.type].simd;
    const Settings set = settings_of(m, in);
    auto simd = static_cast<Simd>(set.simd >= 0 ? set.simd : arch_.default_simd);
    bool fabric16 = false, fabric32 = false, sends = false;
    int widest = 0;
    for (const int32_t e : {in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, e); in_memory(d)) widest = std::max<int>(widest, d->elem_bytes);
    if (widest) s.width = std::min(s.width, std::max(1, arch_.read_bytes / widest));
    for (const int32_t e : {in.dst, in.a, in.b, in.c}) {
        const Dsd* d = dsr(m, e);
        if (!d) continue;
        if (d->kind == DsdKind::kMem)
            s.width = std::min(s.width, stride_cap(d->stride[0] * d->elem_bytes, d->elem_bytes));
        if (d->kind != DsdKind::kFabin && d->kind != DsdKind::kFabout) continue;
        (d->elem_bytes == 2 ? fabric16 : fabric32) = true;
        sends |= d->kind == DsdKind::kFabout;
    }
    if (const Dsd* d = dsr(m, in.dst); d && d->kind == DsdKind::kMem && d->index_offset) simd = Simd::kOff, s.width = 1;
    s.packed = fabric16 && !fabric32 && simd != Simd::kOff && vop != VOp::kDfilt;
    if (s.packed) s.width = std::min(s.width, simd == Simd::kSimd32 || sends ? 2 : 4);
    if ((fabric16 && !s.packed) || fabric32 || is_scalar(in.dst) || vop == VOp::kDfilt) s.width = 1;
    if (!s.packed) return s;
    s.width = std::max(2, s.width & ~1);
    s.needs = simd == Simd::kSimd64 ? 2 : 1;
    s.takes = s.width / 2;
    return s;
}

// How many memory sources take turns in a beat, 0 if one cycle reads them all.
int Local::turns(const Main& m, const Instr& in) const {
    int readers = 0, bytes = 0;
    for (const int32_t e : {in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, e); in_memory(d)) bytes += d->elem_bytes, ++readers;
    return readers > 1 && shape(m, in).width * bytes > arch_.read_bytes ? readers : 0;
}

// Cycles of a beat without what its two reads cost each other.
int Local::beat_cost(const Main& m, const Instr& in) const {
    const int readers = turns(m, in);
    const int cost =
        std::max({arch_.vop[in.type].beat_cycles, is_scalar(in.dst) ? arch_.scalar_dest : 1, readers, least_});
    const Dsd* target = dsr(m, in.dst);
    if (readers || !target || target->kind != DsdKind::kMem || target->ndim != 1 || target->index_offset) return cost;
    int num = 0, conflict = 0;
    for (const int32_t e : {in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem) {
            ++num;
            if (d->ndim == 1 && !conflict)
                conflict = arch_.write_conflict(target->base, int64_t{target->stride[0]} * target->elem_bytes, d->base,
                                                int64_t{d->stride[0]} * d->elem_bytes);
        }
    return num < 2 ? cost : cost + conflict;
}

// What every beat of an op on FIFOs costs, however many elements it takes; 0 if that varies.
int Local::cost_beside_fifos(const Main& m, const Instr& in) const {
    const Dsd* source[3] = {};
    int num = 0;
    for (const int32_t e : {in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem) source[num++] = d;
    if (num < 2 || turns(m, in)) return beat_cost(m, in);
    const int64_t s0 = source[0]->stride[0] * source[0]->elem_bytes, s1 = source[1]->stride[0] * source[1]->elem_bytes;
    if (source[0]->ndim != 1 || source[1]->ndim != 1 || s0 != s1 || s0 % 4) return 0;
    return beat_cost(m, in) + arch_.read_conflict(source[0]->base, source[1]->base);
}

int Local::even_cost(const Main& m, const Instr& in) const {
    for (const int32_t e : {in.dst, in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem && d->ndim != 1) return 0;
    const Dsd* source[3] = {};
    int num = 0;
    for (const int32_t e : {in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem) source[num++] = d;
    if (num < 2 || turns(m, in)) return beat_cost(m, in);
    const int64_t s0 = source[0]->stride[0] * source[0]->elem_bytes, s1 = source[1]->stride[0] * source[1]->elem_bytes;
    const Shape s = shape(m, in);
    if (s0 != s1 || s0 * (s.packed ? 2 : s.width) % 4) return 0;
    return beat_cost(m, in) + arch_.read_conflict(source[0]->base, source[1]->base);
}

// Cycles of each beat. Of a packed op with one word of its fabric operands per beat, or of one on memory.
std::vector<uint8_t> Local::costs_of_beats(const Main& m, const Instr& in, int64_t length) const {
    const Shape s = shape(m, in);
    const int cost_alone = beat_cost(m, in);
    std::vector<Walk> walks;
    std::vector<size_t> sources;
    if (const Dsd* d = dsr(m, in.dst); d && d->kind == DsdKind::kMem) walks.push_back({d, d->base, {}});
    for (const int32_t e : {in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem)
            sources.push_back(walks.size()), walks.push_back({d, d->base, {}});
    const bool pair = sources.size() >= 2 && !turns(m, in);
    std::vector<uint8_t> costs;
    for (int64_t passed = 0; passed < length;) {
        int64_t n = std::min<int64_t>(s.width, length - passed);
        for (const Walk& w : walks)
            if (w.d->ndim > 1 && !s.packed) n = std::min<int64_t>(n, w.d->ext[0] - w.index[0]);
        const int cost = cost_alone + (pair ? arch_.read_conflict(walks[sources[0]].addr, walks[sources[1]].addr) : 0);
        if (cost > UINT8_MAX) refuse(in, "a beat of more than 255 cycles");
        costs.push_back(static_cast<uint8_t>(cost));
        for (Walk& w : walks)
            for (int64_t i = 0; i < n; ++i) w.advance();
        passed += n;
    }
    return costs;
}

// The bytes of a memory operand; it has to lie in SRAM, but for one that INDEX_OFFSET moves about.
void Local::check_memory(const Main&, const Instr& in, const Dsd& d, int64_t length, bool target, int64_t& low,
                         int64_t& high) const {
    memory_range(d, length, low, high);
    if (target && d.index_offset) return;
    if (low < 0 || high > arch_.sram_bytes || d.base % 2) refuse(in, "a memory operand outside SRAM");
}

std::vector<std::pair<int32_t, int32_t>> Local::saved_bases(const Main& m, const Instr& in, int64_t length) const {
    std::vector<std::pair<int32_t, int32_t>> saved;
    const bool all = settings_of(m, in).save_address;
    for (const int32_t e : {in.dst, in.a, in.b, in.c}) {
        const Dsd* d = dsr(m, e);
        if (!d || d->kind != DsdKind::kMem || d->ndim != 1) continue;
        if (!all && !saves_itself(*d)) continue;
        saved.push_back(
            {e & 0xffffff, (d->base + static_cast<int32_t>(length) * d->stride[0] * d->elem_bytes) & 0xffff});
    }
    return saved;
}

void Local::save_base(Main& m, int32_t number, int32_t base) {
    int32_t& at = m.dsrs[static_cast<size_t>(dsr_index(m, number))].dsd;
    Dsd moved = dsd(at);
    moved.base = base;
    at = intern(moved);
}

// What an op leaves in a register or a scalar in SRAM is array data.
void Local::scalar_destination(Main& m, const Instr& in) {
    if (kind_of(in.dst) == static_cast<int>(OperandKind::kReg)) write(m, in.dst & 0xffffff, 0, false, kMinus);
    if (kind_of(in.dst) != static_cast<int>(OperandKind::kPtr)) return;
    bool known = true;
    const auto address = static_cast<uint16_t>(read(m, in.dst & 0xffffff, known));
    fix();
    if (!known) refuse(in, "a scalar destination at an unknown address");
    const int bytes = kVopShape[in.type].dst_bytes;
    if (address % 2 || address + bytes > arch_.sram_bytes) refuse(in, "a scalar destination outside SRAM");
    vector_writes(m, address, address + bytes);
}

// A synchronous op on memory alone, starting at t: its last beat and cost give the next instructions' times.
void Local::local_vector(Main& m, const Instr& in, Cycle t) {
    if (m.map.pc >= 0) refuse(in, "a vector operation inside a MAP callback");
    const VopCost& rate = arch_.vop[in.type];
    const int64_t length = vector_length(m, in);
    if (length == kEndless) refuse(in, "a memory op of endless length");
    int64_t low = 0, high = 0;
    for (const int32_t e : {in.a, in.b, in.c, in.dst})
        if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem)
            check_memory(m, in, *d, length, e == in.dst, low, high);
    if (static_cast<VOp>(in.type) == VOp::kDfilt) refuse(in, "dfilt");
    Cycle last = t;
    set_least(in, [&](int32_t r) {
        bool known = true;
        const auto address = static_cast<uint16_t>(read(m, r, known));
        fix();
        if (!known) refuse(in, "a scalar destination at an unknown address");
        return address;
    });
    int last_cost = even_cost(m, in);
    if (last_cost) {
        const int64_t beats = shape(m, in).beats(length);
        const bool paced = static_cast<int64_t>(rate.pace_num) > static_cast<int64_t>(last_cost) * rate.pace_den;
        last = t + (paced ? (beats - 1) * rate.pace_num / rate.pace_den : (beats - 1) * last_cost);
    } else {
        Cycle next = t;
        int64_t beats = 0;
        for (const uint8_t cost : costs_of_beats(m, in, length)) {
            last = next, last_cost = cost;
            next = std::max(last + cost, t + ++beats * rate.pace_num / rate.pace_den);
        }
    }
    if (const Dsd* target = dsr(m, in.dst); target && target->kind == DsdKind::kMem) {
        vector_writes(m, low, target->index_offset ? arch_.sram_bytes : high);
        remember(m, t, low, high);
    }
    scalar_destination(m, in);
    for (const auto& [number, base] : saved_bases(m, in, length)) save_base(m, number, base);
    if (in.aux >= 0) write(m, in.aux, 1, true, kMinus);
    m.last_issue = last;
    m.next_vector = last + last_cost;
    m.next_issue = last + last_cost - 1 + arch_.vector_drain;
    m.end = std::max(m.end, last + last_cost);
    ++m.pc;
}

}  // namespace wafersim::stream
