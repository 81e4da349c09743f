// What a router holds: colors, their routes, switch positions and FIFOs, made on demand and changed at run time.
#include <utility>

#include "fabric/fabric.hpp"

namespace wafersim {

void Fabric::settle(ColorState& cs) {
    RouteState& route = *cs.route;
    for (const uint32_t number : cs.fifo) {
        if (!number) continue;
        RouterFifo& f = fifos_[number];
        for (size_t port = 0; port < 5; ++port)
            if (cs.out_now >> port & 1) route.wavelets[port] += f.grants;
        route.backpressure += f.backpressure;
        f.grants = f.backpressure = 0;
    }
    route.arbitration_losses += cs.losses;
    cs.losses = 0;
}

void Fabric::set_position(ColorState& cs, int to) {
    settle(cs);
    cs.position = static_cast<uint8_t>(to);
    cs.in_now = cs.route->in[cs.position];
    cs.out_now = cs.route->out[cs.position];
}

void Fabric::load(ColorState& cs, const RouteClass& r) {
    settle(cs);
    cs.out_now = 0;
    RouteState& route = *cs.route;
    route.in = r.in;
    route.out = r.out;
    cs.num_positions = static_cast<uint8_t>(r.num_positions);
    route.switch_word = -1;
    set_position(cs, r.initial);
    cs.has_route = true;
    cs.ring_mode = r.ring;
    cs.teardown = r.teardown;
    cs.swap_x = r.swap_x;
    cs.swap_y = r.swap_y;
    cs.pop_mode = r.pop_mode;
    cs.filter = route.filter_kind = r.filter;
    cs.sink = r.sink;
    route.limit1 = r.limit1;
    route.limit2 = r.limit2;
    route.max = r.max;
    route.min = r.min;
    route.counter = r.init;
    route.count_data = r.count_data;
    route.count_control = r.count_control;
}

Fabric::Fabric(const Program& program, const Arch& arch, Wheel& routers, Wheel& ces)
    : arch_(arch), routers_(routers), ces_(ces), width_(program.width), height_(program.height) {
    const size_t num_pes = static_cast<size_t>(width_) * static_cast<size_t>(height_);
    router_.resize(num_pes);
    states_.reserve(num_pes * kMaxColors);
    routes_.reserve(num_pes * kMaxColors);
    fifos_.reserve(num_pes * kMaxColors * kNumPorts + 1);
    fifos_.add();
    for (size_t pe = 0; pe < num_pes; ++pe)
        for (size_t k = 0; k < program.colors.size(); ++k) {
            const int32_t route = program.route_map[k * num_pes + pe];
            if (route >= 0)
                load(*ensure_color(static_cast<uint32_t>(pe), program.colors[k]),
                     program.routes[static_cast<size_t>(route)]);
        }
    for (size_t pe = 0; pe < num_pes; ++pe) {
        const int32_t tile = program.tile_map[pe];
        if (tile < 0) continue;
        router_[pe].queues = static_cast<int32_t>(ce_.size());
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
        q.bind_colors(arch_.num_iq);
    }
}

void CeQueues::bind_colors(int num_iq) {
    iq_of_color.fill(-1);
    for (int i = num_iq - 1; i >= 0; --i)
        if (const int color = iq[static_cast<size_t>(i)].color; color >= 0 && color < kMaxColors)
            iq_of_color[static_cast<size_t>(color)] = static_cast<int8_t>(i);
}

// A new color shifts the bits of those behind it; the part of the table it had is left unused unless it was the last.
ColorState* Fabric::ensure_color(uint32_t pe, int color_number) {
    if (ColorState* found = color(pe, color_number)) return found;
    ColorState* cs = &states_[states_.add()];
    cs->route = &routes_[routes_.add()];
    cs->color = static_cast<uint8_t>(color_number);
    cs->pe = pe;
    Router& router = router_[pe];
    const auto num = static_cast<uint32_t>(count_ones(router.colors));
    if (router.first + num != color_table_.size()) {
        const auto first = static_cast<uint32_t>(color_table_.size());
        for (uint32_t i = 0; i < num; ++i) color_table_.push_back(color_table_[router.first + i]);
        router.first = first;
    }
    const uint32_t mask = 1u << color_number;
    const auto before = static_cast<uint32_t>(count_ones(router.colors & (mask - 1)));
    color_table_.insert(color_table_.begin() + router.first + before, cs);
    router.colors |= mask;
    for (uint32_t i = 0; i <= num; ++i) color_table_[router.first + i]->bit = static_cast<uint8_t>(i);
    judge_all(pe);
    return cs;
}

RouterFifo& Fabric::ensure_fifo(ColorState& cs, int port) {
    uint32_t& number = cs.fifo[static_cast<size_t>(port)];
    if (!number) {
        number = fifos_.add();
        fifos_[number].owner = states_.number_of(cs);
        fifos_[number].port = static_cast<uint8_t>(port);
    }
    return fifos_[number];
}

// The PE and color that a wavelet gets to in direction d, the receiver's color swap applied; false: off the fabric.
bool Fabric::far_end(const ColorState& cs, int d, uint32_t& pe, int& color_number) const {
    const PeCoord at = coord(cs.pe);
    const int x = at.x + kDx[d], y = at.y + kDy[d];
    if (x < 0 || y < 0 || x >= width_ || y >= height_) return false;
    pe = static_cast<uint32_t>(y * width_ + x);
    const ColorState* same = color(pe, cs.color);
    const bool swap = same && same->has_route && (kDx[d] ? same->swap_x : same->swap_y);
    color_number = swap ? cs.color ^ 1 : cs.color;
    return true;
}

const ColorState* Fabric::neighbor(const ColorState& cs, int d) const {
    uint32_t other;
    int number;
    return far_end(cs, d, other, number) ? color(other, number) : nullptr;
}

// Number of the FIFO that a wavelet enters in direction d, made on demand; 0: off the fabric.
uint32_t Fabric::look_up(ColorState& cs, int d) {
    uint32_t other;
    int number;
    if (!far_end(cs, d, other, number)) return 0;
    ColorState& target = *ensure_color(other, number);
    ensure_fifo(target, opposite(d));
    return cs.next[static_cast<size_t>(d)] = target.fifo[static_cast<size_t>(opposite(d))];
}

void Fabric::set_route(uint32_t pe, int color_number, const RouteClass& route, Cycle t) {
    ColorState* cs = color(pe, color_number);
    if (!cs) {
        cs = ensure_color(pe, color_number);
        const PeCoord at = coord(pe);
        for (int d = 0; d < 4; ++d) {
            const int x = at.x + kDx[d], y = at.y + kDy[d];
            if (x < 0 || y < 0 || x >= width_ || y >= height_) continue;
            const auto neighbor = static_cast<uint32_t>(y * width_ + x);
            for (ColorState* other : colors(neighbor)) other->next[static_cast<size_t>(opposite(d))] = 0;
            route_changed(neighbor, t);
        }
    }
    apply_pending(*cs);
    const bool swap_x = cs->swap_x, swap_y = cs->swap_y, had = cs->has_route;
    load(*cs, route);
    if (had) cs->swap_x = swap_x, cs->swap_y = swap_y;
    route_changed(pe, t);
}

}  // namespace wafersim
