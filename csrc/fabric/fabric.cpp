#include "fabric/fabric.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace wafersim {

uint32_t command_field(uint32_t payload) {
    return (payload >> 22 & 0xffu) | (payload & 0xffffu) << 8;
}

uint32_t with_command_field(uint32_t payload, uint32_t field) {
    return (payload & 0xc03f0000u) | (field & 0xffu) << 22 | (field >> 8 & 0xffffu);
}

uint32_t popped_payload(uint32_t payload, PopMode mode, bool moves) {
    const auto command = static_cast<SwitchCommand>(command_field(payload) & 3);
    const bool pops = mode == PopMode::kAlways ||
                      (mode != PopMode::kNever && command == SwitchCommand::kAdvance && moves) ||
                      (mode == PopMode::kOnAdvanceOrNop && command == SwitchCommand::kNop);
    return pops ? with_command_field(payload, command_field(payload) >> 3) : payload;
}

bool ColorState::filter_passes(uint32_t payload, bool control) const {
    if (filter == FilterKind::kNone) return true;
    const auto& [min, max, counter] = std::tie(route->min, route->max, route->counter);
    if (filter != FilterKind::kRange) return counter <= max;
    const auto index = static_cast<int32_t>(payload >> 16);
    return control || (min <= index && index <= max);
}

void ColorState::filter_count(bool control) {
    if (filter != FilterKind::kCounter && filter != FilterKind::kSparseCounter) return;
    RouteState& r = *route;
    if (!(control ? r.count_control : r.count_data)) return;
    if (r.counter == r.limit1) {
        r.counter = 0;
        if (filter == FilterKind::kSparseCounter && (r.max += r.limit2) > 65535) filter = FilterKind::kNone;
    } else {
        r.counter = (r.counter + 1) & 0xffff;
    }
}

void Fabric::fail(uint32_t pe, int color_number, Cycle t, std::string message) {
    if (fault &&
        (fault->cycle < t || (fault->cycle == t && (fault->pe.y < coord(pe).y ||
                                                    (fault->pe.y == coord(pe).y && fault->pe.x <= coord(pe).x)))))
        return;  // the first one in (cycle, row, column) order is reported, whatever the order of processing
    fault = RunFault{std::move(message), coord(pe), color_number, -1, t};
}

// The RAMP among the outputs of a candidate: dropped, taken, or not possible now.
bool Fabric::ramp_takes(uint32_t pe, Candidate& c) {
    ColorState& cs = *c.color;
    const RouterFifo& fifo = *c.fifo;
    const bool control = fifo.flags() & kFlagControl;
    const bool ignored = control && (command_field(fifo.payload()) >> 2 & 1);
    if (ignored || !cs.filter_passes(fifo.payload(), control)) {
        c.ramp_dropped = true;
        c.outputs &= static_cast<uint8_t>(~(1 << kPortRamp));
        return true;
    }
    if (cs.sink >> kPortRamp & 1) return true;
    CeQueues* q = queues(pe);
    const int queue = q ? q->iq_of_color[cs.color] : -1;
    if (queue < 0) {
        c.unbound = true;
        return false;
    }
    InputQueue& iq = q->iq[static_cast<size_t>(queue)];
    if (iq.ring.count() < arch_.iq_capacity(queue)) return true;
    iq.waiting |= 1u << cs.bit;
    return false;
}

// Judges a candidate; fills in its outputs. `retry`: first cycle in which space can be known without another event.
bool Fabric::eligible(uint32_t pe, Candidate& c, Cycle t, Cycle& retry) {
    ColorState& cs = *c.color;
    c.outputs = cs.out_now;
    if (!c.outputs) return false;
    bool space = true;
    for (uint32_t rest = c.outputs & 15u & ~cs.sink; rest; rest &= rest - 1) {
        const int d = std::countr_zero(rest);
        uint32_t next = cs.next[static_cast<size_t>(d)];
        if (!next && !(next = look_up(cs, d))) {
            fail(pe, cs.color, t, "a wavelet leaves the fabric");
            return false;
        }
        RouterFifo& fifo = fifos_[next];
        if (fifo.has_space(t, arch_.hop, arch_.link_buffer)) continue;
        space = false;
        if (fifo.unknown_pops(t, arch_.hop))
            retry = std::min(retry, fifo.next_known(t, arch_.hop));
        else
            fifo.waiting |= 1u << cs.bit;
    }
    if ((c.outputs >> kPortRamp & 1) && !ramp_takes(pe, c)) {
        if (c.unbound) return false;
        space = false;
    }
    if (!space) c.fifo->head_blocked = true;
    return space;
}

void Fabric::control_action(ColorState& cs, SwitchCommand command, Cycle t) {
    if (command == SwitchCommand::kNop) return;
    pending_.push_back({&cs, command});
    if (command == SwitchCommand::kTeardown) {
        teardowns.emplace_back(cs.pe, cs.color);
        if (queues(cs.pe)) ces_.wake(cs.pe, t + 1);
    }
    routers_.wake(cs.pe, t + 1);
}

void Fabric::teardown(ColorState& cs) {
    cs.teardown = true;
    if (CeQueues* q = queues(cs.pe)) q->teardown_pending |= 1u << cs.color;
}

void Fabric::act(const Pending& pending) {
    ColorState& cs = *pending.color;
    judge(cs);
    if (pending.command == SwitchCommand::kReset)
        set_position(cs, 0);
    else if (pending.command == SwitchCommand::kTeardown)
        teardown(cs);
    else if (cs.position + 1 < cs.num_positions)
        set_position(cs, cs.position + 1);
    else if (cs.ring_mode)
        set_position(cs, 0);
}

void Fabric::apply_pending() {
    for (const Pending& pending : pending_)
        if (pending.color) act(pending);
    pending_.clear();
}

void Fabric::apply_pending(const ColorState& cs) {
    for (Pending& pending : pending_) {
        if (pending.color != &cs) continue;
        act(pending);
        pending.color = nullptr;
    }
}

void Fabric::grant(uint32_t pe, const Candidate& c, Cycle t) {
    ColorState& cs = *c.color;
    RouterFifo& fifo = *c.fifo;
    const uint32_t payload = fifo.payload();
    const uint8_t flags = fifo.flags();
    const bool control = flags & kFlagControl;
    fifo.pop(t);
    if (fifo.head_blocked) {
        fifo.head_blocked = false;
        ++fifo.backpressure;
    }
    if (fifo.grants >> 31) settle(cs);
    if (!fifo.count())
        cs.nonempty &= static_cast<uint8_t>(~(1 << c.port));
    else if (fifo.visible(t + 1, c.port == kPortRamp ? arch_.ramp_out : arch_.hop))
        routers_.wake(pe, t + 1);
    if (fifo.waiting) {
        if (c.port == kPortRamp) {
            routers_.wake(pe, t + arch_.ramp_out);
        } else {
            const auto up = static_cast<uint32_t>(static_cast<int>(pe) + kDy[c.port] * width_ + kDx[c.port]);
            router_[up].ready |= fifo.waiting;
            routers_.wake(up, t + arch_.hop);
        }
        fifo.waiting = 0;
    }
    if (cs.filter != FilterKind::kNone && ((c.outputs >> kPortRamp & 1) || c.ramp_dropped) &&
        !(c.ramp_dropped && control && (command_field(payload) >> 2 & 1)))
        cs.filter_count(control);

    if (c.ramp_dropped) --cs.route->wavelets[kPortRamp];
    uint32_t forwarded = payload;
    if (control) {
        const bool moves = cs.num_positions > 1 && (cs.ring_mode || cs.position + 1 < cs.num_positions);
        forwarded = popped_payload(payload, cs.pop_mode, moves);
    }
    uint32_t rest = c.outputs;
    if (const uint32_t sinks = rest & cs.sink) {
        collect(cs, sinks, payload, forwarded, control, t);
        rest &= ~sinks;
    }
    for (; rest; rest &= rest - 1) {
        const int d = std::countr_zero(rest);
        if (d == kPortRamp) {
            CeQueues& q = *queues(pe);
            const int queue = q.iq_of_color[cs.color];
            InputQueue& iq = q.iq[static_cast<size_t>(queue)];
            iq.ring.push({t + arch_.ramp_in, payload, cs.color, static_cast<uint8_t>(flags & kFlagControl)},
                         arch_.iq_capacity(queue));
            iq.high_water = std::max<int16_t>(iq.high_water, static_cast<int16_t>(iq.ring.count()));
            ++q.wavelets_received;
            if (kTraceable && q.traced) [[unlikely]]
                trace(Happening::kReceive, pe, cs.color, payload, t + arch_.ramp_in);
            ces_.wake(pe, t + arch_.ramp_in);
        } else {
            RouterFifo& into = fifos_[cs.next[static_cast<size_t>(d)]];
            into.push(forwarded, flags & kFlagControl, t, arch_.link_buffer);
            if (into.count() == 1) arrived(into);
            if (kTraceable && link_timeline) [[unlikely]]
                trace_link(pe, d, cs.color, payload, t);
            routers_.wake(static_cast<uint32_t>(static_cast<int>(pe) + kDy[d] * width_ + kDx[d]), t + arch_.hop);
        }
    }
    if (control) control_action(cs, static_cast<SwitchCommand>(command_field(payload) & 3), t);
    if (flags & kFlagAdvance) control_action(cs, SwitchCommand::kAdvance, t);
}

void Fabric::trace(Happening kind, uint32_t pe, int color_number, uint32_t payload, Cycle t) const {
    TimelineEntry entry;
    entry.kind = kind;
    entry.begin = t;
    entry.end = t + 1;
    entry.pe = pe;
    entry.code = static_cast<int16_t>(color_number);
    entry.value = payload;
    timeline->add(entry);
}

void Fabric::trace_link(uint32_t pe, int port, int color_number, uint32_t payload, Cycle t) const {
    if (!link_traced[pe]) return;
    TimelineEntry entry;
    entry.kind = Happening::kLink;
    entry.begin = t;
    entry.end = t + 1;
    entry.pe = pe;
    entry.code = static_cast<int16_t>(color_number);
    entry.thread = static_cast<int8_t>(port);
    entry.value = payload;
    link_timeline->add(entry);
}

void Fabric::step(uint32_t pe, Cycle t) {
    ++events;
    Candidate candidates[kMaxColors * kNumPorts];
    int n = 0;
    Cycle retry = kForever;
    const Router router = router_[pe];
    uint32_t asleep = 0;
    for (uint32_t ready = router.ready; ready; ready &= ready - 1) {
        ColorState* cs = color_table_[router.first + static_cast<uint32_t>(std::countr_zero(ready))];
        bool sleeps = true;
        for (uint32_t rest = cs->nonempty; rest; rest &= rest - 1) {
            const int port = std::countr_zero(rest);
            RouterFifo& fifo = fifos_[cs->fifo[static_cast<size_t>(port)]];
            if (!fifo.visible(t, port == kPortRamp ? arch_.ramp_out : arch_.hop)) {
                sleeps = false;
                continue;
            }
            if (!cs->has_route) {
                fail(pe, cs->color, t, "a wavelet meets no route");
                continue;
            }
            if (cs->teardown || !(cs->in_now >> port & 1)) continue;
            Candidate c{fifo.last_grant(), cs, &fifo, static_cast<uint8_t>(port), 0, false, false};
            Cycle known = kForever;
            if (!eligible(pe, c, t, known)) {
                sleeps = sleeps && known == kForever;
                retry = std::min(retry, known);
                continue;
            }
            sleeps = false;
            int i = n++;
            for (; i > 0 && candidates[i - 1].last_grant > c.last_grant; --i) candidates[i] = candidates[i - 1];
            candidates[i] = c;
        }
        if (sleeps) asleep |= ready & ~(ready - 1);
    }
    router_[pe].ready &= ~asleep;
    if (retry < kForever) routers_.wake(pe, retry);
    uint32_t taken = 0;
    // Every judgement above used the state at the start of the phase; grants change it from here on.
    for (int i = 0; i < n; ++i) {
        if (candidates[i].outputs & taken) {
            routers_.wake(pe, t + 1);
            if (!++candidates[i].color->losses) candidates[i].color->route->arbitration_losses += 65536;
            continue;
        }
        taken |= candidates[i].outputs;
        grant(pe, candidates[i], t);
    }
    if (n) last_activity = std::max(last_activity, t);
    if (router.queues >= 0) {
        CeQueues& q = ce_[static_cast<size_t>(router.queues)];
        if (q.oq_nonempty || q.host_words) step_ramp(pe, q, t);
    }
    if (host_) step_host(pe, t);
}

// A move in cycle t was made: counted, and the next one paced.
void Fabric::ramp_moved(CeQueues& q, Cycle t) const {
    ++q.wavelets_sent;
    q.pace += arch_.ramp_pace_num - arch_.ramp_pace_den;
    q.next_move = t + 1;
    if (q.pace >= arch_.ramp_pace_den) {
        q.pace -= arch_.ramp_pace_den;
        q.next_move = t + 2;
    }
}

// The state of what enters from the compute element on a color: swapped if its route swaps in both dimensions.
ColorState* Fabric::ramp_target(uint32_t pe, int color_number) {
    ColorState* cs = color(pe, color_number);
    if (cs && cs->has_route && cs->swap_x && cs->swap_y) cs = color(pe, color_number ^ 1);
    return cs && cs->has_route ? cs : nullptr;
}

void Fabric::step_ramp(uint32_t pe, CeQueues& q, Cycle t) {
    int best = -1;
    bool retry = false;
    ColorState* target = nullptr;
    bool wait_turn = false;
    for (uint32_t rest = q.oq_nonempty; rest; rest &= rest - 1) {
        const int i = std::countr_zero(rest);
        const OutputQueue& oq = q.oq[static_cast<size_t>(i)];
        if (!oq.ring.visible(t)) continue;
        if (t < q.next_move) {
            wait_turn = true;
            continue;
        }
        ColorState* cs = ramp_target(pe, oq.ring.front().color);
        if (!cs) {
            fail(pe, oq.ring.front().color, t,
                 "a wavelet leaves the compute element on a color that has no route here");
            continue;
        }
        RouterFifo& fifo = ensure_fifo(*cs, kPortRamp);
        if (!fifo.has_space(t, arch_.ramp_out, arch_.ramp_buffer)) {
            if (fifo.unknown_pops(t, arch_.ramp_out))
                retry = true;
            else
                fifo.waiting = 1;
            continue;
        }
        if (best >= 0 && q.oq[static_cast<size_t>(best)].last_move <= oq.last_move) {
            wait_turn = true;
            continue;
        }
        if (best >= 0) wait_turn = true;
        best = i;
        target = cs;
    }
    if (q.host_words) {
        const Cycle best_move = best < 0 ? kForever : q.oq[static_cast<size_t>(best)].last_move;
        if (HostQueue* queue = host_ramp_turn(pe, q, t, best_move, retry, wait_turn)) {
            if (best >= 0) wait_turn = true;
            best = -1;
            enter(ensure_fifo(*ramp_target(pe, queue->color), kPortRamp), take_fed(*queue, t), t, arch_.ramp_buffer);
            routers_.wake(pe, t + arch_.ramp_out);
            ramp_moved(q, t);
            wait_turn = true;
        }
    }
    if (best >= 0) {
        OutputQueue& oq = q.oq[static_cast<size_t>(best)];
        Wavelet w = oq.ring.pop();
        oq.last_move = t;
        last_activity = std::max(last_activity, t);
        if (kTraceable && q.traced) [[unlikely]]
            trace(Happening::kSend, pe, w.color, w.payload, t);
        w.ready = t + arch_.ramp_out;
        RouterFifo& into = ensure_fifo(*target, kPortRamp);
        into.push(w.payload, w.flags, t, arch_.ramp_buffer);
        if (into.count() == 1) arrived(into);
        routers_.wake(pe, w.ready);
        ramp_moved(q, t);
        if (oq.pe_waits || oq.flush_pending) {
            oq.pe_waits = false;
            ces_.wake(pe, t);
        }
        if (oq.ring.empty())
            q.oq_nonempty &= static_cast<uint8_t>(~(1 << best));
        else
            wait_turn = true;
    }
    if (retry) routers_.wake(pe, t + 1);
    if (wait_turn) routers_.wake(pe, std::max(t + 1, q.next_move));
}

void Fabric::push_oq(uint32_t pe, CeQueues& q, int queue, Wavelet w, Cycle t) {
    OutputQueue& oq = q.oq[static_cast<size_t>(queue)];
    w.ready = t + arch_.fabric_write;
    oq.ring.push(w, arch_.oq_depth[queue]);
    oq.high_water = std::max<int16_t>(oq.high_water, static_cast<int16_t>(oq.ring.count()));
    q.oq_nonempty |= static_cast<uint8_t>(1 << queue);
    routers_.wake(pe, w.ready);
}

Wavelet Fabric::pop_iq(uint32_t pe, CeQueues& q, int queue, Cycle t) {
    InputQueue& iq = q.iq[static_cast<size_t>(queue)];
    const Wavelet w = iq.ring.pop();
    if (iq.waiting) {
        router_[pe].ready |= iq.waiting;
        iq.waiting = 0;
        routers_.wake(pe, t + 1);
    }
    return w;
}

}  // namespace wafersim
