#include "stream/element.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace wafersim::stream {
namespace {

// What may change a situation of the main thread (`Mains::change`), in the low bits of the key.
enum ChangeKind : uint64_t { kResult = 3, kSyncEnd, kSaved, kRevealed };

}  // namespace

Cycle keep_of(const Arch& arch) {
    Cycle keep = 2 * std::max({arch.hop, arch.ramp_out, arch.ramp_in + 1, arch.fabric_write}) + 6;
    for (const VopCost& v : arch.vop) keep = std::max<Cycle>(keep, v.beat_cycles + 2 * arch.conflict_cycles + 4);
    return keep;
}

int64_t settle_thread(Node& n, Thread& th, Cycle T) {
    const Seq& beats = n.beats(th);
    const int64_t done = beats.count_before(T) - th.base;
    if (done <= 0) return done;
    if (const Seq::Value v = beats.at(th.base + done - 1); v.known && v.t > kMinus) {
        th.last_issue = v.t;
        n.slot_free = std::max(n.slot_free, th.last_issue + th.cost_of(done - 1));
    }
    if (th.start <= kMinus) th.start = beats.at(th.base).t;
    return done;
}

void Element::sync(Node& n, Cycle T) {
    if (n.fifos) settle_fifos(n, T);
    for (uint32_t rest = n.live; rest; rest &= rest - 1) {
        const int t = std::countr_zero(rest);
        Thread& th = *n.thread[static_cast<size_t>(t)];
        if (th.finished) continue;
        const int64_t done = settle_thread(n, th, T);
        if (th.stops < T) {
            stop(n, th, th.stops);
            continue;
        }
        if (done <= 0) continue;
        if (!th.payloads.empty()) check_payloads(n, th, std::min(done, th.words));
        if (done >= th.words) finish(n, t, th.last_issue);
    }
}

void Element::finish(Node& n, int t, Cycle last, bool stopped) {
    Thread& th = *n.thread[static_cast<size_t>(t)];
    if (th.maps) return finish_map_beat(n, th, last);
    th.finished = true;
    const int32_t cost = stopped ? 1 : th.cost_of(th.words - 1);
    n.end = std::max(n.end, last + cost);
    for (const auto& [dsr, base] : th.saved)
        mains_.change(n, std::max(last, n.base),
                      kSaved | static_cast<uint64_t>(dsr) << 8 | static_cast<uint64_t>(base) << 16,
                      [&](Main& m, Cycle) { local_.save_base(m, dsr, base); });
    if (th.reaches && local_.holds(n.tile, th.low, th.reaches))
        mains_.change_once(n, std::max(last, n.base),
                           [&](Main& m, Cycle) { local_.vector_writes(m, th.low, th.reaches); });
    if (th.ok_reg >= 0) {
        const int32_t r = th.ok_reg;
        set_reg(r, !stopped);
        mains_.change(n, std::max(last, n.base), kResult | static_cast<uint64_t>(r) << 8,
                      [&](Main& m, Cycle) { m.regs[static_cast<size_t>(r)] = {0, kMinus, true}; });
    }
    if (th.synchronous) {
        th.live = false;
        n.live = static_cast<uint16_t>(n.live & ~(1u << t));
        n.last_issue = last;
        const Cycle ago = std::min<Cycle>(last - th.start, arch_.vector_raw);
        const int32_t drain = th.out >= 0 ? 1 : arch_.vector_drain;
        auto change = [&](Main& m, Cycle now) {
            m.next_vector = now + cost;
            m.next_issue = now + cost - 1 + drain;
            if (th.memory_dst) local_.remember(m, now - ago, th.low, th.high);
        };
        if (th.memory_dst && ago < arch_.vector_raw)
            mains_.change_once(n, last, change);
        else
            mains_.change(
                n, last, kSyncEnd | static_cast<uint64_t>(th.out >= 0) << 8 | static_cast<uint64_t>(cost) << 9, change);
    }
    if (!th.synchronous || th.activate >= 0 || th.unblock >= 0)
        n.completions.push_back({last + cost - 1 + arch_.completion, th.synchronous ? -1 : t, th.activate, th.unblock});
}

const Stretch& Element::find(const Node& n, Cycle floor, Cycle limit, bool scalar_only) {
    const Stretch& s = mains_.find(n, floor, limit, scalar_only, cells_);
    if (script.on && mains_.guarded(s))
        script.add({Step::Kind::kChoose, 0, 0, static_cast<uint64_t>(mains_.number(s))});
    return s;
}

// A stretch of local code happens.
void Element::enter(Node& n, const Stretch& s, Cycle floor) {
    if (script.on && s.count && s.tape >= 0) script.enter(static_cast<uint64_t>(mains_.number(s)));
    mains_.evaluate(s, cells_);  // before array data is written: its registers may have been scalar ones
    if (s.data >= 0) values->tapes.replay(s.data, values->place(n));
    mains_.enter(n, s, floor, cells_);
    done_ += s.done;
}

// The other threads got in between a stretch of local code: it is run up to now only.
void Element::drop_pending(Node& n, Cycle T) {
    const Stretch* s = &find(n, n.pending_start, kForever, n.live != 0);
    if (n.pending_start + s->last_issue >= T) s = &find(n, n.pending_start, T, n.live != 0);
    if (s->count) enter(n, *s, n.pending_start);
    n.slot_free = std::max(n.slot_free, n.last_issue + 1);
    n.pending = false;
    complete(n, T);  // it may have been one of its ops
}

// Earliest beat of any thread from now on, as predicted.
Cycle Element::first_beat(Node& n, Cycle T) {
    Cycle first = kForever;
    for (uint32_t rest = n.live; rest; rest &= rest - 1) {
        Thread& th = *n.thread[static_cast<size_t>(std::countr_zero(rest))];
        if (th.finished) continue;
        const Seq& b = n.beats(th);
        const int64_t next = b.count_before(T);
        if (next < b.end()) first = std::min(first, b.at(next).t);
    }
    return first;
}

// With values, array data that decides what the next instruction does: all before it has taken effect, so its register
// holds it, and a stretch from here on is guarded by it like by any other value.
void Element::reveal(Node& n) {
    for (int32_t r = mains_.undecided(n); r >= 0; r = mains_.undecided(n))
        mains_.change(n, n.base, kRevealed | static_cast<uint64_t>(r) << 8,
                      [r](Main& m, Cycle) { m.regs[static_cast<size_t>(r)].known = true; });
}

// The main thread alone has run ahead; unless it has nothing to do then, it goes on there.
void Element::wake_ahead(Node& n) {
    if (mains_.in_task(n) || !n.completions.empty())
        n.wake_element(n.ahead);
    else if (const Cycle next = next_pick(n); next < kForever)
        n.wake_element(std::max(n.ahead, next));
}

int Element::step(Node& n, Cycle T, uint8_t* cells) {
    if (n.tile < 0) return 0;
    cells_ = cells;
    done_ = 0;
    if (T < n.ahead) {  // the main thread is alone and further on; its queues may still drain
        dirty_ = std::exchange(n.dirty, false);
        renew(n, T);
        wake_ahead(n);
        return 0;
    }
    if (values) values->advance(n, T);
    sync(n, T);
    complete(n, T);
    dirty_ = n.dirty;
    n.dirty = false;
    defer_ = true;
    if (n.pending && T >= n.pending_stop) drop_pending(n, n.pending_stop);
    int guard = 0;
    while (advance(n, T) == Next::kAgain) {
        if (++guard <= 64) continue;
        if (n.ahead <= T || n.pending) throw Refused("internal: no progress");
        renew(n, T);  // array data decides again and again: it goes on there
        wake_ahead(n);
        break;
    }
    for (const Completion& c : n.completions) n.wake_element(std::max(c.when, T + 1));
    if (!n.pending && !mains_.in_task(n))
        if (const Cycle next = next_pick(n); next < kForever)
            n.wake_element(std::max({mains_.free_at(n), next, T + 1}));
    return done_;
}

Element::Next Element::advance(Node& n, Cycle T) {
    const bool alone = !n.live && n.completions.empty();
    if (!n.pending && !mains_.in_task(n) && T >= mains_.free_at(n) && pick(n, T) && n.live) dirty_ = true;
    if (n.pending) {
        renew(n, T);
        if (!alone && first_beat(n, T) >= n.pending_stop) {
            n.wake_element(n.pending_stop);
            return Next::kStop;
        }
        drop_pending(n, T);
        defer_ = alone;
        return Next::kAgain;
    }
    if (!mains_.in_task(n)) {
        renew(n, T);
        return Next::kStop;
    }
    if (n.live >> kMainOp & 1) {
        renew(n, T);
        return Next::kStop;
    }
    if (values) reveal(n);
    const bool local = this->local(n);
    if (local && alone) return advance_local(n, T, T, true);
    const Cycle from = std::max(mains_.ready_from(n, T), T);
    if (alone && !local && n.ahead > T) {
        if (plan(n, n.ahead)) return Next::kAgain;
        wake_ahead(n);
        renew(n, T);
        return Next::kStop;
    }
    if (const Instr& in = mains_.instruction(n); in.op == Op::kAssert || in.op == Op::kPrint)
        return free(n, in, T, from);
    else if (in.op == Op::kMap && n.live && local)
        check_map(n, in);
    else if (in.op == Op::kMap && !local)
        return advance_map(n, in, T, from);
    if (local && defer_ && !(mains_.is_vector(n) && n.live)) {
        const Next next = advance_local(n, T, from, false);
        if (n.pending) return next;
    }
    const Instr& in = mains_.instruction(n);
    if (in.op == Op::kVop) {
        if (from <= T && claimed(n, in)) {
            renew(n, T);  // the claim's end wakes us
            return Next::kStop;
        }
        if (!local_.settings_of(main(n), in).async && local_.vector_length(main(n), in) > 0) {
            if (const Cycle at = std::max(from, n.slot_free); T < at) {
                n.wake_element(at);
                renew(n, T);
                return Next::kStop;
            }
            start(n, in, T);  // takes no slot; its first beat competes in this cycle
            dirty_ = true;
            return Next::kAgain;
        }
    }
    if (issue(n, T, from) > T) return Next::kStop;
    if (local) {
        enter(n, find(n, T, T + 1, false), T);
        n.slot_free = T + 1;
    } else {
        dirty_ = dirty_ || n.live || in.op == Op::kVop;
        execute(n, T);
    }
    if (mains_.in_task(n)) return Next::kAgain;
    renew(n, T);
    return Next::kStop;
}

Element::Next Element::advance_local(Node& n, Cycle T, Cycle from, bool alone) {
    const Cycle at = std::max(from, n.slot_free);
    if (alone) {  // nobody can interfere: the code runs ahead
        const Cycle floor = std::max(T, n.slot_free);
        const Stretch& s = find(n, floor, kForever, false);
        enter(n, s, floor);
        n.ahead = floor + s.stop;
        n.slot_free = floor + s.slot_free;
        if ((s.in_task && n.completions.empty()) || n.ahead <= T) return Next::kAgain;
        if (s.in_task) n.wake_element(n.ahead);
        renew(n, T);
        return Next::kStop;
    }
    // How far does it get before a thread's next beat, as predicted now?
    const Cycle limit = first_beat(n, T);
    const Stretch& s = find(n, at, kForever, n.live != 0);
    if (s.count > 2 && at + 2 < limit) {
        n.pending = true;
        n.pending_start = at;
        n.pending_stop = std::min(at + s.stop, limit);
    }
    return Next::kAgain;
}

}  // namespace wafersim::stream
