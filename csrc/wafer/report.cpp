// Who waits on what when a run is stuck, and what is left lying about (docs/semantics.md, section 7).
// All of it looks at a machine in which nothing can happen any more; nothing here changes it.
#include <algorithm>
#include <bit>
#include <set>

#include "wafer/machine.hpp"

namespace wafersim {
namespace {

const char* kPortName[5] = {"NORTH", "EAST", "SOUTH", "WEST", "RAMP"};
constexpr int64_t kTraceBudget = 500000;  // router states that one call of waits() looks at
constexpr size_t kMostPlaces = 8;
constexpr size_t kMostPes = 16;

std::string place(PeCoord at) {
    return "(" + std::to_string(at.x) + ", " + std::to_string(at.y) + ")";
}

std::string directions(uint32_t mask) {
    std::string out;
    for (int port = 0; port < kNumPorts; ++port)
        if (mask >> port & 1) out += (out.empty() ? "" : " and ") + std::string(kPortName[port]);
    return out;
}

void add(std::vector<PeCoord>& list, PeCoord pe) {
    if (list.size() >= kMostPes) return;
    for (const PeCoord& c : list)
        if (c.x == pe.x && c.y == pe.y) return;
    list.push_back(pe);
}

std::string thread_name(int thread) {
    return thread == kMainThread ? "main" : "microthread " + std::to_string(thread);
}

std::string op_name(const LiveOp& op) {
    if (op.op == Op::kMap) return "instruction " + std::to_string(static_cast<int>(Op::kMap));
    return "vop " + std::to_string(static_cast<int>(op.vop));
}

int task_id(const Pe& p, int task) {
    return task >= 0 ? p.tile->tasks[static_cast<size_t>(task)].id : -1;
}

bool reads_queue(const LiveOp& op, int queue) {
    return op.live && !op.finished && (op.iq_claims >> queue & 1);
}

int color_of_oq(const LiveOp& op, const CeQueues& q) {
    return op.dst.color >= 0 ? op.dst.color : q.oq[static_cast<size_t>(op.dst.queue)].color;
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

// --- what other PEs could do ----------------------------------------------------------------------------------

// The tile of this PE has code or a queue that sends on the color.
bool Machine::can_send(uint32_t id, int color) {
    const Pe* p = pe(id);
    if (!p) return false;
    for (const Dsd& d : p->tile->dsds)
        if (d.kind == DsdKind::kFabout && (d.color == color || d.color < 0)) return true;
    for (const OutputQueue& q : p->queues->oq)
        if (q.color == color) return true;
    return false;
}

// This PE waits itself, and what waits there would go on to send on (take from) the color, or may do so afterwards.
bool Machine::goes_on(uint32_t id, int color, bool sends) {
    Pe* p = pe(id);
    if (!p) return false;
    if (p->in_task) return true;
    for (uint32_t rest = p->live_uts; rest; rest &= rest - 1) {
        const LiveOp& op = *p->op(std::countr_zero(rest));
        if (op.finished) continue;
        if (op.set.activate >= 0 || op.set.unblock >= 0) return true;
        if (sends && op.dst.kind == Source::kFabout && color_of_oq(op, *p->queues) == color) return true;
        if (!sends)
            for (int q = 0; q < arch_.num_iq; ++q)
                if (p->queues->iq[static_cast<size_t>(q)].color == color && reads_queue(op, q)) return true;
    }
    return false;
}

// What a PE does that should act, in words.
std::string Machine::state_of(uint32_t id) {
    const Pe* p = pe(id);
    if (!p) return "has no tile";
    if (p->in_task) return "waits itself";
    for (uint32_t rest = p->live_uts; rest; rest &= rest - 1)
        if (!core_->is_daemon(*p->op(std::countr_zero(rest)))) return "waits itself";
    if (const uint64_t rest = p->active & p->blocked)
        return "has task " + std::to_string(p->tile->tasks[static_cast<size_t>(std::countr_zero(rest))].id) +
               " activated and blocked";
    if (p->open_launches > 0) return "has no task active, though its launch is not done";
    return "has ended";
}

// A cause: the first one found names the kind.
void Machine::note(WaitReport& report, const char* kind, uint32_t id, std::string words) {
    if (report.kind.empty()) report.kind = kind;
    add(report.waits_for, coord(id));
    if (report.places.size() < kMostPlaces &&
        std::find(report.places.begin(), report.places.end(), words) == report.places.end())
        report.places.push_back(std::move(words));
}

// --- from a sender towards the receivers ----------------------------------------------------------------------

struct Machine::Stand {
    std::set<std::pair<uint32_t, int>> seen;
    std::vector<std::pair<uint32_t, int>> open;
};

// Follows a color from a PE's router towards its receivers until a wavelet cannot move, and says why.
void Machine::trace_forward(uint32_t start, int color, WaitReport& report) {
    Stand stand;
    stand.open.push_back({start, color});
    while (!stand.open.empty() && report.places.size() < kMostPlaces && trace_budget_-- > 0) {
        const auto [id, c] = stand.open.back();
        stand.open.pop_back();
        if (!stand.seen.insert({id, c}).second) continue;
        const ColorState* cs = fabric_->color(id, c);
        const std::string at = "color " + std::to_string(c) + " at PE " + place(coord(id));
        if (!cs || !cs->has_route) {
            note(report, "no route", id, at + " has no route");
        } else if (cs->nonempty && cs->teardown) {
            note(report, "teardown", id, at + " is in teardown");
        } else {
            for (uint32_t rest = cs->nonempty; rest; rest &= rest - 1)
                judge_head(*cs, std::countr_zero(rest), stand, report);
        }
    }
}

// Why the first wavelet of a FIFO does not move.
void Machine::judge_head(const ColorState& cs, int port, Stand& stand, WaitReport& report) {
    const std::string at = "color " + std::to_string(cs.color) + " at PE " + place(coord(cs.pe));
    const RouterFifo& fifo = fabric_->fifo(cs, port);
    const std::string waiting = at + ": " + std::to_string(fifo.count()) +
                                (fifo.count() == 1 ? " wavelet" : " wavelets") + " from " + kPortName[port];
    if (!(cs.in_now >> port & 1)) {
        note(report, "switch position", cs.pe,
             waiting + " wait, switch position " + std::to_string(cs.position) + " takes from " +
                 (cs.in_now ? directions(cs.in_now) : "nowhere"));
        return;
    }
    if (!cs.out_now) {
        note(report, "switch position", cs.pe,
             waiting + " wait, switch position " + std::to_string(cs.position) + " has no output");
        return;
    }
    uint32_t blocked = 0;
    const uint32_t outputs = cs.out_now & ~static_cast<uint32_t>(cs.sink);  // the host always takes
    for (uint32_t rest = outputs & 15u; rest; rest &= rest - 1) {
        const int d = std::countr_zero(rest);
        const ColorState* next = fabric_->neighbor(cs, d);
        if (next && fabric_->fifo(*next, opposite(d)).count() >= arch_.link_buffer) blocked |= 1u << d;
    }
    const bool control = fifo.flags() & kFlagControl;
    const bool dropped =
        (control && (command_field(fifo.payload()) >> 2 & 1)) || !cs.filter_passes(fifo.payload(), control);
    const CeQueues* q = fabric_->queues(cs.pe);
    int bound = -1;
    for (int i = 0; q && i < arch_.num_iq && bound < 0; ++i)
        if (q->iq[static_cast<size_t>(i)].color == cs.color) bound = i;
    if ((outputs >> kPortRamp & 1) && !dropped &&
        (bound < 0 || q->iq[static_cast<size_t>(bound)].ring.count() >= arch_.iq_capacity(bound)))
        blocked |= 1u << kPortRamp;
    if (blocked && blocked != cs.out_now && std::popcount(static_cast<unsigned>(cs.out_now)) > 1) {
        if (report.kind.empty()) report.kind = "dead branch";
        report.places.push_back(at + ": a multicast to " + directions(cs.out_now) + " waits for " +
                                directions(blocked));
    }
    if (blocked >> kPortRamp & 1) {
        if (bound < 0)
            note(report, "unbound queue", cs.pe, at + " goes to the RAMP, but no input queue is bound to it");
        else
            judge_full_queue(cs.pe, bound, report);
    }
    for (uint32_t rest = blocked & 15u; rest; rest &= rest - 1) {
        const ColorState* next = fabric_->neighbor(cs, std::countr_zero(rest));
        stand.open.push_back({next->pe, next->color});
    }
}

// Nobody empties an input queue: who should?
void Machine::judge_full_queue(uint32_t id, int queue, WaitReport& report) {
    Pe& p = *pe(id);
    const InputQueue& q = p.queues->iq[static_cast<size_t>(queue)];
    const std::string full = "input queue " + std::to_string(queue) + " (color " + std::to_string(q.color) +
                             ") of PE " + place(coord(id)) + " is full with " + std::to_string(q.ring.count()) +
                             " wavelets";
    const int data = p.tile->data_task[static_cast<size_t>(queue)];
    for (int thread = 0; thread <= kMainThread; ++thread) {
        const LiveOp* op = p.op(thread);
        if (!op || !reads_queue(*op, queue)) continue;
        add(report.blocked_on, coord(id));
        const bool stands = q.ring.front().control() && op->set.on_control == OnControl::kNone;
        if (stands)
            note(report, "control wavelet", id,
                 full + "; a control wavelet stands at its head, and " + thread_name(thread) + " does not take those");
        else
            note(report, "waiting receiver", id, full + "; its reader, " + thread_name(thread) + ", waits itself");
        return;
    }
    if (data >= 0 && (p.blocked >> data & 1)) {
        note(report, "blocked task", id, full + "; its data task " + std::to_string(task_id(p, data)) + " is blocked");
        return;
    }
    if (goes_on(id, q.color, false)) {
        add(report.blocked_on, coord(id));
        note(report, "waiting receiver", id, full + "; no op reads it, and that PE waits itself");
        return;
    }
    note(report, "nobody receives", id, full + " that nobody takes; that PE " + state_of(id));
}

// --- from a receiver back to the senders ----------------------------------------------------------------------

// Wavelets of a color that stand in a router on the way: true if they explain why nothing arrives.
bool Machine::judge_standing(const ColorState& cs, WaitReport& report) {
    if (!cs.nonempty) return false;
    const std::string at = "color " + std::to_string(cs.color) + " at PE " + place(coord(cs.pe));
    if (cs.teardown) {
        note(report, "teardown", cs.pe, at + " is in teardown");
        return true;
    }
    bool explains = false;
    for (uint32_t rest = cs.nonempty; rest; rest &= rest - 1) {
        const int port = std::countr_zero(rest);
        if (cs.in_now >> port & 1) continue;
        const int n = fabric_->fifo(cs, port).count();
        note(report, "switch position", cs.pe,
             at + ": " + std::to_string(n) + (n == 1 ? " wavelet" : " wavelets") + " from " + kPortName[port] +
                 " wait, switch position " + std::to_string(cs.position) + " takes from " +
                 (cs.in_now ? directions(cs.in_now) : "nowhere"));
        explains = true;
    }
    return explains;
}

// Inputs of this router that lead out of the fabric, or that the host feeds.
void Machine::add_host_ports(const ColorState& cs, uint32_t inputs, std::vector<HostPlace>& found) const {
    for (int port = 0; port < kNumPorts; ++port) {
        if (!(inputs >> port & 1)) continue;
        bool feeds = fabric_->is_outer(cs.pe, port);
        if (const auto* queues = fabric_->host_queues(cs.pe))
            for (const HostQueue& q : *queues) feeds |= q.port == port && q.color == cs.color;
        if (feeds && found.size() < kMostPlaces) found.push_back({coord(cs.pe), cs.color, port});
    }
}

// A receiver waits for what comes by this port: what has the host done there?
void Machine::judge_host_port(const HostPlace& host, WaitReport& report) {
    const std::string at = std::string("port ") + kPortName[host.port] + " of PE " + place(host.pe);
    const uint32_t id = static_cast<uint32_t>(host.pe.y * program_.width + host.pe.x);
    report.host_ports.push_back(host);
    int64_t fed = 0, left = 0;
    if (const auto* queues = fabric_->host_queues(id))
        for (const HostQueue& q : *queues)
            if (q.port == host.port && (q.color == host.color || q.color == (host.color ^ 1)) && q.fed > fed)
                fed = q.fed, left = static_cast<int64_t>(q.words.size());
    const std::string color = "color " + std::to_string(host.color);
    if (fed == 0)
        note(report, "missing host data", id, color + " comes from the host, by " + at + "; it has fed nothing");
    else if (left == 0)
        note(report, "host stream dry", id,
             "the host's stream of " + color + " into " + at + " ran dry after " + std::to_string(fed) + " wavelets");
    else
        note(report, "host stream blocked", id,
             "the host still holds " + std::to_string(left) + " wavelets of " + color + " for " + at);
}

// Follows a color from a receiver back to the PEs that can send on it.
void Machine::trace_backward(uint32_t start, int color, WaitReport& report) {
    std::set<std::pair<uint32_t, int>> seen;
    std::vector<std::pair<uint32_t, int>> open{{start, color}};
    std::vector<uint32_t> senders;
    std::vector<HostPlace> hosts;
    ColorState* here = fabric_->color(start, color);
    if (!here || !here->has_route) {
        note(report, "no route", start,
             "color " + std::to_string(color) + " has no route at PE " + place(coord(start)));
        return;
    }
    fabric_->settle(*here);
    while (!open.empty() && trace_budget_-- > 0) {
        const auto [id, c] = open.back();
        open.pop_back();
        if (!seen.insert({id, c}).second) continue;
        const ColorState* cs = fabric_->color(id, c);
        if (!cs || !cs->has_route) continue;
        judge_standing(*cs, report);
        uint32_t in = 0;
        for (int i = 0; i < cs->num_positions; ++i) in |= cs->route->in[static_cast<size_t>(i)];
        if ((in >> kPortRamp & 1) && can_send(id, c)) senders.push_back(id);
        add_host_ports(*cs, in, hosts);
        const PeCoord at = coord(id);
        for (int d = 0; d < 4; ++d) {
            if (!(in >> d & 1)) continue;
            const int x = at.x + kDx[d], y = at.y + kDy[d];
            if (x < 0 || y < 0 || x >= program_.width || y >= program_.height) continue;  // the host: see above
            for (const ColorState* other : fabric_->colors(static_cast<uint32_t>(y * program_.width + x)))
                if (fabric_->neighbor(*other, opposite(d)) == cs) open.push_back({other->pe, other->color});
        }
    }
    if (trace_budget_ <= 0) return;  // not looked at to the end: nothing is said about senders
    const bool waits_itself =
        std::any_of(senders.begin(), senders.end(), [&](uint32_t id) { return goes_on(id, color, true); });
    if (!waits_itself)
        for (const HostPlace& host : hosts) judge_host_port(host, report);
    if (senders.empty() && hosts.empty()) {
        note(report, "missing sender", start,
             "no PE sends on color " + std::to_string(color) + " towards PE " + place(coord(start)));
        return;
    }
    bool waiting = false;
    for (const uint32_t id : senders) {
        add(report.waits_for, coord(id));
        if (!goes_on(id, color, true)) continue;
        waiting = true;
        add(report.blocked_on, coord(id));
    }
    if (!report.kind.empty()) return;
    if (waiting)
        report.kind = "waiting sender";
    else
        report.kind = report.done > 0 || report.fill > 0 || here->route->wavelets[kPortRamp] > 0 ? "count mismatch"
                                                                                                 : "missing sender";
    for (size_t i = 0; i < senders.size() && i < 2; ++i)
        report.places.push_back("PE " + place(coord(senders[i])) + " can send on color " + std::to_string(color) +
                                ", and " + state_of(senders[i]));
    if (senders.size() > 2)
        report.places.push_back("and " + std::to_string(senders.size() - 2) + " more PEs can send on it");
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
        add(r.waits_for, r.pe);
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
            const bool lacks =
                q.ring.empty() || (q.ring.front().control() && op.set.on_control == OnControl::kNone) || r.queue < 0;
            if (!lacks) continue;
            r.queue = o->queue;
            r.color = q.color;
            r.fill = q.ring.count();
            if (q.ring.count() && q.ring.front().control() && op.vop != VOp::kDfilt &&
                op.set.on_control == OnControl::kNone)
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
    add(r.waits_for, r.pe);
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
    add(r.waits_for, r.pe);
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
