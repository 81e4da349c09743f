// Who waits on what when a run is stuck, and what is left lying about (docs/semantics.md, section 7).
// All of it looks at a machine in which nothing can happen any more; nothing here changes it.
#include <algorithm>

#include "pe/control_words.hpp"
#include "wafer/machine.hpp"
#include "wafer/report_words.hpp"

namespace wafersim {
namespace {

constexpr int64_t kTraceBudget = 500000;  // router states that one call of waits() looks at

std::string op_name(const LiveOp& op) {
    if (op.op == Op::kMap) return "instruction " + std::to_string(static_cast<int>(Op::kMap));
    return "vop " + std::to_string(static_cast<int>(op.vop));
}

}  // namespace

// --- what the core knows about its threads --------------------------------------------------------------------

bool Core::is_daemon(const LiveOp& op) const {
    if (!op.endless || op.finished) return op.finished;
    for (const Operand* o : {&op.a, &op.b, &op.c})
        if (o->kind == Source::kFabin || o->kind == Source::kFifo) return true;
    return false;
}

Core::Wait Core::thread_wait(Pe& p, int thread, Cycle t) {
    LiveOp* op = p.op(thread);
    if (!op || !op->live) return Wait::kNothing;
    const Beat beat = check_beat(p, *op, std::max(t, op->next_beat), false);
    if (beat.elements > 0) return Wait::kNothing;
    return beat.lacks_input ? Wait::kInput : Wait::kOutput;
}

Core::Claim Core::held_claim(Pe& p, const Instr& in) {
    auto holder = [&](auto&& holds, const char* what, int number) -> Claim {
        for (uint32_t rest = p.live_threads(); rest; rest &= rest - 1) {
            const int thread = std::countr_zero(rest);
            if (holds(*p.op(thread))) return {what, number, thread, p.op(thread)->line};
        }
        return {};
    };
    auto check = [&](int32_t encoded, bool source) -> Claim {
        const Dsd* d = dsr_of(p, encoded);
        if (!d) return {};
        if (d->kind == DsdKind::kFabin && source)
            return holder([&](const LiveOp& op) { return op.iq_claims >> d->queue & 1; }, "input queue", d->queue);
        if (d->kind == DsdKind::kFabout && !source)
            return holder([&](const LiveOp& op) { return op.oq_claims >> d->queue & 1; }, "output queue", d->queue);
        if (d->kind != DsdKind::kFifo) return {};
        if (source) return holder([&](const LiveOp& op) { return op.fifo_pop >> d->fifo & 1; }, "pop end", d->fifo);
        return holder([&](const LiveOp& op) { return op.fifo_push >> d->fifo & 1; }, "push end", d->fifo);
    };
    for (const auto& [encoded, source] : {std::pair{in.dst, false}, {in.a, true}, {in.b, true}, {in.c, true}})
        if (const Claim claim = check(encoded, source); claim.thread >= 0) return claim;
    const Settings set = effective_settings(p, in);
    if (!set.async) return {};
    const int thread = microthread_of(p, in, set);
    if (!(p.live_uts >> thread & 1)) return {};
    return {"microthread", thread, thread, p.op(thread)->line};
}

// --- the reports ----------------------------------------------------------------------------------------------

WaitReport Machine::describe_op(Pe& p, int thread) {
    WaitReport r;
    LiveOp& op = *p.op(thread);
    r.pe = coord(p.id);
    r.thread = thread_name(thread);
    r.task = task_id(p, op.task);
    r.function = op.function;
    r.what = op_name(op);
    r.line = op.line;
    r.done = op.done;
    r.length = op.endless ? -1 : op.length;
    if (thread != kMainThread && (p.blocked_uts >> thread & 1)) {
        r.reason = r.kind = "blocked microthread";
        add_once(r.waits_for, r.pe);
        return r;
    }
    const Core::Wait why = core_->thread_wait(p, thread, cycle_);
    r.reason = why == Core::Wait::kInput ? "input" : why == Core::Wait::kOutput ? "output" : "other";
    if (why == Core::Wait::kInput) {
        for (const Operand* o : {&op.a, &op.b, &op.c}) {
            if (o->kind == Source::kFifo && p.fifos[static_cast<size_t>(o->fifo)].count == 0) {
                r.reason = "fifo empty";
                r.queue = o->fifo;
                r.fill = 0;
                note(r, "empty FIFO", p.id, "nothing more is put into FIFO " + std::to_string(o->fifo));
                return r;
            }
            if (o->kind != Source::kFabin) continue;
            const InputQueue& q = p.queues->iq[static_cast<size_t>(o->queue)];
            const bool stands = q.ring.count() && op.set.on_control == OnControl::kNone &&
                                !is_data(*p.tile, op.set.on_control, q.ring.front());
            const bool lacks = q.ring.empty() || stands || r.queue < 0;
            if (!lacks) continue;
            r.queue = o->queue;
            r.color = q.color;
            r.fill = q.ring.count();
            if (stands && op.vop != VOp::kDfilt)
                note(r, "control wavelet", p.id,
                     "a control wavelet stands at the head of input queue " + std::to_string(o->queue) +
                         ", and this op takes data only");
            else if (r.color >= 0)
                trace_backward(p.id, r.color, r);
            else
                note(r, "unbound queue", p.id, "input queue " + std::to_string(o->queue) + " is bound to no color");
            if (q.ring.empty()) break;
        }
    } else if (why == Core::Wait::kOutput && op.dst.kind == Source::kFabout) {
        const OutputQueue& q = p.queues->oq[static_cast<size_t>(op.dst.queue)];
        r.queue = op.dst.queue;
        r.color = color_of_oq(op, *p.queues);
        r.fill = q.ring.count();
        const int head = q.ring.empty() ? r.color : q.ring.front().color;
        if (head >= 0) trace_forward(p.id, head, r);
    } else if (why == Core::Wait::kOutput && op.dst.kind == Source::kFifo) {
        r.reason = "fifo full";
        r.queue = op.dst.fifo;
        r.fill = p.fifos[static_cast<size_t>(op.dst.fifo)].count;
        note(r, "full FIFO", p.id, "nothing is taken from FIFO " + std::to_string(op.dst.fifo) + " any more");
    }
    return r;
}

// The main thread stands before an instruction that needs what a live op holds.
WaitReport Machine::describe_main(Pe& p) {
    WaitReport r;
    r.pe = coord(p.id);
    r.thread = "main";
    r.reason = "resource";
    r.task = task_id(p, p.task);
    r.function = p.launched_function();
    const Instr& in = program_.code[static_cast<size_t>(p.pc)];
    r.line = in.line;
    r.what =
        in.op == Op::kVop ? "vop " + std::to_string(in.type) : "instruction " + std::to_string(static_cast<int>(in.op));
    add_once(r.waits_for, r.pe);
    if (in.op != Op::kVop && in.op != Op::kMap) return r;
    const Core::Claim claim = core_->held_claim(p, in);
    if (claim.thread < 0) return r;
    const std::string what = claim.what;
    r.kind = what == "microthread" ? "busy microthread" : what.ends_with("end") ? "FIFO clash" : "queue clash";
    const LiveOp& op = *p.op(claim.thread);
    std::string held = what + " " + std::to_string(claim.number);
    if (what.ends_with("end")) held = what + " of FIFO " + std::to_string(claim.number);
    if (what == "input queue") r.color = p.queues->iq[static_cast<size_t>(claim.number)].color;
    if (what == "output queue") r.color = color_of_oq(op, *p.queues);
    if (r.color >= 0)
        r.queue = claim.number, r.fill = what == "input queue"
                                             ? p.queues->iq[static_cast<size_t>(claim.number)].ring.count()
                                             : p.queues->oq[static_cast<size_t>(claim.number)].ring.count();
    const std::string progress = op.endless
                                     ? std::to_string(op.done) + " elements, without an end"
                                     : std::to_string(op.done) + " of " + std::to_string(op.length) + " elements";
    r.places.push_back(held + " is held by " + thread_name(claim.thread) + ", after " + progress);
    return r;
}

WaitReport Machine::describe_blocked(Pe& p, int task) {
    WaitReport r;
    const Task& t = p.tile->tasks[static_cast<size_t>(task)];
    const Instr& first = program_.code[static_cast<size_t>(t.entry)];
    r.pe = coord(p.id);
    r.task = t.id;
    r.thread = "task " + std::to_string(t.id);
    r.reason = "blocked";
    r.kind = "blocked task";
    r.line = first.line;
    r.what = first.op == Op::kVop ? "vop " + std::to_string(first.type)
                                  : "instruction " + std::to_string(static_cast<int>(first.op));
    add_once(r.waits_for, r.pe);
    return r;
}

// A launch that nobody will complete: no thread runs; perhaps a data task waits for its wavelet.
WaitReport Machine::describe_open_launch(Pe& p) {
    WaitReport r;
    r.pe = coord(p.id);
    r.thread = "launch";
    r.reason = "done";
    r.kind = "no done";
    r.function = p.next_launch ? p.launches[p.next_launch - 1].function->number : -1;
    r.what = "the launched function has not signalled completion, and no task is active";
    if (p.in_task) {  // an endless receive of the main thread: what should signal completion stands behind it
        const LiveOp& op = *p.op(kMainThread);
        r.reason = "endless";
        r.task = task_id(p, op.task);
        r.what = op_name(op);
        r.line = op.line;
        r.done = op.done;
        r.length = -1;
        return r;
    }
    for (size_t i = 0; i < p.tile->tasks.size(); ++i) {
        const Task& task = p.tile->tasks[i];
        if (task.kind != TaskKind::kData) continue;
        const InputQueue& q = p.queues->iq[static_cast<size_t>(task.queue)];
        r.task = task.id;
        r.queue = task.queue;
        r.color = q.color;
        r.fill = q.ring.count();
        r.line = program_.code[static_cast<size_t>(task.entry)].line;
        if (p.blocked >> i & 1) {
            r.kind = "blocked task";
            note(r, "blocked task", p.id, "data task " + std::to_string(task.id) + " is blocked");
        } else if (q.color >= 0 && q.ring.empty()) {
            r.kind.clear();
            trace_backward(p.id, q.color, r);
        }
        if (r.kind.empty()) r.kind = "no done";
    }
    return r;
}

std::vector<WaitReport> Machine::waits(size_t limit) {
    std::vector<WaitReport> out;
    trace_budget_ = kTraceBudget;
    for (Pe& p : pes_) {
        if (out.size() >= limit) break;
        const size_t before = out.size();
        for (uint32_t rest = p.live_uts; rest; rest &= rest - 1) {
            const int thread = std::countr_zero(rest);
            if (!core_->is_daemon(*p.op(thread))) out.push_back(describe_op(p, thread));
        }
        if (p.in_task) {
            const bool callback =
                p.main_op_live() && p.op(kMainThread)->op == Op::kMap && p.op(kMainThread)->map_phase == 1;
            if (!p.main_op_live() || callback)
                out.push_back(describe_main(p));
            else if (!core_->is_daemon(*p.op(kMainThread)))
                out.push_back(describe_op(p, kMainThread));
        }
        if (p.open_launches > 0 || out.size() > before)
            for (uint64_t rest = p.active & p.blocked; rest; rest &= rest - 1)
                out.push_back(describe_blocked(p, std::countr_zero(rest)));
        if (p.open_launches > 0 && out.size() == before) out.push_back(describe_open_launch(p));
    }
    for (WaitReport& r : out) {  // a PE that waits for nobody but itself
        const bool own = std::all_of(r.waits_for.begin(), r.waits_for.end(),
                                     [&](PeCoord c) { return c.x == r.pe.x && c.y == r.pe.y; });
        if (own && !r.blocked_on.empty() && (r.kind == "waiting sender" || r.kind == "waiting receiver"))
            r.kind = "self wait";
    }
    return out;
}

std::vector<Leftover> Machine::leftovers(size_t limit) {
    std::vector<std::pair<uint32_t, Leftover>> found;  // by PE; in a PE routers come before queues
    fabric_->each_state([&](const ColorState& cs) {
        for (uint32_t rest = cs.nonempty; rest; rest &= rest - 1) {
            const int port = std::countr_zero(rest);
            found.push_back({cs.pe,
                             {coord(cs.pe), cs.color, std::string("router, from ") + kPortName[port],
                              fabric_->fifo(cs, port).count()}});
        }
    });
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
        return std::make_pair(a.first, a.second.color) < std::make_pair(b.first, b.second.color);
    });
    for (uint32_t id = 0; id < pe_index_.size(); ++id)
        if (const auto* queues = fabric_->host_queues(id))
            for (const HostQueue& q : *queues)
                if (!q.words.empty())
                    found.push_back({id,
                                     {coord(id), q.color, std::string("host, for port ") + kPortName[q.port],
                                      static_cast<int>(q.words.size())}});
    for (const Pe& p : pes_)
        for (size_t i = 0; i < 8; ++i) {
            const InputQueue& iq = p.queues->iq[i];
            const OutputQueue& oq = p.queues->oq[i];
            if (const int n = iq.ring.count())
                found.push_back({p.id, {coord(p.id), iq.color, "input queue " + std::to_string(i), n}});
            if (const int n = oq.ring.count())
                found.push_back({p.id, {coord(p.id), oq.ring.front().color, "output queue " + std::to_string(i), n}});
        }
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Leftover> out;
    for (size_t i = 0; i < found.size() && i < limit; ++i) out.push_back(std::move(found[i].second));
    return out;
}

}  // namespace wafersim
