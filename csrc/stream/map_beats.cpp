// MAP beside other threads, and with words of the fabric: each of its beats with one is an op of one word, which the
// main thread waits for.
#include <algorithm>
#include <bit>

#include "stream/element.hpp"

namespace wafersim::stream {
namespace {

bool is_fabric(const Dsd& d) {
    return d.kind == DsdKind::kFabin || d.kind == DsdKind::kFabout;
}

}  // namespace

// What a MAP has as operands must not change between the cycle in which it can start and its first beat.
void Element::check_map(const Node& n, const Instr& in) const {
    if (main(n).map.pc >= 0) return;
    for (uint32_t rest = n.live; rest; rest &= rest - 1)
        for (const auto& [dsr, base] : n.thread[static_cast<size_t>(std::countr_zero(rest))]->saved)
            for (const int32_t e : {in.dst, in.a, in.b})
                if (e == (static_cast<int32_t>(OperandKind::kDsr) << 24 | dsr))
                    refuse(in, "a MAP whose descriptors an asynchronous op advances");
}

// One that starts with words of the fabric as an operand, or whose next beat is one of them.
Element::Next Element::advance_map(Node& n, const Instr& in, Cycle T, Cycle from) {
    if (main(n).map.pc >= 0) {
        start_map_beat(n, in, T, from);
        return Next::kAgain;
    }
    const Cycle at = std::max(from, n.slot_free);
    if (from <= T && claimed(n, in)) {
        renew(n, T);  // the claim's end wakes us
        return Next::kStop;
    }
    if (T < at) {
        n.wake_element(at);
        renew(n, T);
        return Next::kStop;
    }
    start_map(n, in, T);  // takes no slot; its first beat competes in this cycle
    return Next::kAgain;
}

void Element::start_map(Node& n, const Instr& in, Cycle T) {
    if (const Cycle next = main(n).next_issue; next > kMinus) n.end = std::max(n.end, n.base + next);
    for (const int32_t e : {in.dst, in.a, in.b})
        if (const Dsd* d = local_.dsr(main(n), e); d && d->kind == DsdKind::kFifo) refuse(in, "a MAP over a FIFO");
    const Settings set = local_.settings_of(main(n), in);
    if (set.index_reg >= 0) refuse(in, "a MAP with an index of wavelets");
    int32_t scalar = -1;
    if (in.dst >= 0 && in.dst >> 24 == static_cast<int>(OperandKind::kPtr)) {
        bool known = true;
        scalar = static_cast<uint16_t>(reg(n, in.dst & 0xffffff, known));
        if (!known && !values) refuse(in, "a scalar destination at an unknown address");
    }
    mains_.change_once(n, T, [&](Main& m, Cycle now) { local_.begin_map(m, in, now, scalar); });
}

// The beat's word is one of an op.
void Element::start_map_beat(Node& n, const Instr& in, Cycle T, Cycle from) {
    const Mapping& map = main(n).map;
    Thread*& place = n.thread[kMainOp];
    if (!place) place = arena_.make<Thread>();
    Thread& th = *place;
    th.reset();
    th.last_issue = n.last_issue;
    th.live = th.synchronous = th.maps = true;
    th.words = 1;
    th.priority = main(n).priority;
    th.next_beat = std::max(from, T);
    int priority = -1;
    if (map.phase == Mapping::Phase::kWrite) {
        Dsd d = local_.dsd(map.operand[0]);
        if (d.control) refuse(in, "control wavelets that a MAP sends");
        d.advance_switch = false;
        start_send(n, th, in, d, false, 1, T, priority);
    } else {
        for (const size_t i : {1, 2}) {
            if (map.operand[i] < 0) continue;
            const Dsd d = local_.dsd(map.operand[i]);
            if (d.kind == DsdKind::kFabin) start_receive(n, th, d, 1, T, priority);
        }
        th.base = th.in_base[0];
    }
    n.live = static_cast<uint16_t>(n.live | 1u << kMainOp);
    if (values) start_map_values(n, th, in);
    dirty_ = true;
}

void Element::start_map_values(Node& n, Thread& th, const Instr& in) {
    const Mapping& map = main(n).map;
    th.values.reset(new OpValues);
    OpValues& op = *th.values;
    op.fabric = true;
    op.e.length = 1;
    op.e.line = in.line;
    if (th.in[1] >= 0) refuse(in, "a MAP over words of two queues");
    const bool sends = th.out >= 0;
    const size_t which = sends ? 0 : map.operand[1] >= 0 && is_fabric(local_.dsd(map.operand[1])) ? 1 : 2;
    const auto bytes = static_cast<uint8_t>(local_.dsd(map.operand[which]).elem_bytes);
    op.e.vop = bytes == 4 ? VOp::kMov32 : VOp::kMov16;
    Operand &word = sends ? op.e.dst : op.e.a, &other = sends ? op.e.a : op.e.dst;
    word.kind = sends ? Source::kFabout : Source::kFabin;
    word.elem_bytes = bytes;
    other.kind = Source::kReg;
    other.reg = sends ? in.aux : in.imm2 + (which == 2 && map.operand[1] >= 0 ? 1 : 0);
    if (!sends) {
        op.queue[0] = th.in[0];
        return;
    }
    OutQueue& q = *n.oq[static_cast<size_t>(th.out)];
    op.run = values->send(n, kMainOp, 1);
    WordsOf& words = q.mixed ? q.mixed->words : q.ramp->words;
    if (!words) words = std::make_unique<Words>();
    words->append(th.base, 1, op.run, 0);
}

// An element of a source in memory, in the same beat as a word.
void Element::read_beside(Node& n, const Dsd& d, int64_t k, int32_t r) {
    const int32_t address = address_of(d, k);
    for (uint32_t rest = n.live; rest; rest &= rest - 1)
        if (const Thread& th = *n.thread[static_cast<size_t>(std::countr_zero(rest))];
            th.values && th.values->low < address + d.elem_bytes && address < th.values->high)
            throw Refused("a MAP over words whose other source an asynchronous op writes");
    uint32_t value = 0;
    values->read(n, address, {reinterpret_cast<uint8_t*>(&value), static_cast<size_t>(d.elem_bytes)});
    set_reg(r, value);
}

// It has passed in cycle `last`.
void Element::finish_map_beat(Node& n, Thread& th, Cycle last) {
    const Instr& in = mains_.instruction(n);
    const Mapping map = main(n).map;
    const bool sends = th.out >= 0;
    th.live = false;
    n.live = static_cast<uint16_t>(n.live & ~(1u << kMainOp));
    n.last_issue = last;
    n.end = std::max(n.end, last + 1);
    int32_t r = in.imm2;
    std::vector<int32_t> read;  // registers
    for (const size_t i : {1, 2}) {
        if (sends || map.operand[i] < 0) continue;
        if (const Dsd d = local_.dsd(map.operand[i]); values && !is_fabric(d)) read_beside(n, d, map.done, r);
        read.push_back(r++);
    }
    mains_.change_once(n, last, [&](Main& m, Cycle now) {
        if (sends) return local_.map_next(m, in, now);
        local_.note_first_beat(m, now);
        for (const int32_t x : read) m.regs[static_cast<size_t>(x)] = {0, now + 1, false};
        local_.call_back(m, in, now);
    });
    if (sends && map.done + 1 == map.length && (map.activate >= 0 || map.unblock >= 0))
        n.completions.push_back({last + arch_.completion, -1, map.activate, map.unblock});
}

}  // namespace wafersim::stream
