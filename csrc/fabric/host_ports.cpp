#include "fabric/host_ports.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "fabric/fabric.hpp"

namespace wafersim {

bool Fabric::is_outer(uint32_t pe, int port) const {
    if (port == kPortRamp) return false;
    const PeCoord at = coord(pe);
    const int x = at.x + kDx[port], y = at.y + kDy[port];
    return x < 0 || y < 0 || x >= width_ || y >= height_;
}

HostQueue& Fabric::host_queue(uint32_t pe, int color_number, int port) {
    if (!host_) {
        host_ = std::make_unique<HostPorts>();
        host_->index.assign(router_.size(), -1);
    }
    int32_t& index = host_->index[pe];
    if (index < 0) {
        index = static_cast<int32_t>(host_->queues.size());
        host_->queues.emplace_back();
    }
    auto& list = host_->queues[static_cast<size_t>(index)];
    const auto key = [](const HostQueue& q) { return std::make_pair(q.color, q.port); };
    const auto wanted = std::make_pair(color_number, port);
    auto place = std::find_if(list.begin(), list.end(), [&](const HostQueue& q) { return key(q) >= wanted; });
    if (place == list.end() || key(*place) != wanted) {
        place = list.emplace(place);
        place->color = color_number;
        place->port = port;
    }
    return *place;
}

const std::vector<HostQueue>* Fabric::host_queues(uint32_t pe) const {
    if (!host_ || host_->index[pe] < 0) return nullptr;
    return &host_->queues[static_cast<size_t>(host_->index[pe])];
}

void Fabric::feed(uint32_t pe, int color_number, int port, std::span<const HostWavelet> words, Cycle t) {
    HostQueue& queue = host_queue(pe, color_number, port);
    queue.words.insert(queue.words.end(), words.begin(), words.end());
    queue.fed += static_cast<int64_t>(words.size());
    if (port == kPortRamp && !queue.words.empty()) queues(pe)->host_words = true;
    routers_.wake(pe, t);
}

// The state that a wavelet of this color reaches by this port, with the receiver's color swap applied.
ColorState& Fabric::host_target(uint32_t pe, int color_number, int port) {
    const ColorState* same = color(pe, color_number);
    const bool swap = same && same->has_route &&
                      (port == kPortRamp ? same->swap_x && same->swap_y
                       : kDx[port]       ? same->swap_x
                                         : same->swap_y);
    const int number = swap ? color_number ^ 1 : color_number;
    if (ColorState* found = color(pe, number)) return *found;
    return *ensure_color(pe, number);
}

// The queue of this port that may move a wavelet in cycle t; false in `retry`: space will not be known by itself.
HostQueue* Fabric::host_turn(uint32_t pe, int port, Cycle t, int latency, int capacity, bool& retry) {
    HostQueue* best = nullptr;
    for (HostQueue& queue : host_->queues[static_cast<size_t>(host_->index[pe])]) {
        if (queue.port != port || queue.words.empty()) continue;
        RouterFifo& fifo = ensure_fifo(host_target(pe, queue.color, port), port);
        if (fifo.has_space(t, latency, capacity)) {
            if (!best || queue.last_move < best->last_move) best = &queue;
        } else if (fifo.unknown_pops(t, latency)) {
            retry = true;
        } else if (port == kPortRamp) {
            fifo.waiting = 1;
        }  // a port at the edge looks again at the next grant of its own router
    }
    return best;
}

// The host's queue that moves over the ramp in cycle t, if it goes before an output queue that moved last in
// `best_move`.
HostQueue* Fabric::host_ramp_turn(uint32_t pe, CeQueues& q, Cycle t, Cycle best_move, bool& retry, bool& wait_turn) {
    q.host_words = false;
    for (const HostQueue& queue : host_->queues[static_cast<size_t>(host_->index[pe])]) {
        if (queue.port != kPortRamp || queue.words.empty()) continue;
        q.host_words = true;
        if (t < q.next_move) continue;
        if (ramp_target(pe, queue.color)) continue;
        fail(pe, queue.color, t, "the host feeds the RAMP on a color that has no route here");
        return nullptr;
    }
    if (!q.host_words) return nullptr;
    if (t < q.next_move) {
        wait_turn = true;
        return nullptr;
    }
    HostQueue* queue = host_turn(pe, kPortRamp, t, arch_.ramp_out, arch_.ramp_buffer, retry);
    if (!queue) return nullptr;
    if (queue->last_move < best_move) return queue;
    wait_turn = true;
    return nullptr;
}

HostWavelet Fabric::take_fed(HostQueue& queue, Cycle t) {
    const HostWavelet w = queue.words.front();
    queue.words.pop_front();
    queue.last_move = t;
    last_activity = std::max(last_activity, t);
    return w;
}

void Fabric::enter(RouterFifo& into, const HostWavelet& word, Cycle t, int capacity) {
    into.push(word.payload, word.control ? kFlagControl : 0, t, capacity);
    if (into.count() == 1) arrived(into);
}

// Phase R of the host links at this PE: one wavelet a cycle and port.
void Fabric::step_host(uint32_t pe, Cycle t) {
    if (host_->index[pe] < 0) return;
    bool again = false;
    for (int port = 0; port < kPortRamp; ++port) {
        if (!is_outer(pe, port)) continue;
        HostQueue* queue = host_turn(pe, port, t, arch_.hop, arch_.link_buffer, again);
        if (!queue) continue;
        enter(ensure_fifo(host_target(pe, queue->color, port), port), take_fed(*queue, t), t, arch_.link_buffer);
        routers_.wake(pe, t + arch_.hop);
        again = true;  // another word, or another color
    }
    if (again) routers_.wake(pe, t + 1);
}

// --- towards the host -----------------------------------------------------------------------------------------

void Fabric::collect(ColorState& cs, uint32_t ports, uint32_t payload, uint32_t forwarded, bool control, Cycle t) {
    auto& collected = cs.route->collected;
    if (!collected) collected = std::make_unique<CollectedPorts>();
    for (; ports; ports &= ports - 1) {
        const int port = std::countr_zero(ports);
        Collected& to = (*collected)[static_cast<size_t>(port)];
        const Cycle when = t + (port == kPortRamp ? arch_.ramp_in : arch_.hop);
        to.words.push_back({when, port == kPortRamp ? payload : forwarded, control});
        last_activity = std::max(last_activity, when);
        if (to.watched == 0) continue;
        --to.watched;
        watch_until_ = std::max(watch_until_, when);
        --watch_missing_;
    }
}

Collected* Fabric::collected(uint32_t pe, int color_number, int port) const {
    const ColorState* cs = color(pe, color_number);
    return cs && cs->route->collected ? &(*cs->route->collected)[static_cast<size_t>(port)] : nullptr;
}

void Fabric::watch(uint32_t pe, int color_number, int port, int64_t count, Cycle t) {
    auto& ports = ensure_color(pe, color_number)->route->collected;
    if (!ports) ports = std::make_unique<CollectedPorts>();
    Collected& from = (*ports)[static_cast<size_t>(port)];
    watching_ = true;
    watch_until_ = std::max(watch_until_, t);
    const auto have = static_cast<int64_t>(from.words.size());
    if (have > 0 && count > 0)
        watch_until_ = std::max(watch_until_, from.words[static_cast<size_t>(std::min(have, count) - 1)].cycle);
    from.watched = std::max<int64_t>(count - have, 0);
    watch_missing_ += from.watched;
}

void Fabric::end_watch() {
    if (!watching_) return;
    for (uint32_t i = 0; i < routes_.size(); ++i)
        if (const auto& ports = routes_[i].collected)
            for (Collected& one : *ports) one.watched = 0;
    watching_ = false;
    watch_missing_ = 0;
    watch_until_ = -1;
}

}  // namespace wafersim
