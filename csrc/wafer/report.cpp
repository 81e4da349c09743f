// Who waits on what when a run is stuck, and what is left lying about (docs/semantics.md, section 7).
#include <algorithm>
#include <bit>
#include <set>

#include "wafer/machine.hpp"

namespace wafersim {
namespace {

const char* kPortName[5] = {"NORTH", "EAST", "SOUTH", "WEST", "RAMP"};

std::string place(PeCoord at) { return "(" + std::to_string(at.x) + ", " + std::to_string(at.y) + ")"; }

}  // namespace

bool Core::is_daemon(const LiveOp& op) const {
    if (!op.endless || op.finished) return op.finished;
    for (const Operand* o : {&op.a, &op.b, &op.c})
        if (o->kind == Source::kFabin || o->kind == Source::kFifo) return true;
    return op.dst.kind == Source::kFifo;
}

// Follows a color from a PE's router towards its receivers until a wavelet cannot move, and says why.
void Machine::trace_forward(uint32_t start, int color, WaitReport& report) {
    std::set<std::pair<uint32_t, int>> seen;
    std::vector<std::pair<uint32_t, int>> open{{start, color}};
    while (!open.empty() && report.places.size() < 8) {
        const auto [pe, c] = open.back();
        open.pop_back();
        if (!seen.insert({pe, c}).second) continue;
        const ColorState* cs = fabric_->color(pe, c);
        const std::string at = "color " + std::to_string(c) + " at PE " + place(coord(pe));
        if (!cs || !cs->has_route) {
            report.places.push_back(at + " has no route");
            continue;
        }
        if (!cs->nonempty) continue;
        if (cs->teardown) {
            report.places.push_back(at + " is in teardown");
            report.waits_for.push_back(coord(pe));
            continue;
        }
        for (int port = 0; port < kNumPorts; ++port) {
            const RouterFifo& fifo = cs->fifo[static_cast<size_t>(port)];
            if (fifo.count() == 0) continue;
            if (!(cs->in[cs->position] >> port & 1)) {
                report.places.push_back(at + ": " + std::to_string(fifo.count()) + " wavelets from " + kPortName[port] +
                                        " wait, switch position " + std::to_string(cs->position) + " does not take that input");
                report.waits_for.push_back(coord(pe));
                continue;
            }
            const uint32_t out = cs->out[cs->position];
            if (!out) report.places.push_back(at + ": switch position " + std::to_string(cs->position) + " has no output");
            for (int d = 0; d < 4; ++d)
                if ((out >> d & 1) && cs->neighbor[static_cast<size_t>(d)]) {
                    const ColorState* next = cs->neighbor[static_cast<size_t>(d)];
                    if (next->fifo[static_cast<size_t>(opposite(d))].count() >= arch_.link_buffer)
                        open.push_back({next->pe, next->color});
                }
            if (out >> kPortRamp & 1) {
                const CeQueues* q = fabric_->queues(pe);
                int bound = -1;
                for (int i = 0; q && i < arch_.num_iq && bound < 0; ++i)
                    if (q->iq[static_cast<size_t>(i)].color == c) bound = i;
                if (bound < 0) {
                    report.places.push_back(at + " goes to the RAMP, but no input queue is bound to it");
                    report.waits_for.push_back(coord(pe));
                } else if (q->iq[static_cast<size_t>(bound)].ring.count() >= arch_.iq_capacity(bound)) {
                    report.places.push_back("input queue " + std::to_string(bound) + " (" + at + ") is full, " +
                                            std::to_string(q->iq[static_cast<size_t>(bound)].ring.count()) + " wavelets that nobody takes");
                    report.waits_for.push_back(coord(pe));
                }
            }
        }
    }
}

// Follows a color from a receiver back to the PEs that can send on it.
void Machine::trace_backward(uint32_t start, int color, WaitReport& report) {
    std::set<std::pair<uint32_t, int>> seen;
    std::vector<std::pair<uint32_t, int>> open{{start, color}};
    bool any_sender = false;
    while (!open.empty() && seen.size() < 4096) {
        const auto [pe, c] = open.back();
        open.pop_back();
        if (!seen.insert({pe, c}).second) continue;
        const ColorState* cs = fabric_->color(pe, c);
        if (!cs || !cs->has_route) continue;
        uint32_t in = 0;
        for (int i = 0; i < cs->num_positions; ++i) in |= cs->in[static_cast<size_t>(i)];
        if (cs->nonempty && report.places.size() < 8) {
            for (int port = 0; port < kNumPorts; ++port)
                if (cs->fifo[static_cast<size_t>(port)].count() && !(cs->in[cs->position] >> port & 1))
                    report.places.push_back("color " + std::to_string(c) + " at PE " + place(coord(pe)) + ": wavelets from " + kPortName[port] +
                                            " wait, switch position " + std::to_string(cs->position) + " does not take that input");
            if (cs->teardown) report.places.push_back("color " + std::to_string(c) + " at PE " + place(coord(pe)) + " is in teardown");
        }
        if (in >> kPortRamp & 1) {
            any_sender = true;
            if (report.waits_for.size() < 8) report.waits_for.push_back(coord(pe));
        }
        const PeCoord at = coord(pe);
        for (int d = 0; d < 4; ++d) {
            if (!(in >> d & 1)) continue;
            const int x = at.x + kDx[d], y = at.y + kDy[d];
            if (x < 0 || y < 0 || x >= program_.width || y >= program_.height) {
                report.places.push_back("color " + std::to_string(c) + " is expected from beyond the " + kPortName[d] + " edge at PE " + place(at));
                continue;
            }
            for (const ColorState* other : fabric_->colors(static_cast<uint32_t>(y * program_.width + x)))
                if (other->neighbor[static_cast<size_t>(opposite(d))] == cs) open.push_back({other->pe, other->color});
        }
    }
    if (!any_sender) report.places.push_back("no PE sends on color " + std::to_string(color) + " towards this one");
}

std::vector<WaitReport> Machine::waits(size_t limit) {
    std::vector<WaitReport> out;
    auto op_name = [](const LiveOp& op) { return op.op == Op::kMap ? std::string("map") : "vop " + std::to_string(static_cast<int>(op.vop)); };
    auto describe = [&](Pe& p, int thread) {
        WaitReport r;
        r.pe = coord(p.id);
        r.thread = thread == kMainThread ? "main" : "microthread " + std::to_string(thread);
        r.task = thread == kMainThread && p.task >= 0 ? p.tile->tasks[static_cast<size_t>(p.task)].id : -1;
        LiveOp& op = *p.op(thread);
        r.what = op_name(op);
        r.line = op.line;
        r.done = op.done;
        r.length = op.endless ? -1 : op.length;
        const Core::Wait why = core_->thread_wait(p, thread, cycle_);
        r.reason = why == Core::Wait::kInput ? "input" : why == Core::Wait::kOutput ? "output" : "other";
        if (p.blocked_uts >> thread & 1 && thread != kMainThread) r.reason = "blocked microthread";
        for (const Operand* o : {&op.a, &op.b, &op.c}) {
            if (why == Core::Wait::kInput && o->kind == Source::kFabin) {
                const InputQueue& q = p.queues->iq[static_cast<size_t>(o->queue)];
                r.queue = o->queue;
                r.color = q.color;
                r.fill = q.ring.count();
                if (r.color >= 0) trace_backward(p.id, r.color, r);
                else r.places.push_back("input queue " + std::to_string(o->queue) + " is bound to no color");
                if (q.ring.count() && q.ring.front().control()) r.places.push_back("a control wavelet stands at the head of input queue " + std::to_string(o->queue));
            }
            if (why == Core::Wait::kInput && o->kind == Source::kFifo) r.reason = "fifo empty", r.queue = o->fifo;
        }
        if (why == Core::Wait::kOutput) {
            if (op.dst.kind == Source::kFabout) {
                r.queue = op.dst.queue;
                r.color = op.dst.color >= 0 ? op.dst.color : p.queues->oq[static_cast<size_t>(op.dst.queue)].color;
                r.fill = p.queues->oq[static_cast<size_t>(op.dst.queue)].ring.count();
                const int head = p.queues->oq[static_cast<size_t>(op.dst.queue)].ring.empty() ? r.color : p.queues->oq[static_cast<size_t>(op.dst.queue)].ring.front().color;
                if (head >= 0) trace_forward(p.id, head, r);
            } else if (op.dst.kind == Source::kFifo) {
                r.reason = "fifo full";
                r.queue = op.dst.fifo;
                r.fill = p.fifos[static_cast<size_t>(op.dst.fifo)].count;
            }
        }
        out.push_back(std::move(r));
    };
    for (Pe& p : pes_) {
        if (out.size() >= limit) break;
        const size_t before = out.size();
        for (uint32_t rest = p.live_uts; rest; rest &= rest - 1) {
            const int thread = std::countr_zero(rest);
            if (!core_->is_daemon(*p.op(thread))) describe(p, thread);
        }
        if (p.main_op_live()) {
            describe(p, kMainThread);
        } else if (p.in_task) {
            WaitReport r;
            r.pe = coord(p.id);
            r.thread = "main";
            r.reason = "resource";
            r.task = p.task >= 0 ? p.tile->tasks[static_cast<size_t>(p.task)].id : -1;
            const Instr& in = program_.code[static_cast<size_t>(p.pc)];
            r.line = in.line;
            r.what = "instruction " + std::to_string(static_cast<int>(in.op));
            r.places.push_back("the operation waits for a queue, FIFO or microthread that another operation of this PE still holds");
            r.waits_for.push_back(r.pe);
            out.push_back(std::move(r));
        }
        for (uint64_t rest = p.active & p.blocked; rest; rest &= rest - 1) {
            WaitReport r;
            r.pe = coord(p.id);
            r.task = p.tile->tasks[static_cast<size_t>(std::countr_zero(rest))].id;
            r.thread = "task " + std::to_string(r.task);
            r.reason = "blocked";
            r.what = "activated, never unblocked";
            if (p.open_launches > 0 || out.size() > before) out.push_back(std::move(r));
        }
        if (p.open_launches > 0 && out.size() == before) {
            WaitReport r;
            r.pe = coord(p.id);
            r.thread = "launch";
            r.reason = "done";
            r.what = "the launched function has not signalled completion, and no task is active";
            for (size_t i = 0; i < p.tile->tasks.size(); ++i) {
                const Task& task = p.tile->tasks[i];
                if (task.kind != TaskKind::kData) continue;
                const InputQueue& q = p.queues->iq[static_cast<size_t>(task.queue)];
                r.task = task.id;
                r.queue = task.queue;
                r.color = q.color;
                r.fill = q.ring.count();
                if (p.blocked >> i & 1) r.places.push_back("data task " + std::to_string(task.id) + " is blocked");
                if (q.color >= 0 && q.ring.empty()) trace_backward(p.id, q.color, r);
            }
            out.push_back(std::move(r));
        }
    }
    return out;
}

Core::Wait Core::thread_wait(Pe& p, int thread, Cycle t) {
    LiveOp* op = p.op(thread);
    if (!op || !op->live) return Wait::kNothing;
    const Beat beat = check_beat(p, *op, std::max(t, op->next_beat), false);
    if (beat.elements > 0) return Wait::kNothing;
    return beat.lacks_input ? Wait::kInput : Wait::kOutput;
}

std::vector<Leftover> Machine::leftovers(size_t limit) {
    std::vector<Leftover> out;
    for (size_t id = 0; id < pe_index_.size() && out.size() < limit; ++id) {
        for (const ColorState* cs : fabric_->colors(static_cast<uint32_t>(id)))
            for (int port = 0; port < kNumPorts; ++port)
                if (const int n = cs->fifo[static_cast<size_t>(port)].count())
                    out.push_back({coord(static_cast<uint32_t>(id)), cs->color, std::string("router, from ") + kPortName[port], n});
        if (const CeQueues* q = fabric_->queues(static_cast<uint32_t>(id)))
            for (size_t i = 0; i < 8; ++i) {
                if (const int n = q->iq[i].ring.count()) out.push_back({coord(static_cast<uint32_t>(id)), q->iq[i].color, "input queue " + std::to_string(i), n});
                if (const int n = q->oq[i].ring.count()) out.push_back({coord(static_cast<uint32_t>(id)), q->oq[i].color, "output queue " + std::to_string(i), n});
            }
    }
    return out;
}

}  // namespace wafersim
