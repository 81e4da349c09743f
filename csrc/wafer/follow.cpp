// Follows the color of a stuck run: from a sender that cannot go on towards its receivers, and from a receiver that
// nothing reaches back to its senders. The first cause found names the kind.
#include <algorithm>
#include <bit>
#include <set>

#include "pe/control_words.hpp"
#include "wafer/machine.hpp"
#include "wafer/report_words.hpp"

namespace wafersim {
namespace {

constexpr size_t kMostPlaces = 8;

std::string directions(uint32_t mask) {
    std::string out;
    for (int port = 0; port < kNumPorts; ++port)
        if (mask >> port & 1) out += (out.empty() ? "" : " and ") + std::string(kPortName[port]);
    return out;
}

}  // namespace

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
    add_once(report.waits_for, coord(id));
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
        add_once(report.blocked_on, coord(id));
        const bool stands =
            op->set.on_control == OnControl::kNone && !is_data(*p.tile, op->set.on_control, q.ring.front());
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
        add_once(report.blocked_on, coord(id));
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
        add_once(report.waits_for, coord(id));
        if (!goes_on(id, color, true)) continue;
        waiting = true;
        add_once(report.blocked_on, coord(id));
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

}  // namespace wafersim
