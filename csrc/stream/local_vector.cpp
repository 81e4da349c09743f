// Vector ops of the main thread on memory alone: their beats, costs and what they write.
#include <algorithm>

#include "pe/values.hpp"
#include "stream/local.hpp"

namespace wafersim::stream {
namespace {

int kind_of(int32_t encoded) {
    return encoded < 0 ? 0 : encoded >> 24;
}
bool is_scalar(int32_t dst) {
    return kind_of(dst) == static_cast<int>(OperandKind::kReg) || kind_of(dst) == static_cast<int>(OperandKind::kPtr);
}

// docs/semantics.md, section 4.3.
int stride_cap(const Dsd& d) {
    const int step = d.stride[0] * d.elem_bytes, s = step / 2;
    if (s == 0 || s == 1 || (d.elem_bytes == 4 && (s == 2 || s == -2))) return 16;
    switch (((s % 8) + 8) % 8) {
        case 0:
            return 1;
        case 4:
            return d.elem_bytes == 4 ? 1 : 2;
        case 1:
        case 7:
            return 2;
        default:
            return 16;
    }
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
    const ControlBytes& c = control_[static_cast<size_t>(m.tile)];
    for (size_t i = 0; i < c.ranges.size(); ++i) {
        const int64_t a = std::max<int64_t>(low, c.ranges[i].first), b = std::min<int64_t>(high, c.ranges[i].second);
        for (int64_t x = a; x < b; ++x) {
            const auto at = static_cast<int32_t>(c.offset[i] + x - c.ranges[i].first);
            m.unknown[static_cast<size_t>(at)] = 1;
            m.memory[static_cast<size_t>(at)] = 0;
            recorder.forget_bytes(at, 1);
        }
    }
}

bool Local::holds(int32_t tile, int64_t low, int64_t high) const {
    for (const auto& [first, end] : control_[static_cast<size_t>(tile)].ranges)
        if (low < end && first < high) return true;
    return false;
}

void Local::remember(Main& m, Cycle start, int64_t low, int64_t high) const {
    std::erase_if(m.recent, [&](const Recent& r) { return r.start + arch_.vector_raw <= start; });
    m.recent.push_back({start, static_cast<int32_t>(low), static_cast<int32_t>(high)});
}

int Local::width_of(const Main& m, const Instr& in, VOp vop) const {
    int width = arch_.vop[static_cast<int>(vop)].simd, widest = 0;
    for (const int32_t e : {in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem) widest = std::max<int>(widest, d->elem_bytes);
    if (widest) width = std::min(width, std::max(1, arch_.read_bytes / widest));
    for (const int32_t e : {in.dst, in.a, in.b, in.c}) {
        const Dsd* d = dsr(m, e);
        if (d && d->kind == DsdKind::kMem) width = std::min(width, stride_cap(*d));
        if (d && (d->kind == DsdKind::kFabin || d->kind == DsdKind::kFabout)) width = 1;
    }
    return is_scalar(in.dst) ? 1 : width;
}

// How many memory sources take turns in a beat, 0 if one cycle reads them all.
int Local::turns(const Main& m, const Instr& in) const {
    int readers = 0, bytes = 0;
    for (const int32_t e : {in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem) bytes += d->elem_bytes, ++readers;
    return readers > 1 && width_of(m, in, static_cast<VOp>(in.type)) * bytes > arch_.read_bytes ? readers : 0;
}

// Cycles from one element to the next of an op that adds into its scalar destination; 0 of another op.
int Local::accumulation(Main& m, const Instr& in) {
    bool same = false;
    for (const int32_t e : {in.a, in.b, in.c}) {
        if (e < 0 || kind_of(e) != kind_of(in.dst)) continue;
        same |= e == in.dst;
        if (e == in.dst || kind_of(e) != static_cast<int>(OperandKind::kPtr)) continue;
        bool known = true, known_dst = true;
        const auto source = static_cast<uint16_t>(read(m, e & 0xffffff, known));
        fix();
        const auto target = static_cast<uint16_t>(read(m, in.dst & 0xffffff, known_dst));
        fix();
        if (!known || !known_dst) refuse(in, "a scalar destination at an unknown address");
        same |= source == target;
    }
    if (!same) return 0;
    const bool floats = is_float_op(static_cast<VOp>(in.type));
    return static_cast<int>(arch_.value(floats ? ArchInt::kLatencyFp : ArchInt::kLatencyAlu));
}

// Cycles of a beat without what its two reads cost each other.
int Local::beat_cost(const Main& m, const Instr& in) const {
    const int readers = turns(m, in);
    const int cost =
        std::max({arch_.vop[in.type].beat_cycles, is_scalar(in.dst) ? arch_.scalar_dest : 1, readers, least_});
    const Dsd* target = dsr(m, in.dst);
    if (readers || !target || target->kind != DsdKind::kMem || target->ndim != 1) return cost;
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

int Local::even_cost(const Main& m, const Instr& in) const {
    for (const int32_t e : {in.dst, in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem && d->ndim != 1) return 0;
    const Dsd* source[3] = {};
    int num = 0;
    for (const int32_t e : {in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem) source[num++] = d;
    if (num < 2 || turns(m, in)) return beat_cost(m, in);
    const int64_t s0 = source[0]->stride[0] * source[0]->elem_bytes, s1 = source[1]->stride[0] * source[1]->elem_bytes;
    if (s0 != s1 || s0 % 4) return 0;
    return beat_cost(m, in) + arch_.read_conflict(source[0]->base, source[1]->base);
}

void Local::walk_beats(Main& m, const Instr& in, int64_t length, Cycle t, Cycle& last, int& last_cost) const {
    const VopCost& rate = arch_.vop[in.type];
    const int width = width_of(m, in, static_cast<VOp>(in.type)), cost_alone = beat_cost(m, in);
    const bool pair = !turns(m, in);
    std::vector<Walk> walks;
    std::vector<size_t> sources;
    for (const int32_t e : {in.dst}) {
        if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem) walks.push_back({d, d->base, {}});
    }
    for (const int32_t e : {in.a, in.b, in.c})
        if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem)
            sources.push_back(walks.size()), walks.push_back({d, d->base, {}});
    Cycle next = t;
    for (int64_t passed = 0, beats = 0; passed < length;) {
        int64_t n = std::min<int64_t>(width, length - passed);
        for (const Walk& w : walks)
            if (w.d->ndim > 1) n = std::min<int64_t>(n, w.d->ext[0] - w.index[0]);
        last = next;
        const bool meets = pair && sources.size() >= 2;
        last_cost = cost_alone + (meets ? arch_.read_conflict(walks[sources[0]].addr, walks[sources[1]].addr) : 0);
        for (Walk& w : walks)
            for (int64_t i = 0; i < n; ++i) w.advance();
        passed += n;
        ++beats;
        next = std::max(last + last_cost, t + beats * rate.pace_num / rate.pace_den);
    }
}

// A synchronous op on memory alone, starting at t: its last beat and cost give the next instructions' times.
void Local::local_vector(Main& m, const Instr& in, Cycle t) {
    const VopCost& rate = arch_.vop[in.type];
    const int64_t length = vector_length(m, in);
    if (length == kEndless) refuse(in, "a memory op of endless length");
    for (const int32_t e : {in.dst, in.a, in.b, in.c}) {
        const Dsd* d = dsr(m, e);
        if (!d || d->kind != DsdKind::kMem) continue;
        if (d->index_offset) refuse(in, "INDEX_OFFSET");
        int64_t low, high;
        memory_range(*d, length, low, high);
        if (low < 0 || high > arch_.sram_bytes || d->base % 2) refuse(in, "a memory operand outside SRAM");
    }
    if (static_cast<VOp>(in.type) == VOp::kDfilt) refuse(in, "dfilt");
    Cycle last = t;
    least_ = is_scalar(in.dst) ? accumulation(m, in) : 0;
    int last_cost = even_cost(m, in);
    if (last_cost) {
        const int64_t beats =
            (length + width_of(m, in, static_cast<VOp>(in.type)) - 1) / width_of(m, in, static_cast<VOp>(in.type));
        const bool paced = static_cast<int64_t>(rate.pace_num) > static_cast<int64_t>(last_cost) * rate.pace_den;
        last = t + (paced ? (beats - 1) * rate.pace_num / rate.pace_den : (beats - 1) * last_cost);
    } else {
        walk_beats(m, in, length, t, last, last_cost);
    }
    if (const Dsd* target = dsr(m, in.dst); target && target->kind == DsdKind::kMem) {
        int64_t low, high;
        memory_range(*target, length, low, high);
        vector_writes(m, low, high);
        remember(m, t, low, high);
    }
    if (kind_of(in.dst) == static_cast<int>(OperandKind::kReg)) write(m, in.dst & 0xffffff, 0, false, kMinus);
    if (kind_of(in.dst) == static_cast<int>(OperandKind::kPtr)) {
        bool known = true;
        const auto address = static_cast<uint16_t>(read(m, in.dst & 0xffffff, known));
        fix();
        if (!known) refuse(in, "a scalar destination at an unknown address");
        vector_writes(m, address, address + 4);
    }
    if (settings_of(m, in).save_address)
        for (const int32_t e : {in.dst, in.a, in.b})
            if (const Dsd* d = dsr(m, e); d && d->kind == DsdKind::kMem && d->ndim == 1) {
                Dsd moved = *d;
                moved.base = (moved.base + static_cast<int32_t>(length) * d->stride[0] * d->elem_bytes) & 0xffff;
                m.dsrs[static_cast<size_t>(dsr_index(m, e & 0xffffff))].dsd = intern(moved);
            }
    if (in.aux >= 0) write(m, in.aux, 1, true, kMinus);
    m.last_issue = last;
    m.next_vector = last + last_cost;
    m.next_issue = last + last_cost - 1 + arch_.vector_drain;
    m.end = std::max(m.end, last + last_cost);
    ++m.pc;
}

}  // namespace wafersim::stream
