// Completions, task pick, issue and the accounting of cycles (docs/semantics.md, sections 2.3, 4.4 and 8).
#include <algorithm>
#include <bit>

#include "pe/core.hpp"

namespace wafersim {

void Core::fail(const Pe& p, Cycle t, std::string message, int color, int line) {
    const PeCoord at = fabric_.coord(p.id);
    if (fault && (fault->cycle < t ||
                  (fault->cycle == t && (fault->pe.y < at.y || (fault->pe.y == at.y && fault->pe.x <= at.x)))))
        return;
    fault = RunFault{std::move(message), at, color, line, t};
}

// Books the cycles up to `until` as planned; before the first plan a PE is idle.
void Core::account(Pe& p, Cycle until) const {
    if (kTraceable && p.traced) [[unlikely]]
        account_traced(p, until);
    else
        account_as<false>(p, until);
}

template <bool Traced>
void Core::account_as(Pe& p, Cycle until) const {
    auto put = [&](Counter what, Cycle limit) {
        p.counters[static_cast<size_t>(what)] += limit - p.accounted;
        if constexpr (Traced) trace_stretch(p, p.accounted, limit, what);
        p.accounted = limit;
    };
    Counter kind = Counter::kIdle;
    for (const Pe::Stretch& stretch : p.plan) {
        if (stretch.start >= until) break;
        if (stretch.start > p.accounted) put(kind, stretch.start);
        kind = stretch.kind;
    }
    if (until > p.accounted) put(kind, until);
}

void Core::account_traced(Pe& p, Cycle until) const {
    account_as<true>(p, until);
}

void Core::trace_stretch(const Pe& p, Cycle from, Cycle until, Counter kind) const {
    timeline->stretch(p.id, from, until, kind);
}

void Core::trace_task(const Pe& p, Cycle until) const {
    timeline->add(task_entry(p, until));
}

void Core::trace_vector(const Pe& p, const LiveOp& op, Cycle until) const {
    timeline->add(vector_entry(p, op, until));
}

TimelineEntry Core::task_entry(const Pe& p, Cycle until) const {
    TimelineEntry entry;
    entry.begin = p.task_began;
    entry.end = until;
    entry.pe = p.id;
    entry.code = static_cast<int16_t>(p.task);
    entry.value = p.launched_function();
    return entry;
}

TimelineEntry Core::vector_entry(const Pe& p, const LiveOp& op, Cycle until) const {
    TimelineEntry entry;
    entry.kind = Happening::kVector;
    entry.begin = op.launched;
    entry.end = until;
    entry.pe = p.id;
    entry.line = op.line;
    entry.code = static_cast<int16_t>(op.op == Op::kMap ? -1 : static_cast<int>(op.vop));
    entry.thread = static_cast<int8_t>(op.thread);
    entry.value = op.done;
    return entry;
}

void Core::plan_from(Pe& p, Cycle now, Counter before, Cycle until, Counter after) const {
    if (p.accounted >= now)
        p.plan.clear();
    else
        while (!p.plan.empty() && p.plan.back().start >= now) p.plan.pop_back();
    if (until > now) p.plan.push_back({now, before});
    p.plan.push_back({std::max(now, until), after});
}

void Core::teardown_due(Pe& p, Cycle when) const {
    p.completions.push_back({when, -1, kTeardownTask, -1, true});
    ces_.wake(p.id, when);
}

void Core::activate(Pe& p, int id) const {
    if (id < 0 || id > 63) return;
    const int task = p.tile->local_task[static_cast<size_t>(id)];
    if (task >= 0) p.active |= UINT64_C(1) << task;
}

uint64_t Core::tasks_named(const Pe& p, BlockSpace space, int id) const {
    uint64_t mask = 0;
    if (id < 0 || id > 63) return mask;
    auto add = [&](int task) {
        if (task >= 0) mask |= UINT64_C(1) << task;
    };
    if (space == BlockSpace::kTask) {
        add(p.tile->local_task[static_cast<size_t>(id)]);
        for (size_t i = 0; i < p.tile->tasks.size(); ++i)
            if (p.tile->tasks[i].kind == TaskKind::kData && p.tile->tasks[i].id == id) add(static_cast<int>(i));
    }
    if (space == BlockSpace::kControl || arch_.generation == 2) add(p.tile->control_task[static_cast<size_t>(id)]);
    return mask;
}

void Core::set_blocked(Pe& p, BlockSpace space, int id, bool blocked) const {
    if (space == BlockSpace::kUt) {
        if (id >= 0 && id < 8) p.blocked_uts = blocked ? p.blocked_uts | 1u << id : p.blocked_uts & ~(1u << id);
        return;
    }
    const uint64_t tasks = tasks_named(p, space, id);
    p.blocked = blocked ? p.blocked | tasks : p.blocked & ~tasks;
}

// True if an op was completed, which is activity; a teardown command was, when it was granted.
bool Core::apply_completions(Pe& p, Cycle t) const {
    bool completed = false;
    size_t kept = 0;
    for (size_t i = 0; i < p.completions.size(); ++i) {
        const Completion c = p.completions[i];
        if (c.when > t) {
            p.completions[kept++] = c;
            continue;
        }
        completed |= !c.by_teardown;
        activate(p, c.activate);
        set_blocked(p, BlockSpace::kTask, c.unblock, false);
        if (c.thread >= 0) {
            p.op(c.thread)->live = false;
            p.live_uts &= ~(1u << c.thread);
        }
    }
    p.completions.resize(kept);
    return completed;
}

void Core::check_flush(Pe& p, Cycle) const {
    bool left = false;
    auto look = [&](auto& queue, const QueueInit& init) {
        if (!queue.flush_pending) return;
        if (queue.ring.empty()) {
            queue.flush_pending = false;
            queue.flushed = true;
            activate(p, init.empty_task >= 0 ? init.empty_task : kTeardownTask);
        } else {
            left = true;
        }
    };
    for (size_t i = 0; i < p.queues->iq.size(); ++i) look(p.queues->iq[i], p.tile->iq[i]);
    for (size_t i = 0; i < p.queues->oq.size(); ++i) look(p.queues->oq[i], p.tile->oq[i]);
    p.queues->flush_watch = left;
}

// A flushed queue that this cycle emptied is seen in the next one, whatever else this PE waits for.
void Core::wake_for_flush(const Pe& p, Cycle t) {
    auto emptied = [](const auto& queue) { return queue.flush_pending && queue.ring.empty(); };
    if (std::ranges::any_of(p.queues->iq, emptied) || std::ranges::any_of(p.queues->oq, emptied))
        ces_.wake(p.id, t + 1);
}

// Finds the task that would be picked in cycle t: an index in tile->tasks, or -2 for a launch; -1 none.
bool Core::pickable(const Pe& p, Cycle t, int& task, int& queue, std::string* problem) const {
    task = -1;
    queue = -1;
    const bool launch = p.next_launch < p.launches.size();
    if (launch && !problem) {
        task = -2;
        return true;
    }
    const auto& tasks = p.tile->tasks;
    auto better = [&](int candidate) {
        if (task < 0) return true;
        const Task &a = tasks[static_cast<size_t>(candidate)], &b = tasks[static_cast<size_t>(task)];
        const auto high = [&](int i) { return p.high_tasks >> i & 1; };
        if (high(candidate) != high(task)) return high(candidate) > high(task);
        const Cycle pa = p.last_pick[static_cast<size_t>(candidate)], pb = p.last_pick[static_cast<size_t>(task)];
        if (pa != pb) return pa < pb;
        if (a.id != b.id) return a.id < b.id;
        return a.kind < b.kind;
    };
    for (uint64_t rest = p.active & ~p.blocked; rest; rest &= rest - 1) {
        const int i = std::countr_zero(rest);
        if (better(i)) task = i, queue = -1;
    }
    for (int q = 0; q < arch_.num_iq; ++q) {
        const InputQueue& iq = p.queues->iq[static_cast<size_t>(q)];
        if (!iq.ring.visible(t)) continue;
        const LiveOp* claimer = nullptr;
        for (uint32_t rest = p.live_threads(); rest; rest &= rest - 1) {
            const LiveOp* op = p.op(std::countr_zero(rest));
            if (op->iq_claims >> q & 1) claimer = op;
        }
        const int data = p.tile->data_task[static_cast<size_t>(q)];
        const bool data_blocked = data >= 0 && (p.blocked >> data & 1);
        const Wavelet& head = iq.ring.front();
        if (!head.control()) {
            if (data >= 0 && !data_blocked && !claimer && better(data)) task = data, queue = q;
            continue;
        }
        if (claimer && claimer->set.on_control != OnControl::kNone) continue;
        if (claimer && claimer->vop == VOp::kDfilt && claimer->op == Op::kVop) continue;
        const int id = static_cast<int>(head.payload >> 16 & 63);
        const int control = p.tile->control_task[static_cast<size_t>(id)];
        if (control < 0) {
            if (!claimer && problem)
                *problem = "a control wavelet names control task " + std::to_string(id) +
                           ", which is not bound (input queue " + std::to_string(q) + ")";
            continue;
        }
        if (!data_blocked && !(p.blocked >> control & 1) && better(control)) task = control, queue = q;
    }
    if (launch) task = -2;
    return task != -1;
}

bool Core::pick(Pe& p, Cycle t) {
    int task, queue;
    std::string problem;
    const bool found = pickable(p, t, task, queue, &problem);
    if (!problem.empty()) {
        fail(p, t, problem);
        p.dead = true;
        return false;
    }
    if (!found) return false;
    if (task == -2) {
        const Launch& launch = p.launches[p.next_launch++];
        for (size_t i = 0; i < launch.args.size(); ++i)
            p.regs[static_cast<size_t>(launch.function->arg0) + i] = launch.args[i];
        p.pc = launch.function->entry;
        p.task = -1;
    } else {
        const Task& picked = p.tile->tasks[static_cast<size_t>(task)];
        if (picked.kind == TaskKind::kLocal) {
            p.active &= ~(UINT64_C(1) << task);
        } else {
            const Wavelet w = fabric_.pop_iq(p.id, *p.queues, queue, t);
            if (picked.nargs > 0)
                p.regs[static_cast<size_t>(picked.arg0)] =
                    picked.nargs == 1 && picked.kind == TaskKind::kData ? w.payload : w.payload & 0xffff;
            if (picked.nargs > 1) p.regs[static_cast<size_t>(picked.arg1)] = w.payload >> 16;
        }
        p.last_pick[static_cast<size_t>(task)] = t;
        p.pc = picked.entry;
        p.task = task;
    }
    ++p.count(Event::kTaskStarts);
    p.in_task = true;
    p.task_began = t;
    p.calls.clear();
    p.next_issue = p.next_vector = t + arch_.task_start;
    mark(t + 1);
    return true;
}

// The main thread's chance to issue. `from` > t: the pipeline is not ready before; ready: it can issue at t.
Core::MainStatus Core::main_status(Pe& p, Cycle t, bool issuing) {
    MainStatus s;
    if (p.main_op_live() && !(p.op(kMainThread)->op == Op::kMap && p.op(kMainThread)->map_phase == 1)) {
        LiveOp& op = *p.op(kMainThread);
        s.from = op.next_beat;
        // A run can end before the cycle in which the op started; then that is still to come.
        s.before = op.launched > t ? Counter::kStallPipeline : Counter::kStallPace;
        if (s.from > t) return s;
        const Beat beat = check_beat(p, op, t, false);
        s.ready = beat.elements != 0;
        s.after = beat.lacks_input ? Counter::kStallInput : Counter::kStallOutput;
        return s;
    }
    const Instr& in = program_.code[static_cast<size_t>(p.pc)];
    const Decoded& d = decoded_[static_cast<size_t>(p.pc)];
    s.from = d.vector ? p.next_vector : p.next_issue;
    for (int i = 0; i < d.num_regs; ++i)
        s.from = std::max(s.from, p.reg_ready[static_cast<size_t>(d.regs[static_cast<size_t>(i)])]);
    for (int i = 0; i < d.num_dsrs; ++i) {
        const int32_t dsr = d.dsrs[static_cast<size_t>(i)];
        s.from =
            std::max(s.from, p.dsr_ready[static_cast<size_t>(p.dsr_first[static_cast<size_t>(dsr / 32)] + dsr % 32)]);
    }
    if (d.vector && p.recent_newest + arch_.vector_raw > s.from) s.from = std::max(s.from, raw_until(p, in, s.from));
    if (s.from > t) return s;
    if (d.vector) {
        bool clash = false;
        if (claimed(p, in, clash)) {
            if (clash && issuing && !p.clash_counted) {
                p.clash_counted = true;
                ++p.count(Event::kQueueClashes);
            }
            return s;
        }
    }
    s.ready = true;
    return s;
}

void Core::issue(Pe& p, Cycle t) {
    if (t < p.slot_free) return;
    bool main_ready = false;
    Beat main_beat;
    // A synchronous op starts in the cycle in which it can, and competes with its first beat at once.
    while (p.in_task && !p.dead) {
        const MainStatus s = main_status(p, t, true);
        if (!s.ready) break;
        if (p.main_op_live() && !(p.op(kMainThread)->op == Op::kMap && p.op(kMainThread)->map_phase == 1)) {
            main_beat = check_beat(p, *p.op(kMainThread), t, true);
            main_ready = main_beat.elements != 0;
            break;
        }
        const Instr& in = program_.code[static_cast<size_t>(p.pc)];
        if (in.op == Op::kPrint || in.op == Op::kAssert) {
            if (!exec_free(p, in, t)) return;
            continue;
        }
        if (decoded_[static_cast<size_t>(p.pc)].vector && (in.op == Op::kMap || !effective_settings(p, in).async) &&
            vector_length(p, in) > 0) {
            if (!start_op(p, in, t)) return;  // a fault
            continue;
        }
        main_ready = true;
        break;
    }
    if (p.dead) return;
    int best = main_ready ? kMainThread : -1;
    int best_priority = p.main_priority;
    Cycle best_last = p.last_issue;
    Beat best_beat = main_beat;
    for (uint32_t rest = p.live_uts & ~p.blocked_uts; rest; rest &= rest - 1) {
        const int thread = std::countr_zero(rest);
        LiveOp& op = *p.op(thread);
        if (op.finished || t < op.next_beat) continue;
        const Beat beat = check_beat(p, op, t, true);
        if (beat.elements == 0) continue;
        if (best >= 0 && (op.priority < best_priority || (op.priority == best_priority && op.last_issue >= best_last)))
            continue;
        best = thread;
        best_priority = op.priority;
        best_last = op.last_issue;
        best_beat = beat;
    }
    if (best < 0) return;
    account(p, t);
    if (best == kMainThread) {
        p.last_issue = t;
        if (main_beat.elements == 0) {
            const Instr& in = program_.code[static_cast<size_t>(p.pc)];
            p.slot_free = p.accounted = t + 1;
            ++p.counters[static_cast<size_t>(Counter::kBusyScalar)];
            ++p.count(Event::kInstructions);
            mark(t + 1);
            exec(p, in, t);
            return;
        }
    }
    LiveOp& op = *p.op(best);
    op.last_issue = t;
    const int cost = issue_beat(p, op, best_beat, t);
    p.slot_free = p.accounted = t + cost;
    mark(t + cost);
}

// Runs local instructions of the main thread while nothing else of this PE can act.
void Core::run_main_ahead(Pe& p, Cycle t) {
    const Cycle limit = std::min(t + ahead, horizon);
    while (p.in_task && !p.dead) {
        if (p.main_op_live()) {
            LiveOp& op = *p.op(kMainThread);
            if (op.op != Op::kVop || op.iq_claims || op.oq_claims || op.fifo_pop || op.fifo_push) return;
            account(p, t);
            if (!bulk_beats(p, op, limit)) return;
            continue;
        }
        const Instr& in = program_.code[static_cast<size_t>(p.pc)];
        const Decoded& d = decoded_[static_cast<size_t>(p.pc)];
        if (!d.local && !(d.vector && in.op == Op::kVop)) return;
        const MainStatus s = main_status(p, limit);
        if (!s.ready || s.from >= limit) return;
        const Cycle at = std::max({s.from, p.slot_free, t + 1});
        if (at >= limit) return;
        if (d.vector) {
            for (const int32_t encoded : {in.dst, in.a, in.b, in.c})
                if (const Dsd* dsr = dsr_of(p, encoded); dsr && dsr->kind != DsdKind::kMem) return;
            const Settings set = effective_settings(p, in);
            if (set.async || set.activate >= 0 || set.unblock >= 0 || vector_length(p, in) == 0) return;
        } else if ((in.op == Op::kLoad || in.op == Op::kStore) && touches_configuration(p, in)) {
            return;
        }
        if (p.accounted < t) account(p, t);
        book(p, Counter::kStallPipeline, at);
        if (d.vector) {
            if (whole_op(p, in, at, limit)) continue;
            if (!start_op(p, in, at)) return;
            continue;
        }
        p.last_issue = at;
        p.slot_free = p.accounted = at + 1;
        ++p.counters[static_cast<size_t>(Counter::kBusyScalar)];
        ++p.count(Event::kInstructions);
        mark(at + 1);
        exec(p, in, at);
    }
}

// Classifies the cycles from now to the next event of this PE, and wakes it for every cycle in which that can change.
void Core::plan(Pe& p, Cycle t) {
    const Cycle now = std::max(t, p.accounted);  // t itself, if nothing issued in it
    Cycle until = now;
    Counter before = Counter::kIdle, after = Counter::kIdle;
    bool classified = false;
    bool contended = false;
    if (p.in_task) {
        const MainStatus s = main_status(p, std::max(t, p.accounted - 1));
        before = s.before;
        after = s.ready ? s.before : s.after;
        until = s.from;
        classified = true;
        if (s.from > t)
            ces_.wake(p.id, std::max(s.from, p.slot_free));
        else if (s.ready)
            contended = true;
    } else {
        if (p.free_at > t) {
            ces_.wake(p.id, p.free_at);
            before = Counter::kStallPipeline;
            until = p.free_at;
        } else {
            int task, queue;
            if (pickable(p, t + 1, task, queue, nullptr) || task == -2) ces_.wake(p.id, t + 1);
        }
    }
    bool any = false, output = false, input = false, pace = false;
    for (uint32_t rest = p.live_uts; rest; rest &= rest - 1) {
        const int thread = std::countr_zero(rest);
        LiveOp& op = *p.op(thread);
        any = true;
        if (op.finished) {  // its completion is on the way
            pace = true;
            continue;
        }
        if (op.next_beat > t) {
            ces_.wake(p.id, std::max(op.next_beat, p.slot_free));
            if (op.next_beat > now) pace = true;
        }
        if (p.blocked_uts >> thread & 1) continue;
        const Beat beat = check_beat(p, op, std::max({t, op.next_beat, p.accounted - 1}), false);
        if (beat.elements == 0) {
            if (op.next_beat <= now) (beat.lacks_input ? input : output) = true;
        } else if (op.next_beat <= t) {
            contended = true;
        }
    }
    if (!classified)
        after = !any     ? Counter::kIdle
                : output ? Counter::kStallOutput
                : input  ? Counter::kStallInput
                : pace   ? Counter::kStallPace
                         : Counter::kStallResource;
    plan_from(p, now, before, until, after);
    if (contended || (p.slot_free > t + 1 && p.live_uts)) ces_.wake(p.id, std::max(t + 1, p.slot_free));
    for (const Completion& c : p.completions) ces_.wake(p.id, c.when);
}

void Core::step(Pe& p, Cycle t) {
    if (t <= p.last_step || p.dead) return;
    p.last_step = t;
    if (t < p.accounted && p.completions.empty() && !p.live_uts && p.in_task) return;  // it has run ahead
    ++events;
    if (!p.completions.empty() && apply_completions(p, t)) mark(t + 1);
    if (p.queues->flush_watch) check_flush(p, t);
    if (!p.in_task && t >= p.free_at) pick(p, t);
    if (p.dead) return;
    issue(p, t);
    if (p.dead) return;
    const bool watched =
        kTraceable && p.traced && timeline->wants(t, t + ahead);  // cycle by cycle, for an exact timeline
    if (run_ahead && !watched && !p.live_uts && p.completions.empty() && !p.queues->flush_watch) run_main_ahead(p, t);
    if (!p.dead) plan(p, t);
    if (p.queues->flush_watch) wake_for_flush(p, t);
}

}  // namespace wafersim
