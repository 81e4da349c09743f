#include "stream/element.hpp"

#include <algorithm>
#include <bit>

namespace wafersim::stream {

void Element::sync(Node& n, Cycle T) {
    for (uint32_t rest = n.live; rest; rest &= rest - 1) {
        const int t = std::countr_zero(rest);
        Thread& th = n.thread[static_cast<size_t>(t)];
        if (th.finished) continue;
        const Seq& beats = n.beats(th);
        const int64_t done = beats.count_before(T) - th.base;
        if (done <= 0) continue;
        if (const Seq::Value v = beats.at(th.base + done - 1); v.known && v.t > kMinus) {
            th.last_issue = v.t;
            n.slot_free = std::max(n.slot_free, th.last_issue + th.cost);
        }
        if (th.start <= kMinus) th.start = beats.at(th.base).t;
        if (done >= th.words) finish(n, t, th.last_issue);
    }
}

void Element::finish(Node& n, int t, Cycle last) {
    Thread& th = n.thread[static_cast<size_t>(t)];
    Main& m = n.main;
    th.finished = true;
    m.end = std::max(m.end, last + th.cost);
    if (th.ok_reg >= 0) local_.write(m, th.ok_reg, 1, true, kMinus);
    if (th.synchronous) {
        th.live = false;
        n.live &= ~(1u << t);
        m.last_issue = last;
        m.next_vector = last + th.cost;
        m.next_issue = last + th.cost - 1 + (th.out >= 0 ? 1 : arch_.vector_drain);
        if (th.memory_dst) local_.remember(m, th.start, th.low, th.high);
    }
    if (!th.synchronous || th.activate >= 0 || th.unblock >= 0)
        n.completions.push_back(
            {last + th.cost - 1 + arch_.completion, th.synchronous ? -1 : t, th.activate, th.unblock});
}

bool Element::pick(Node& n, Cycle T) {
    Main& m = n.main;
    const Tile& tile = local_.tile(m);
    if (!n.launches.empty()) {
        const Launch& launch = launches[static_cast<size_t>(n.launches.front())];
        n.launches.erase(n.launches.begin());
        for (const Function& f : tile.functions) {
            if (f.number != launch.function) continue;
            for (size_t i = 0; i < launch.args.size(); ++i)
                local_.write(m, f.arg0 + static_cast<int32_t>(i), launch.args[i], true, kMinus);
            m.pc = f.entry;
        }
    } else {
        int best = -1;
        for (uint64_t rest = m.active & ~m.blocked; rest; rest &= rest - 1) {
            const int i = std::countr_zero(rest);
            if (best < 0) {
                best = i;
                continue;
            }
            const Task &a = tile.tasks[static_cast<size_t>(i)], &b = tile.tasks[static_cast<size_t>(best)];
            const Cycle pa = n.last_pick[static_cast<size_t>(i)], pb = n.last_pick[static_cast<size_t>(best)];
            if (a.priority != b.priority ? a.priority > b.priority : pa != pb ? pa < pb : a.id < b.id) best = i;
        }
        if (best < 0) return false;
        m.active &= ~(UINT64_C(1) << best);
        m.pc = tile.tasks[static_cast<size_t>(best)].entry;
        n.last_pick[static_cast<size_t>(best)] = T;
    }
    m.in_task = true;
    m.calls.clear();
    m.next_issue = m.next_vector = T + arch_.task_start;
    m.end = std::max(m.end, T + 1);
    return true;
}

void Element::complete(Node& n, Cycle T) {
    Main& m = n.main;
    const Tile& tile = local_.tile(m);
    size_t kept = 0;
    for (size_t i = 0; i < n.completions.size(); ++i) {
        const Completion c = n.completions[i];
        if (c.when > T) {
            n.completions[kept++] = c;
            continue;
        }
        m.end = std::max(m.end, c.when + 1);
        if (c.activate >= 0)
            if (const int task = tile.local_task[static_cast<size_t>(c.activate)]; task >= 0)
                m.active |= UINT64_C(1) << task;
        if (c.unblock >= 0)
            if (const int task = tile.local_task[static_cast<size_t>(c.unblock)]; task >= 0)
                m.blocked &= ~(UINT64_C(1) << task);
        if (c.thread >= 0) {
            n.thread[static_cast<size_t>(c.thread)].live = false;
            n.live &= ~(1u << c.thread);
        }
    }
    n.completions.resize(kept);
}

// The other threads got in between a stretch of local code: it is run up to now only.
void Element::drop_pending(Node& n, Cycle T) {
    Main& m = n.main;
    local_.run(m, n.pending_start, T, kMinus, n.live != 0);
    n.slot_free = std::max(n.slot_free, m.last_issue + 1);
    n.pending = false;
    dirty_ = true;
}

// Earliest beat of any thread from now on, as predicted.
Cycle Element::first_beat(Node& n, Cycle T) {
    Cycle first = kForever;
    for (uint32_t rest = n.live; rest; rest &= rest - 1) {
        Thread& th = n.thread[static_cast<size_t>(std::countr_zero(rest))];
        if (th.finished) continue;
        const Seq& b = n.beats(th);
        const int64_t next = b.count_before(T);
        if (next < b.end()) first = std::min(first, b.at(next).t);
    }
    return first;
}

void Element::step(Node& n, Cycle T) {
    if (n.main.tile < 0) return;
    if (T < n.ahead) {  // the main thread is alone and further on; its queues may still drain
        if (n.dirty) n.dirty = false, predict(n, T, kForever);
        n.wake_element(n.ahead);
        return;
    }
    sync(n, T);
    complete(n, T);
    dirty_ = n.dirty;
    n.dirty = false;
    defer_ = true;
    if (n.pending && T >= n.pending_stop) drop_pending(n, n.pending_stop);
    int guard = 0;
    while (advance(n, T) == Next::kAgain)
        if (++guard > 64) throw Refused("internal: no progress");
    n.done += local_.done;
    local_.done = 0;
    for (const Completion& c : n.completions) n.wake_element(std::max(c.when, T + 1));
    const Main& m = n.main;
    if (!n.pending && !m.in_task && (!n.launches.empty() || (m.active & ~m.blocked) || m.free_at > T))
        n.wake_element(std::max(m.free_at, T + 1));
}

Element::Next Element::advance(Node& n, Cycle T) {
    Main& m = n.main;
    const bool alone = !n.live && n.completions.empty();
    if (!n.pending && !m.in_task && T >= m.free_at && pick(n, T)) dirty_ = true;
    if (n.pending) {
        predict(n, T, kForever);
        if (!alone && first_beat(n, T) >= n.pending_stop) {
            n.wake_element(n.pending_stop);
            return Next::kStop;
        }
        drop_pending(n, T);
        defer_ = alone;
        return Next::kAgain;
    }
    if (!m.in_task) {
        if (dirty_ || n.live) predict(n, T, kForever);
        return Next::kStop;
    }
    if (n.live >> kMainOp & 1) {
        predict(n, T, kForever);
        return Next::kStop;
    }
    const Cycle from = std::max(local_.ready_from(m, T), T);
    const bool local = local_.is_local(m);
    if (local && (alone || (defer_ && !(local_.is_vector(m) && n.live)))) {
        const Next next = advance_local(n, T, from, alone);
        if (alone || n.pending) return next;
    }
    const Instr& in = instruction(n);
    if (in.op == Op::kVop) {
        if (from <= T && claimed(n, in)) {
            predict(n, T, kForever);  // the claim's end wakes us
            return Next::kStop;
        }
        if (!local_.settings_of(m, in).async && local_.vector_length(m, in) > 0) {
            if (const Cycle at = std::max(from, n.slot_free); T < at) {
                n.wake_element(at);
                predict(n, T, kForever);
                return Next::kStop;
            }
            start(n, in, T);  // takes no slot; its first beat competes in this cycle
            return Next::kAgain;
        }
    }
    if (predict(n, T, from) > T) return Next::kStop;
    if (local) {
        local_.execute(m, in, T);
        n.slot_free = T + 1;
    } else {
        execute(n, T);
    }
    dirty_ = true;
    if (m.in_task) return Next::kAgain;
    predict(n, T, kForever);
    return Next::kStop;
}

Element::Next Element::advance_local(Node& n, Cycle T, Cycle from, bool alone) {
    Main& m = n.main;
    const Cycle at = std::max(from, n.slot_free);
    if (alone) {  // nobody can interfere: the code runs ahead
        local_.run(m, T, kForever, n.slot_free, false);
        n.ahead = m.in_task ? std::max(local_.ready_from(m, m.last_issue + 1), m.last_issue + 1) : m.free_at;
        n.slot_free = m.last_issue + 1;
        if (m.in_task && m.next_vector < m.next_issue) n.slot_free = std::max(n.slot_free, m.next_vector);
        if (n.ahead <= T) return Next::kAgain;
        n.wake_element(n.ahead);
        predict(n, T, kForever);
        return Next::kStop;
    }
    // A trial: how far does it get before a thread's next beat, as predicted now?
    auto mark = local_.recorder.mark();
    const int32_t done = local_.done;
    Main trial = m;
    const Cycle limit = first_beat(n, T);
    const int64_t count = local_.run(trial, at, limit, n.slot_free, n.live != 0);
    const Cycle stop =
        trial.in_task ? std::max(local_.ready_from(trial, trial.last_issue + 1), trial.last_issue + 1) : trial.free_at;
    local_.recorder.back_to(std::move(mark));
    local_.done = done;
    if (count > 2) {
        n.pending = true;
        n.pending_start = at;
        n.pending_stop = std::min(stop, limit);
    }
    return Next::kAgain;
}

}  // namespace wafersim::stream
