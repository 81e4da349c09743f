#include "fabric/fabric.hpp"

#include <algorithm>
#include <utility>

namespace wafersim {

uint32_t command_field(uint32_t payload) {
    return (payload >> 22 & 0xffu) | (payload & 0xffffu) << 8;
}

uint32_t with_command_field(uint32_t payload, uint32_t field) {
    return (payload & 0xc03f0000u) | (field & 0xffu) << 22 | (field >> 8 & 0xffffu);
}

void ColorState::load(const RouteClass& r) {
    settle();
    out_now = 0;
    in = r.in;
    out = r.out;
    num_positions = static_cast<uint8_t>(r.num_positions);
    switch_word = -1;
    set_position(r.initial);
    has_route = true;
    ring_mode = r.ring;
    teardown = r.teardown;
    swap_x = r.swap_x;
    swap_y = r.swap_y;
    pop_mode = r.pop_mode;
    filter = filter_kind = r.filter;
    sink = r.sink;
    limit1 = r.limit1;
    limit2 = r.limit2;
    max = r.max;
    min = r.min;
    counter = r.init;
    count_data = r.count_data;
    count_control = r.count_control;
}

bool ColorState::filter_passes(uint32_t payload, bool control) const {
    switch (filter) {
        case FilterKind::kNone:
            return true;
        case FilterKind::kRange: {
            const auto index = static_cast<int32_t>(payload >> 16);
            return control || (min <= index && index <= max);
        }
        default:
            return counter <= max;
    }
}

void ColorState::filter_count(bool control) {
    if (filter != FilterKind::kCounter && filter != FilterKind::kSparseCounter) return;
    if (!(control ? count_control : count_data)) return;
    if (counter == limit1) {
        counter = 0;
        if (filter == FilterKind::kSparseCounter && (max += limit2) > 65535) filter = FilterKind::kNone;
    } else {
        counter = (counter + 1) & 0xffff;
    }
}

Fabric::Fabric(const Program& program, const Arch& arch, Wheel& routers, Wheel& ces)
    : arch_(arch), routers_(routers), ces_(ces), width_(program.width), height_(program.height) {
    const size_t num_pes = static_cast<size_t>(width_) * static_cast<size_t>(height_);
    pe_colors_.resize(num_pes);
    ces_index_.assign(num_pes, -1);
    for (size_t pe = 0; pe < num_pes; ++pe)
        for (size_t k = 0; k < program.colors.size(); ++k) {
            const int32_t route = program.route_map[k * num_pes + pe];
            if (route >= 0)
                ensure_color(static_cast<uint32_t>(pe), program.colors[k])
                    ->load(program.routes[static_cast<size_t>(route)]);
        }
    for (ColorState& cs : states_) link(cs);
    for (size_t pe = 0; pe < num_pes; ++pe) {
        const int32_t tile = program.tile_map[pe];
        if (tile < 0) continue;
        ces_index_[pe] = static_cast<int32_t>(ce_.size());
        CeQueues& q = ce_.emplace_back();
        for (size_t i = 0; i < 8; ++i) {
            const auto& iq = program.tiles[static_cast<size_t>(tile)].iq[i];
            const auto& oq = program.tiles[static_cast<size_t>(tile)].oq[i];
            q.iq[i].color = static_cast<int16_t>(iq.color);
            q.iq[i].priority = static_cast<int16_t>(iq.priority);
            q.iq[i].initialised = iq.initialised;
            q.oq[i].color = static_cast<int16_t>(oq.color);
            q.oq[i].priority = static_cast<int16_t>(oq.priority);
            q.oq[i].initialised = oq.initialised;
        }
    }
}

ColorState* Fabric::color(uint32_t pe, int color) const {
    for (ColorState* cs : pe_colors_[pe])
        if (cs->color == color) return cs;
    return nullptr;
}

ColorState* Fabric::ensure_color(uint32_t pe, int color_number) {
    if (ColorState* found = color(pe, color_number)) return found;
    ColorState& cs = states_.emplace_back();
    cs.color = static_cast<uint8_t>(color_number);
    cs.pe = pe;
    auto& list = pe_colors_[pe];
    list.insert(std::upper_bound(list.begin(), list.end(), &cs,
                                 [](const ColorState* a, const ColorState* b) { return a->color < b->color; }),
                &cs);
    return &cs;
}

// The state at the far end of each link, with the receiver's color swap applied. Missing ones are made on demand.
void Fabric::link(ColorState& cs) {
    const PeCoord at = coord(cs.pe);
    for (int d = 0; d < 4; ++d) {
        const int x = at.x + kDx[d], y = at.y + kDy[d];
        cs.neighbor[static_cast<size_t>(d)] = nullptr;
        if (x < 0 || y < 0 || x >= width_ || y >= height_) continue;
        const auto other = static_cast<uint32_t>(y * width_ + x);
        const ColorState* same = color(other, cs.color);
        const bool swap = same && same->has_route && (kDx[d] ? same->swap_x : same->swap_y);
        if (ColorState* target = color(other, swap ? cs.color ^ 1 : cs.color))
            cs.neighbor[static_cast<size_t>(d)] = target;
    }
}

void Fabric::set_route(uint32_t pe, int color_number, const RouteClass& route, Cycle t) {
    ColorState* cs = color(pe, color_number);
    if (!cs) {
        cs = ensure_color(pe, color_number);
        link(*cs);
        const PeCoord at = coord(pe);
        for (int d = 0; d < 4; ++d) {
            const int x = at.x + kDx[d], y = at.y + kDy[d];
            if (x < 0 || y < 0 || x >= width_ || y >= height_) continue;
            for (ColorState* other : pe_colors_[static_cast<size_t>(y * width_ + x)]) link(*other);
        }
    }
    apply_pending(*cs);
    const bool swap_x = cs->swap_x, swap_y = cs->swap_y, had = cs->has_route;
    cs->load(route);
    if (had) cs->swap_x = swap_x, cs->swap_y = swap_y;
    route_changed(pe, t);
}

void Fabric::fail(uint32_t pe, int color_number, Cycle t, std::string message) {
    if (fault &&
        (fault->cycle < t || (fault->cycle == t && (fault->pe.y < coord(pe).y ||
                                                    (fault->pe.y == coord(pe).y && fault->pe.x <= coord(pe).x)))))
        return;  // the first one in (cycle, row, column) order is reported, whatever the order of processing
    fault = RunFault{std::move(message), coord(pe), color_number, -1, t};
}

int Fabric::bound_queue(const CeQueues& q, int color_number) const {
    for (int i = 0; i < arch_.num_iq; ++i)
        if (q.iq[static_cast<size_t>(i)].color == color_number) return i;
    return -1;
}

// The RAMP among the outputs of a candidate: dropped, taken, or not possible now.
bool Fabric::ramp_takes(uint32_t pe, Candidate& c) {
    ColorState& cs = *c.color;
    const RouterFifo& fifo = cs.fifo[c.port];
    const bool control = fifo.flags() & kFlagControl;
    const bool ignored = control && (command_field(fifo.payload()) >> 2 & 1);
    if (ignored || !cs.filter_passes(fifo.payload(), control)) {
        c.ramp_dropped = true;
        c.outputs &= static_cast<uint8_t>(~(1 << kPortRamp));
        return true;
    }
    CeQueues* q = queues(pe);
    const int queue = q ? bound_queue(*q, cs.color) : -1;
    if (queue < 0) {
        c.unbound = true;
        return false;
    }
    InputQueue& iq = q->iq[static_cast<size_t>(queue)];
    if (iq.ring.count() < arch_.iq_capacity(queue)) return true;
    iq.router_waits = true;
    return false;
}

// Judges a candidate; fills in its outputs. `retry`: space will be known in the next cycles without another event.
bool Fabric::eligible(uint32_t pe, Candidate& c, Cycle t, bool& retry) {
    ColorState& cs = *c.color;
    c.outputs = cs.out_now;
    if (!c.outputs) return false;
    bool space = true;
    for (uint32_t rest = c.outputs & 15u; rest; rest &= rest - 1) {
        const int d = std::countr_zero(rest);
        ColorState* target = cs.neighbor[static_cast<size_t>(d)];
        if (!target) {
            const PeCoord at = coord(pe);
            const int x = at.x + kDx[d], y = at.y + kDy[d];
            if (x < 0 || y < 0 || x >= width_ || y >= height_) {
                fail(pe, cs.color, t, "a wavelet leaves the fabric");
                return false;
            }
            target = ensure_color(static_cast<uint32_t>(y * width_ + x), cs.color);
            link(*target);
            cs.neighbor[static_cast<size_t>(d)] = target;
        }
        RouterFifo& fifo = target->fifo[static_cast<size_t>(opposite(d))];
        if (fifo.has_space(t, arch_.hop, arch_.link_buffer)) continue;
        space = false;
        if (fifo.unknown_pops(t, arch_.hop))
            retry = true;
        else
            fifo.upstream_waits = true;
    }
    if ((c.outputs >> kPortRamp & 1) && !ramp_takes(pe, c)) {
        if (c.unbound) return false;
        space = false;
    }
    if (!space) cs.fifo[c.port].head_blocked = true;
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
    if (pending.command == SwitchCommand::kReset)
        cs.set_position(0);
    else if (pending.command == SwitchCommand::kTeardown)
        teardown(cs);
    else if (cs.position + 1 < cs.num_positions)
        cs.set_position(cs.position + 1);
    else if (cs.ring_mode)
        cs.set_position(0);
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
    RouterFifo& fifo = cs.fifo[c.port];
    const uint32_t payload = fifo.payload();
    const uint8_t flags = fifo.flags();
    const bool control = flags & kFlagControl;
    fifo.pop(t);
    if (fifo.head_blocked) {
        fifo.head_blocked = false;
        ++cs.backpressure;
    }
    if (!fifo.count())
        cs.nonempty &= static_cast<uint8_t>(~(1 << c.port));
    else if (fifo.visible(t + 1, c.port == kPortRamp ? arch_.ramp_out : arch_.hop))
        routers_.wake(pe, t + 1);
    if (c.port == kPortRamp) {
        if (fifo.upstream_waits) {
            fifo.upstream_waits = false;
            routers_.wake(pe, t + arch_.ramp_out);
        }
    } else if (fifo.upstream_waits) {
        fifo.upstream_waits = false;
        const int up = static_cast<int>(pe) + kDy[c.port] * width_ + kDx[c.port];
        routers_.wake(static_cast<uint32_t>(up), t + arch_.hop);
    }
    if (cs.filter != FilterKind::kNone && ((c.outputs >> kPortRamp & 1) || c.ramp_dropped) &&
        !(c.ramp_dropped && control && (command_field(payload) >> 2 & 1)))
        cs.filter_count(control);

    if (c.ramp_dropped) --cs.wavelets[kPortRamp];
    uint32_t forwarded = payload;
    if (control) {
        const auto command = static_cast<SwitchCommand>(command_field(payload) & 3);
        const bool pops = cs.pop_mode == PopMode::kAlways ||
                          (cs.pop_mode != PopMode::kNever && command == SwitchCommand::kAdvance) ||
                          (cs.pop_mode == PopMode::kOnAdvanceOrNop && command == SwitchCommand::kNop);
        if (pops) forwarded = with_command_field(payload, command_field(payload) >> 3);
    }
    for (uint32_t rest = c.outputs; rest; rest &= rest - 1) {
        const int d = std::countr_zero(rest);
        if (d == kPortRamp) {
            CeQueues& q = *queues(pe);
            const int queue = bound_queue(q, cs.color);
            InputQueue& iq = q.iq[static_cast<size_t>(queue)];
            iq.ring.push({t + arch_.ramp_in, payload, cs.color, static_cast<uint8_t>(flags & kFlagControl)},
                         arch_.iq_capacity(queue));
            iq.high_water = std::max<int16_t>(iq.high_water, static_cast<int16_t>(iq.ring.count()));
            ++q.wavelets_received;
            ces_.wake(pe, t + arch_.ramp_in);
        } else {
            ColorState& target = *cs.neighbor[static_cast<size_t>(d)];
            const int port = opposite(d);
            target.fifo[static_cast<size_t>(port)].push(forwarded, flags & kFlagControl, t, arch_.link_buffer);
            target.nonempty |= static_cast<uint8_t>(1 << port);
            routers_.wake(static_cast<uint32_t>(static_cast<int>(pe) + kDy[d] * width_ + kDx[d]), t + arch_.hop);
        }
    }
    if (control) control_action(cs, static_cast<SwitchCommand>(command_field(payload) & 3), t);
    if (flags & kFlagAdvance) control_action(cs, SwitchCommand::kAdvance, t);
}

void Fabric::step(uint32_t pe, Cycle t) {
    ++events;
    Candidate candidates[kMaxColors * kNumPorts];
    int n = 0;
    bool retry = false;
    for (ColorState* cs : pe_colors_[pe]) {
        for (uint32_t rest = cs->nonempty; rest; rest &= rest - 1) {
            const int port = std::countr_zero(rest);
            const RouterFifo& fifo = cs->fifo[static_cast<size_t>(port)];
            if (!fifo.visible(t, port == kPortRamp ? arch_.ramp_out : arch_.hop)) continue;
            if (!cs->has_route) {
                fail(pe, cs->color, t, "a wavelet meets no route");
                continue;
            }
            if (cs->teardown || !(cs->in_now >> port & 1)) continue;
            Candidate c{fifo.last_grant(), cs, static_cast<uint8_t>(port), 0, false, false};
            if (!eligible(pe, c, t, retry)) continue;
            int i = n++;
            for (; i > 0 && candidates[i - 1].last_grant > c.last_grant; --i) candidates[i] = candidates[i - 1];
            candidates[i] = c;
        }
    }
    if (retry) routers_.wake(pe, t + 1);
    uint32_t taken = 0;
    // Every judgement above used the state at the start of the phase; grants change it from here on.
    for (int i = 0; i < n; ++i) {
        if (candidates[i].outputs & taken) {
            routers_.wake(pe, t + 1);
            ++candidates[i].color->arbitration_losses;
            continue;
        }
        taken |= candidates[i].outputs;
        grant(pe, candidates[i], t);
    }
    if (n) last_activity = t;
    if (ces_index_[pe] >= 0) {
        CeQueues& q = ce_[static_cast<size_t>(ces_index_[pe])];
        if (q.oq_nonempty) step_ramp(pe, q, t);
    }
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
        ColorState* cs = color(pe, oq.ring.front().color);
        if (!cs || !cs->has_route) {
            fail(pe, oq.ring.front().color, t,
                 "a wavelet leaves the compute element on a color that has no route here");
            continue;
        }
        if (t < q.next_move) {
            wait_turn = true;
            continue;
        }
        RouterFifo& fifo = cs->fifo[kPortRamp];
        if (!fifo.has_space(t, arch_.ramp_out, arch_.ramp_buffer)) {
            if (fifo.unknown_pops(t, arch_.ramp_out))
                retry = true;
            else
                fifo.upstream_waits = true;
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
    if (best >= 0) {
        OutputQueue& oq = q.oq[static_cast<size_t>(best)];
        Wavelet w = oq.ring.pop();
        oq.last_move = t;
        last_activity = t;
        ++q.wavelets_sent;
        w.ready = t + arch_.ramp_out;
        target->fifo[kPortRamp].push(w.payload, w.flags, t, arch_.ramp_buffer);
        target->nonempty |= 1 << kPortRamp;
        routers_.wake(pe, w.ready);
        q.pace += arch_.ramp_pace_num - arch_.ramp_pace_den;
        q.next_move = t + 1;
        if (q.pace >= arch_.ramp_pace_den) {
            q.pace -= arch_.ramp_pace_den;
            q.next_move = t + 2;
        }
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
    if (iq.router_waits) {
        iq.router_waits = false;
        routers_.wake(pe, t + 1);
    }
    return w;
}

}  // namespace wafersim
