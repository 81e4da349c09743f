// The common case of a vector op that runs ahead: 32-bit, 1-D memory operands, nothing else alive. Its beats are all
// alike, so time, counters and values follow in one go; equal to beat by beat (tests hold both equal).
#include <algorithm>
#include <bit>

#include "base/numbers.hpp"
#include "pe/core.hpp"
#include "pe/values.hpp"

namespace wafersim {
namespace {

bool wholesale(VOp op) {
    return op == VOp::kFmacs || op == VOp::kFadds || op == VOp::kFsubs || op == VOp::kFmuls || op == VOp::kFmovs ||
           op == VOp::kMov32;
}

int cap_of_stride(int stride) {  // section 4.3 for 32-bit elements, stride in elements
    if (stride >= -1 && stride <= 1) return 16;
    return stride % 2 == 0 ? 1 : 16;
}

}  // namespace

// True when the op was done as a whole, starting at `at` and ending before `limit`.
bool Core::whole_op(Pe& p, const Instr& in, Cycle at, Cycle limit) {
    const auto vop = static_cast<VOp>(in.type);
    if (!wholesale(vop) || in.aux >= 0) return false;
    const Dsd* d = dsr_of(p, in.dst);
    if (!d || d->kind != DsdKind::kMem || d->ndim != 1 || d->elem_bytes != 4 || d->index_offset || d->base % 4)
        return false;
    const int sources = kVopShape[in.type].num_sources;
    const int32_t encoded[3] = {sources == 1 && in.a < 0 ? in.b : in.a, sources == 1 ? -1 : in.b,
                                sources == 3 ? in.c : -1};
    const Dsd* memory[3] = {};
    int num_memory = 0;
    auto saves = [&](const Dsd& dsr) {
        return dsr.settings >= 0 && program_.settings[static_cast<size_t>(dsr.settings)].save_own;
    };
    if (saves(*d)) return false;
    for (int i = 0; i < sources; ++i) {
        if (encoded[i] < 0 || encoded[i] >> 24 == static_cast<int>(OperandKind::kPtr)) return false;
        const Dsd* s = dsr_of(p, encoded[i]);
        if (!s) continue;
        if (s->kind != DsdKind::kMem || s->ndim != 1 || s->elem_bytes != 4 || s->base % 4) return false;
        if (saves(*s)) return false;
        memory[i] = s;
        ++num_memory;
    }
    if (num_memory == 0) return false;
    const Settings set = effective_settings(p, in);
    if (set.async || set.save_address || set.activate >= 0 || set.unblock >= 0) return false;
    const int64_t n = vector_length(p, in);
    const VopCost& rate = arch_.vop[in.type];
    int width = std::min(rate.simd, std::max(1, arch_.read_bytes / 4));
    width = std::min(width, cap_of_stride(d->stride[0]));
    const Dsd *first = nullptr, *second = nullptr;
    for (const Dsd* s : memory) {
        if (!s) continue;
        width = std::min(width, cap_of_stride(s->stride[0]));
        if (!first) {
            first = s;
        } else if (!second) {
            second = s;
        }
    }
    if (second && first->stride[0] != second->stride[0]) return false;
    // Bounds, and no source that the op itself rewrites at other places.
    auto range = [&](const Dsd& s, int64_t& low, int64_t& high) {
        const int64_t reach = (n - 1) * s.stride[0] * 4;
        low = s.base + std::min<int64_t>(reach, 0);
        high = s.base + std::max<int64_t>(reach, 0) + 4;
        return low >= 0 && high <= arch_.sram_bytes;
    };
    int64_t low, high;
    if (!range(*d, low, high)) return false;
    for (const Dsd* s : memory) {
        int64_t from, to;
        if (!s) continue;
        if (!range(*s, from, to)) return false;
        const bool same = s->base == d->base && s->stride[0] == d->stride[0] && d->stride[0] != 0;
        if (!same && from < high && low < to) return false;
    }
    const bool turns = num_memory > 1 && width * 4 * num_memory > arch_.read_bytes;
    const int alone = std::max(rate.beat_cycles, turns ? num_memory : 1);
    int conflict = 0;
    if (second && !turns) {
        const int step = d->stride[0] * 4;
        for (const Dsd* m : memory)
            if (m && !conflict) conflict = arch_.write_conflict(d->base, step, m->base, m->stride[0] * 4);
        conflict += arch_.read_conflict(first->base, second->base);
    }
    const int64_t beats = (n + width - 1) / width, cost = alone + conflict;
    const bool paced = static_cast<int64_t>(rate.pace_num) > cost * rate.pace_den;
    const Cycle last = at + (paced ? (beats - 1) * rate.pace_num / rate.pace_den : (beats - 1) * cost);
    if (last + cost > limit) return false;

    auto scalar = [&](int32_t e) {
        if (e < 0) return 0.0f;
        return bits_to_f32(e >> 24 == static_cast<int>(OperandKind::kReg)
                               ? static_cast<uint32_t>(p.regs[static_cast<size_t>(e & 0xffffff)])
                               : static_cast<uint32_t>(in.imm2));
    };
    auto pointer = [&](const Dsd* s) { return reinterpret_cast<float*>(p.sram + s->base); };
    if (vop == VOp::kFmacs && memory[0] && memory[1] && !memory[2]) {
        fmacs_loop(pointer(d), pointer(memory[0]), pointer(memory[1]), scalar(encoded[2]), n, d->stride[0],
                   memory[0]->stride[0], memory[1]->stride[0]);
    } else {
        uint32_t value[3] = {}, carry = 0;
        for (int i = 0; i < sources; ++i)
            if (!memory[i]) value[i] = std::bit_cast<uint32_t>(scalar(encoded[i]));
        for (int64_t k = 0; k < n; ++k) {
            for (int i = 0; i < sources; ++i)
                if (memory[i])
                    value[i] = read_sram(p, memory[i]->base + static_cast<int32_t>(k) * memory[i]->stride[0] * 4, 4);
            write_sram(p, d->base + static_cast<int32_t>(k) * d->stride[0] * 4, 4,
                       vector_element(vop, value[0], value[1], value[2], carry));
        }
    }
    p.note_write(at, static_cast<int32_t>(low), static_cast<int32_t>(high));
    p.counters[static_cast<size_t>(Counter::kBusyVector)] += beats * alone;
    p.counters[static_cast<size_t>(Counter::kStallBank)] += beats * conflict;
    p.counters[static_cast<size_t>(Counter::kStallPace)] += last + cost - at - beats * cost;
    p.tail_kind = static_cast<int>(Counter::kBusyVector);
    p.tail_conflict = conflict;
    if (conflict) p.count(Event::kBankConflicts) += beats;
    ++p.count(Event::kVectorOps);
    p.count(Event::kVectorElements) += n;
    p.count(Event::kSramReadBytes) += 4 * num_memory * n;
    p.count(Event::kSramWriteBytes) += 4 * n;
    p.last_issue = last;
    p.slot_free = p.accounted = p.next_vector = last + cost;
    p.next_issue = last + cost - 1 + arch_.vector_drain;
    mark(last + cost);
    ++p.pc;
    return true;
}

}  // namespace wafersim
