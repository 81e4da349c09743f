// FIFOs in a PE's memory: their ops, and what they activate (docs/semantics.md, section 4.2).
#include <algorithm>
#include <bit>
#include <utility>

#include "stream/element.hpp"

namespace wafersim::stream {

FifoStage& Element::fifo(Node& n, int number) {
    if (!n.fifos) {
        n.fifos = std::make_unique<Fifos>();
        for (const Fifo& f : tile(n).fifos) {
            FifoStage& stage = n.fifos->stages.emplace_back();
            stage.capacity = f.capacity;
            auto task = [&](int id) { return id < 0 ? -1 : tile(n).local_task[static_cast<size_t>(id)]; };
            stage.task_push = task(f.activate_push), stage.task_pop = task(f.activate_pop);
            stage.watched = stage.task_push >= 0 || stage.task_pop >= 0;
        }
    }
    return n.fifo(number);
}

// An op of endless length goes on with what comes from elsewhere.
void Element::check_endless(const Node& n, const Instr& in, Thread& th) const {
    bool fed = false;
    for (const int32_t e : {in.dst, in.a, in.b, in.c}) {
        const Dsd* d = local_.dsr(main(n), e);
        if (d && d->kind == DsdKind::kMem) refuse(in, "an op of endless length on memory");
        fed = fed || (e != in.dst && d && d->kind == DsdKind::kFabin);
    }
    if (!fed && th.pop[0] < 0) refuse(in, "an op of endless length without words from the fabric or a FIFO");
    if (!fed && goes_round(n, th)) refuse(in, "ops of endless length that pass elements round in FIFOs");
    th.endless = true;
}

// Whether what an op pushes comes back to it through other ops without end.
bool Element::goes_round(const Node& n, const Thread& th) {
    for (int at = th.push; at >= 0;) {
        const int from = std::exchange(at, -1);
        for (uint32_t rest = n.live; rest; rest &= rest - 1) {
            const Thread& other = *n.thread[static_cast<size_t>(std::countr_zero(rest))];
            if (&other == &th || !other.endless || other.in[0] >= 0) continue;
            if (other.pop[0] == from || other.pop[1] == from) at = other.push;
        }
        if (at >= 0 && (at == th.pop[0] || at == th.pop[1])) return true;
    }
    return false;
}

// The ends of FIFOs that an op works at.
void Element::claim_fifos(Node& n, const Instr& in, Thread& th) {
    const Main& m = main(n);
    if (const Dsd* d = local_.dsr(m, in.dst); d && d->kind == DsdKind::kFifo) {
        th.push = static_cast<int8_t>(d->fifo);
        th.push_base = fifo(n, d->fifo).push.end();
    }
    int num = 0;
    for (const int32_t e : {in.a, in.b, in.c}) {
        const Dsd* d = local_.dsr(m, e);
        if (!d || d->kind != DsdKind::kFifo) continue;
        if (d->fifo == th.push || (num && d->fifo == th.pop[0])) refuse(in, "an op with two operands in one FIFO");
        if (num == 2) refuse(in, "an op with three FIFO sources");
        th.pop[num] = static_cast<int8_t>(d->fifo);
        th.pop_base[num++] = fifo(n, d->fifo).pop.end();
    }
}

// Its units are words of its fabric operand, else elements.
void Element::set_fifo_costs(Node& n, Thread& th, const Instr& in, const Local::Shape& shape, int64_t length) {
    const Main& m = main(n);
    for (const int32_t e : {in.dst, in.a, in.b, in.c}) {
        const Dsd* d = local_.dsr(m, e);
        if (d && d->kind == DsdKind::kMem && d->ndim > 1 && !shape.packed && shape.width > 1)
            th.row[th.num_rows++] = d->ext[0];
    }
    th.elements = length;
    th.packed = shape.packed;
    th.words = th.fabric ? shape.words(length) : length;
    if (!th.fabric) th.takes = static_cast<int8_t>(shape.width);
    th.cost = local_.cost_beside_fifos(m, in);
    if (!th.cost) refuse(in, "two memory sources with uneven beats beside a FIFO");
    if (th.push < 0) return;
    const Fifo& f = tile(n).fifos[static_cast<size_t>(th.push)];
    const int32_t high = f.base + f.capacity * f.elem_bytes;
    if (local_.holds(n.tile, f.base, high))
        mains_.change_once(n, n.base, [&](Main& now, Cycle) { local_.vector_writes(now, f.base, high); });
}

// A thread's FIFOs are bounds of its beats, and are moved on by them.
void Element::add_fifos(Node& n, const Thread& th, Server& s) {
    s.first = th.base, s.elements = th.elements;
    std::copy_n(th.row, 4, s.row);
    s.num_rows = th.num_rows;
    s.stops = th.synchronous;
    s.coupled = th.synchronous || th.packed || s.takes > 1;
    auto add = [&](int number, int64_t base, bool push) {
        FifoStage& f = n.fifo(number);
        s.fifo[s.num_fifos++] = {&f, push};
        s.coupled |= f.watched;
        if (th.packed) s.pairs |= 1u << s.num_out;
        s.out[s.num_out++] = push ? &f.push : &f.pop;
        const ConKind kind = th.packed ? ConKind::kPairs : ConKind::kElement;
        if (push)
            s.add({&f.pop, base - th.base - f.capacity, 1, kind, kNever});
        else
            s.add({&f.push, base - th.base, 1, kind, kNever});
    };
    for (int i = 0; i < 2; ++i)
        if (th.pop[i] >= 0) add(th.pop[i], th.pop_base[i], false);
    if (th.push >= 0) add(th.push, th.push_base, true);
}

// Elements that have not passed before cycle T are predicted anew.
void Element::forget_fifos(Node& n, const Thread& th, Cycle T) {
    auto take_back = [&](Seq& s) { s.forget_before(T - keep_), s.truncate(T, nullptr); };
    if (th.push >= 0) take_back(n.fifo(th.push).push);
    for (const int f : th.pop)
        if (f >= 0) take_back(n.fifo(f).pop);
}

void Element::begin_fifos(Node& n) {
    loop_.fifos.list.clear();
    if (!n.fifos) return;
    n.fifos->events.clear();
    for (FifoStage& f : n.fifos->stages) f.will_push = f.armed_push, f.will_pop = f.armed_pop;
}

void Element::end_fifos(Node& n, Cycle T) {
    if (loop_.fifos.list.empty()) return;
    n.fifos->events.swap(loop_.fifos.list);
    wake_for_fifos(n, T);
}

void Element::wake_for_fifos(Node& n, Cycle T) {
    for (const FifoEvent& e : n.fifos->events)
        if (e.task >= 0) return n.wake_element(std::max(T, e.t) + 1);
}

// What happened before cycle T.
void Element::settle_fifos(Node& n, Cycle T) {
    std::vector<FifoEvent>& events = n.fifos->events;
    size_t past = 0;
    for (; past < events.size() && events[past].t < T; ++past) {
        const FifoEvent& e = events[past];
        (e.push ? e.fifo->armed_push : e.fifo->armed_pop) = e.armed;
        if (e.task >= 0) n.active |= UINT64_C(1) << e.task;
    }
    events.erase(events.begin(), events.begin() + static_cast<ptrdiff_t>(past));
}

// A thread is stopped, or a FIFO emptied, in cycle T: if its op waits there, it has found it empty or full by now.
void Element::look_at_fifos(Node& n, int thread, Cycle T) {
    const Thread* th = n.live >> thread & 1 ? n.thread[static_cast<size_t>(thread)] : nullptr;
    if (!th || th->finished || !th->on_fifos() || (n.blocked_uts >> thread & 1)) return;
    Cycle due = th->next_beat;
    if (n.beats(*th).count_before(T) > th->base) {
        due = th->last_issue + th->cost;
        if (th->pace_num > th->pace_den)
            due = std::max(due, th->start + th->own.count_before(T) * th->pace_num / th->pace_den);
    }
    if (due > T) return;
    auto look = [&](FifoStage& f, bool push) {
        const int64_t count = f.push.count_before(T) - f.pop.count_before(T);
        if (f.watched && count == (push ? f.capacity : 0)) (push ? f.armed_pop : f.armed_push) = true;
    };
    if (th->push >= 0) look(n.fifo(th->push), true);
    for (const int f : th->pop)
        if (f >= 0) look(n.fifo(f), false);
}

void Element::set_fifo(Node& n, const Instr& in, Cycle T) {
    bool known = true;
    const auto value = in.b < 0 ? in.imm2 : static_cast<int32_t>(reg(n, in.b, known) & 0xffff);
    if (!known && !values) refuse(in, "a field of a FIFO that depends on array data");
    const auto field = static_cast<FifoField>(in.imm);
    if (field != FifoField::kReset) {
        const size_t at = 2 * static_cast<size_t>(in.a) + (field == FifoField::kWriteLength);
        return mains_.change_once(n, T, [&](Main& m, Cycle) { m.lengths[at] = value; });
    }
    empty_fifo(n, in.a, T);
}

// Its elements are gone; ops under way go on with those that come.
void Element::empty_fifo(Node& n, int number, Cycle T) {
    FifoStage& f = fifo(n, number);
    for (uint32_t rest = n.live; rest; rest &= rest - 1) look_at_fifos(n, std::countr_zero(rest), T);
    f.push.truncate(T, nullptr), f.pop.truncate(T, nullptr);
    const int64_t dropped = f.count();
    for (int64_t i = 0; i < dropped; ++i) f.pop.append(T - 1, false);  // the slot is taken in cycle T
    f.origin = f.push.end();
    for (uint32_t rest = n.live; rest; rest &= rest - 1) {
        Thread& th = *n.thread[static_cast<size_t>(std::countr_zero(rest))];
        if (th.finished) continue;
        dirty_ = true;
        for (int i = 0; i < 2; ++i) {
            if (th.pop[i] != number) continue;
            if (&n.beats(th) == &f.pop) th.base += dropped;
            th.pop_base[i] += dropped;
        }
        if (!th.values) continue;
        Elements& e = th.values->e;
        for (Operand* o : {&e.dst, &e.a, &e.b, &e.c})
            if (o->kind == Source::kFifo && o->fifo == number) o->index[0] = 0;
    }
}

// A synchronous op ended in cycle `at`, because a FIFO was not ready for its next beat.
void Element::stop(Node& n, Thread& th, Cycle at) {
    const int64_t done = n.beats(th).count_before(at) - th.base;
    const Instr& in = program_.code[static_cast<size_t>(main(n).pc - 1)];
    th.saved = local_.saved_bases(main(n), in, th.packed ? std::min(2 * done, th.elements) : done);
    // What it had announced beyond does not come.
    for (int i = 0; i < 2; ++i) {
        if (th.in[i] < 0) continue;
        InQueue& q = *n.iq[static_cast<size_t>(th.in[i])];
        q.cover = th.in_base[i] + done;
        Seq was;
        was.start_at(q.b.end());
        tell_credit(n, q, th.in[i], was, at + 1);
    }
    if (th.out >= 0) {
        OutQueue& q = *n.oq[static_cast<size_t>(th.out)];
        q.pushed = th.base + done;
        std::erase_if(q.mixed ? q.mixed->specials : q.ramp->specials,
                      [&](const Special& w) { return w.k >= q.pushed; });
        if (const WordsOf& words = q.mixed ? q.mixed->words : q.ramp->words) words->cut(q.pushed, nullptr);
        if (q.mixed) q.mixed->end_at(q.pushed);
    }
    th.last_issue = at;
    n.slot_free = std::max(n.slot_free, at + 1);
    finish(n, kMainOp, at, true);
}

}  // namespace wafersim::stream
