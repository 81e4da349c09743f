// What the threads, the ramp and the main thread's next instruction will do, as far as it is known now.
#include <algorithm>
#include <bit>

#include "stream/element.hpp"

namespace wafersim::stream {

// Takes back what is predicted; the last time that is forgotten.
Cycle Element::take_back(Seq& s, int ramp_queue, int in_queue, Cycle T) {
    for (int i = 0; i < num_before_; ++i)
        if (before_[i].seq == &s) return kMinus;
    Was& was = before_[num_before_++];
    was.seq = &s, was.ramp_queue = ramp_queue, was.in_queue = in_queue;
    const Cycle forgotten = s.forget_before(T - keep_);
    s.truncate(T, &was.before);
    return forgotten;
}

void Element::forget(Node& n, Cycle T) {
    num_before_ = 0;
    mixed_.clear();
    for (uint32_t rest = n.oqs; rest; rest &= rest - 1) {
        const int q = std::countr_zero(rest);
        OutQueue& out = *n.oq[static_cast<size_t>(q)];
        if (!out.ramp || out.moves().count_before(T) == out.pushed) continue;
        take_back(out.b, -1, -1, T);
        if (out.mixed)
            forget_mixed(*out.mixed, T);
        else
            out.ramp->entered = std::max(out.ramp->entered, take_back(out.ramp->a, q, -1, T));
    }
    for (uint32_t rest = n.live; rest; rest &= rest - 1) {
        Thread& th = *n.thread[static_cast<size_t>(std::countr_zero(rest))];
        if (th.finished) continue;
        for (const int in : th.in)
            if (in >= 0) take_back(n.iq[static_cast<size_t>(in)]->b, -1, in, T);
        if (!th.fabric) th.own.forget_before(T - keep_), th.own.truncate(T, nullptr);
        if (th.on_fifos()) forget_fifos(n, th, T);
    }
}

// Where the ramp stands: all its moves are facts now.
Pace Element::ramp_pace(const Node& n) const {
    Pace pace;
    pace.num = arch_.ramp_pace_num, pace.den = arch_.ramp_pace_den;
    if (pace.even()) return pace;
    Cycle last = kMinus;
    int64_t moves = 0;
    for (uint32_t rest = n.oqs; rest; rest &= rest - 1) {
        const OutQueue& q = *n.oq[static_cast<size_t>(std::countr_zero(rest))];
        if (!q.ramp) continue;
        moves += q.moves().end();
        last = std::max(last, q.last_move());
    }
    if (moves) pace.moves = moves - 1, pace.take(last, 1);
    return pace;
}

// One move per cycle, from the queues in turn.
void Element::add_ramp(Node& n, Cycle T) {
    loop_.busy = kMinus;
    loop_.pace = ramp_pace(n);
    for (uint32_t rest = n.oqs; rest; rest &= rest - 1) {
        const int i = std::countr_zero(rest);
        OutQueue& q = *n.oq[static_cast<size_t>(i)];
        if (!q.ramp) continue;
        const Seq& moves = q.moves();
        loop_.busy = std::max(loop_.busy, moves.last());
        if (moves.end() == q.pushed) continue;
        Server& s = servers_[num_];
        s.reset();
        s.id = num_++;
        s.phase = 0;
        s.k = moves.end();
        s.k_end = q.pushed;
        s.mask = s.reach = 2;
        s.tie = q.fed > kMinus ? 8 + q.ramp_color : i;
        s.last = q.last_move();
        s.paced = true;
        s.floor = std::max({moves.last() + 1, loop_.pace.free, q.fed});
        s.min_next = std::max(T, moves.last() + 1);
        mixed_of_[s.id] = q.mixed ? &q : nullptr;
        if (q.mixed) {
            loop_.tails = true;
            next_part(s, q);
            continue;
        }
        LinkFifo* ramp = q.ramp;
        s.out[s.num_out++] = &ramp->a;
        s.add({&q.b, 0, arch_.fabric_write, ConKind::kData, kNever});
        s.add({&ramp->d, -arch_.ramp_buffer, arch_.ramp_out, ConKind::kCredit, ramp->blocked});
        s.add({&ramp->a, -arch_.ramp_buffer, 2 * arch_.ramp_out, ConKind::kSelf, 0});
    }
}

void Element::add_thread(Node& n, int t, Cycle T) {
    Thread& th = *n.thread[static_cast<size_t>(t)];
    Server& s = servers_[num_];
    s.reset();
    server_of_[t] = num_;
    s.id = num_++;
    s.phase = 1;
    s.mask = 1;
    s.prio = th.priority;
    s.tie = t == kMainOp ? -1 : t;
    s.last = th.last_issue;
    const Seq& beats = n.beats(th);
    const int32_t last_cost = th.cost_of(beats.end() - th.base - 1);
    s.cost = th.cost_of(beats.end() - th.base);
    s.costs = th.costs.empty() ? nullptr : th.costs.data();
    s.needs = th.needs, s.takes = th.takes;
    s.start = th.start;
    s.pace_num = th.pace_num;
    s.pace_den = th.pace_den;
    s.floor = std::max({th.next_beat, n.slot_free, th.last_issue + last_cost});
    s.k = beats.end();
    if (s.k < th.base) throw Refused("an op starts before the words of the one before it have passed");
    s.k_end = th.base + th.words;
    s.beats = !th.fabric && th.on_fifos() ? th.own.end() : s.k - th.base;
    s.min_next = std::max(T, th.next_beat);
    if (s.beats > 0) {
        s.min_next = std::max(T, th.last_issue + last_cost);
        if (th.pace_num > th.pace_den) {
            const Cycle paced = th.start + s.beats * th.pace_num / th.pace_den;
            s.min_next = std::max(s.min_next, paced);
            s.floor = std::max(s.floor, paced);
        }
    }
    if (th.out >= 0) {
        OutQueue& q = *n.oq[static_cast<size_t>(th.out)];
        s.out[s.num_out++] = &q.b;
        s.add({&q.moves(), -static_cast<int64_t>(arch_.oq_depth[th.out]), 0, ConKind::kRoom, kNever});
    }
    if (!th.fabric) {
        if (th.on_fifos()) s.singles |= 1u << s.num_out;
        s.out[s.num_out++] = &th.own;
    }
    for (int i = 0; i < 2; ++i) {
        if (th.in[i] < 0) continue;
        InQueue& q = *n.iq[static_cast<size_t>(th.in[i])];
        for (const Special& sp : q.specials)
            if (sp.k < th.in_base[i] + th.words) throw Refused("a control wavelet among the words of an op");
        s.flag_con[s.num_out] = s.num_con;
        s.out[s.num_out++] = &q.b;
        s.add({&q.a, th.in_base[i] - th.base, arch_.ramp_in, ConKind::kData, kNever});
    }
    if (th.on_fifos()) add_fifos(n, th, s);
}

// With values, the words that endless ops have pushed, as far as is predicted now.
void Element::announce_more(Node& n) {
    for (uint32_t rest = n.live; rest; rest &= rest - 1) {
        const int t = std::countr_zero(rest);
        Thread& th = *n.thread[static_cast<size_t>(t)];
        if (th.finished || !th.endless || th.out < 0) continue;
        const OutQueue& q = *n.oq[static_cast<size_t>(th.out)];
        WordsOf& words = q.mixed ? q.mixed->words : q.ramp->words;
        if (!words) words = std::make_unique<Words>();
        OpValues& op = *th.values;
        for (; th.base + op.announced < q.b.end(); op.announced += kChunk) {
            const RunRef run = values->send(n, t, kChunk);
            if (op.e.dst.elem_bytes == 2 && !op.packed) run->index = static_cast<int32_t>(op.e.index);
            words->append(th.base + op.announced, kChunk, run, 0);
            op.chunks.push_back(run);
            if (!op.run.get()) op.next_chunk();
        }
    }
}

// Predicts all beats and ramp moves from cycle T on. Returns the cycle in which the main thread gets its slot.
Cycle Element::predict(Node& n, Cycle T, Cycle main_from) {
    forget(n, T);
    begin_fifos(n);
    num_ = 0;
    loop_.tails = false;
    add_ramp(n, T);
    const int queues = num_;
    std::fill_n(server_of_, 9, -1);
    for (uint32_t rest = n.live; rest; rest &= rest - 1) {
        const int t = std::countr_zero(rest);
        const bool blocked = t != kMainOp && (n.blocked_uts >> t & 1);
        if (blocked) n.thread[static_cast<size_t>(t)]->due = kForever;
        if (!blocked && !n.thread[static_cast<size_t>(t)]->finished) add_thread(n, t, T);
    }
    int main_server = -1;
    Cycle main_at = kForever;
    if (main_from < kForever) {
        Server& s = servers_[num_];
        s.reset();
        main_server = num_;
        s.id = num_++;
        s.phase = 1;
        s.mask = 1;
        s.prio = main(n).priority;
        s.tie = -1;
        s.last = n.last_issue;
        s.k_end = 1;
        s.min_next = std::max(T, main_from);
    }
    loop_.run(servers_, num_, T, n.slot_free, [&](Server& s, Cycle t) {
        if (s.id == main_server) main_at = t;
        if (s.id < queues && mixed_of_[s.id] && s.k < mixed_of_[s.id]->pushed) next_part(s, *mixed_of_[s.id]);
    });
    loop_.tails = false;
    if (values) announce_more(n);
    if (!mixed_.empty()) deliver_mixed(n, T);
    tell_router(n, T);
    end_fifos(n, T);
    // Wake for what is due: ends of ops, the main thread's slot.
    for (int t = 0; t < 9; ++t) {
        if (server_of_[t] < 0) continue;
        Thread& th = *n.thread[static_cast<size_t>(t)];
        const Server& s = servers_[server_of_[t]];
        th.stops = s.stopped ? s.last : kForever;
        th.due = s.k < s.k_end ? kForever : s.last + s.cost + (th.synchronous ? 0 : arch_.completion - 1);
        if (th.due < kForever) n.wake_element(std::max(T + 1, th.due));
    }
    if (main_at < kForever && main_at > T) n.wake_element(main_at);
    dirty_ = false;
    n.beside = main_from < kForever && num_ > 1;
    return main_at;
}

// Whether no thread and no queue has words to move.
bool Element::idle(const Node& n, Cycle T) {
    for (uint32_t rest = n.live; rest; rest &= rest - 1)
        if (!n.thread[static_cast<size_t>(std::countr_zero(rest))]->finished) return false;
    for (uint32_t rest = n.oqs; rest; rest &= rest - 1) {
        const OutQueue& q = *n.oq[static_cast<size_t>(std::countr_zero(rest))];
        if (q.ramp && (q.moves().end() < q.pushed || q.moves().last() >= T)) return false;
    }
    return true;
}

// The predictions as they are go on, unless something has changed or they counted with the main thread's instruction.
void Element::renew(Node& n, Cycle T) {
    if (dirty_ || n.beside) {
        if (idle(n, T))
            dirty_ = n.beside = false;
        else
            predict(n, T, kForever);
        return;
    }
    if (n.fifos) wake_for_fifos(n, T);
    for (uint32_t rest = n.live; rest; rest &= rest - 1) {
        const Thread& th = *n.thread[static_cast<size_t>(std::countr_zero(rest))];
        if (!th.finished && th.due < kForever) n.wake_element(std::max(T + 1, th.due));
    }
}

// The cycle in which the main thread gets its slot.
Cycle Element::issue(Node& n, Cycle T, Cycle from) {
    const Cycle at = std::max({T, from, n.slot_free});
    const bool known = !n.beside;  // the threads' next beats
    bool beats = false;
    for (uint32_t rest = n.live; rest; rest &= rest - 1)
        beats = beats || !n.thread[static_cast<size_t>(std::countr_zero(rest))]->finished;
    if (known || !beats) renew(n, T);  // behind the last beat words may still wait at the ramp
    if (beats && (!known || first_beat(n, T) <= at)) return predict(n, T, from);
    if (at > T) n.wake_element(at);
    return at;
}

// What changed: arrivals at the ramp, and credits of the input queues.
void Element::tell_router(Node& n, Cycle T) {
    for (int i = 0; i < num_before_; ++i) {
        Was& w = before_[i];
        if (w.ramp_queue >= 0) {
            const Difference d = difference(w.before, *w.seq, w.seq->count_before(T), false);
            if (d.k >= 0) n.wake_router(std::max(d.t, T) + arch_.ramp_out);
        }
        if (w.in_queue >= 0) tell_credit(n, *n.iq[static_cast<size_t>(w.in_queue)], w.in_queue, w.before, T);
    }
    if (!mixed_.empty()) tell_mixed(n, T);
}

void Element::tell_credit(Node& n, InQueue& q, int number, const Seq& was, Cycle T) {
    const int64_t was_blocked = q.blocked;
    q.blocked = q.b.end() < std::min(q.a.end(), q.cover) ? q.b.end() : q.cover;
    if (loop_.coarse.on())
        loop_.coarse.look_queue(number, q.a.count_before(T - arch_.ramp_in + 1) - q.b.count_before(T));
    Difference d = difference(was, q.b, q.b.count_before(T), true);
    if (was_blocked != q.blocked) {
        const int64_t k = std::min(was_blocked, q.blocked);
        if (d.k < 0 || k < d.k) d = {k, kForever};
    }
    if (d.k < 0) return;
    const Seq::Value a = q.a.at(d.k);
    // Words that nobody has sent yet will find the credit when they come.
    const Cycle t = std::min(d.t, a.known ? a.t + arch_.ramp_in : kForever);
    bool waits = false;
    if (const Color* c = n.color(q.color))
        for (const LinkFifo* f : c->fifo) waits = waits || (f && f->blocked != kNever);
    if (!waits && q.a.end() <= d.k + arch_.iq_capacity(number)) return;
    n.wake_router(std::max(t >= kForever ? T : t, T) + 1);
}

}  // namespace wafersim::stream
