// The fabric: one router per PE with its colors, links to four neighbors and the ramp to the compute element.
// Stands for phases R and Q of docs/semantics.md. Called by wafer/ once for every PE that the router wheel names;
// wakes routers and compute elements through the two wheels. Simplified: every color of a PE has its own FIFO per
// input port; color swap is fixed when a route is made.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "arch/arch.hpp"
#include "base/arena.hpp"
#include "base/types.hpp"
#include "engine/wheel.hpp"
#include "fabric/host_ports.hpp"
#include "fabric/queues.hpp"
#include "program/program.hpp"
#include "record/timeline.hpp"

namespace wafersim {

// The part of a live route that is looked at when something about it changes.
struct RouteState {
    std::array<int64_t, 5> wavelets{};  // granted, by output port, up to the last settle()
    int64_t arbitration_losses = 0, backpressure = 0;
    std::array<uint8_t, 4> in{}, out{};
    int32_t switch_word = -1;  // positions 1 to 3 as a configuration word; -1: no such word was touched since load()
    int32_t limit1 = 0, limit2 = 0, max = 0, min = 0, counter = 0;
    bool count_data = false, count_control = false;
    FilterKind filter_kind = FilterKind::kNone;  // what `filter` is when it is on
    std::unique_ptr<CollectedPorts> collected;   // by a sink, not yet read by the host
};

// Live route of one color at one PE: one cache line, what a grant reads and writes.
struct alignas(64) ColorState {
    RouteState* route = nullptr;
    std::array<uint32_t, 4> next{};  // number of the FIFO at the far end, by direction; 0: not looked up yet
    std::array<uint32_t, 5> fifo{};  // own ones, by input port; 0: nothing came that way yet
    uint32_t pe = 0;
    uint16_t losses = 0;              // arbitration losses since the last settle()
    uint8_t in_now = 0, out_now = 0;  // masks of the current position
    uint8_t nonempty = 0;             // ports whose FIFO holds something
    uint8_t bit = 0;                  // of this color in its router's masks
    uint8_t sink = 0;                 // output ports that lead to the host
    uint8_t color = 0, position = 0, num_positions = 1;
    FilterKind filter : 8 = FilterKind::kNone;
    PopMode pop_mode : 8 = PopMode::kNever;
    bool has_route : 1 = false, teardown : 1 = false, ring_mode : 1 = false, swap_x : 1 = false, swap_y : 1 = false;

    bool filter_passes(uint32_t payload, bool control) const;
    void filter_count(bool control);
};
static_assert(sizeof(ColorState) == 64);

// The queues of one compute element, and the ramp between it and its router.
struct CeQueues {
    std::array<InputQueue, 8> iq;
    std::array<OutputQueue, 8> oq;
    Cycle next_move = 0;                           // ramp pacing
    int64_t pace = 0;                              // accumulator of section 2.2
    std::array<int8_t, kMaxColors> iq_of_color{};  // lowest input queue bound to it, -1 none
    uint8_t oq_nonempty = 0;
    bool flush_watch = false, host_words = false;  // host_words: the host feeds the RAMP
    uint32_t teardown_pending = 0;                 // colors torn down since the last TEARDOWN_PENDING
    bool traced = false;                           // a timeline wants what crosses the ramp
    int64_t wavelets_sent = 0, wavelets_received = 0;
    void bind_colors(int num_iq);  // after a queue got another color
};

// What a visit of a router looks at first. Bit k stands for the k-th color of the PE.
struct Router {
    // Colors to be judged. The others hold no wavelet, or none of theirs can move before something wakes them: a pop
    // where they lack space, a new wavelet, a change of the route.
    uint32_t ready = 0;
    uint32_t colors = 0;  // by color number: which ones the PE has
    uint32_t first = 0;   // place of the first one in Fabric::color_table_
    int32_t queues = -1;  // of the compute element, -1 none
};

class Fabric {
  public:
    Fabric(const Program& program, const Arch& arch, Wheel& routers, Wheel& ces);

    // Phases R and Q of one PE in cycle t. False: a fault was recorded.
    void step(uint32_t pe, Cycle t);

    // Brings the lines that step() reads first into the cache.
    void prefetch(uint32_t pe, bool again) const {
        const Router& router = router_[pe];
        ColorState* const* table = color_table_.data() + router.first;
        for (uint32_t rest = router.ready; rest; rest &= rest - 1) {
            const ColorState* cs = table[std::countr_zero(rest)];
            if (!again)
                __builtin_prefetch(cs);
            else
                prefetch_fifos(*cs);
        }
    }
    CeQueues* queues(uint32_t pe) {
        const int32_t index = router_[pe].queues;
        return index < 0 ? nullptr : &ce_[static_cast<size_t>(index)];
    }
    ColorState* color(uint32_t pe, int color) const {
        if (color < 0 || color >= kMaxColors) return nullptr;
        const Router& router = router_[pe];
        const uint32_t bit = 1u << color;
        if (!(router.colors & bit)) return nullptr;
        return color_table_[router.first + static_cast<uint32_t>(count_ones(router.colors & (bit - 1)))];
    }
    ColorState* ensure_color(uint32_t pe, int color);
    // The colors of a PE, ascending.
    std::span<ColorState* const> colors(uint32_t pe) const {
        const Router& router = router_[pe];
        return {color_table_.data() + router.first, static_cast<size_t>(count_ones(router.colors))};
    }
    template <typename Visit>
    void each_state(Visit&& visit) const {  // of all PEs
        for (uint32_t pe = 0; pe < router_.size(); ++pe)
            for (ColorState* cs : colors(pe)) visit(*cs);
    }
    const RouterFifo& fifo(const ColorState& cs, int port) const { return fifos_[cs.fifo[static_cast<size_t>(port)]]; }
    // Where a wavelet of this color goes that leaves in direction d; nullptr: off the fabric, or no such color there.
    const ColorState* neighbor(const ColorState& cs, int d) const;
    // Books the grants made under the current masks; before these change, and before counts are read.
    void settle(ColorState& cs);
    void set_position(ColorState& cs, int to);
    // Switch commands of this cycle act at its end, before what the CE writes in it (section 2.1).
    void apply_pending();
    void apply_pending(const ColorState& cs);
    void set_route(uint32_t pe, int color, const RouteClass& route, Cycle t);
    void route_changed(uint32_t pe, Cycle t) {
        judge_all(pe);
        routers_.wake(pe, t + 1);
    }

    // Called by the compute element.
    bool oq_has_space(const CeQueues& q, int queue) const {
        return q.oq[static_cast<size_t>(queue)].ring.count() < arch_.oq_depth[queue];
    }
    void push_oq(uint32_t pe, CeQueues& q, int queue, Wavelet w, Cycle t);
    Wavelet pop_iq(uint32_t pe, CeQueues& q, int queue, Cycle t);

    // Host ports, host_ports.cpp. A port is one at the fabric's edge, or the RAMP of a PE with a tile.
    bool is_outer(uint32_t pe, int port) const;
    HostQueue& host_queue(uint32_t pe, int color, int port);  // made on demand
    const std::vector<HostQueue>* host_queues(uint32_t pe) const;
    void feed(uint32_t pe, int color, int port, std::span<const HostWavelet> words, Cycle t);
    Collected* collected(uint32_t pe, int color, int port) const;  // nullptr: nothing so far
    // The run may stop when `count` wavelets of every watched port have arrived: watched_until(), -1 not yet.
    void watch(uint32_t pe, int color, int port, int64_t count, Cycle t);
    void end_watch();
    bool watching() const { return watching_; }
    Cycle watched_until() const { return watching_ && watch_missing_ == 0 ? watch_until_ : -1; }

    PeCoord coord(uint32_t pe) const {
        return {static_cast<int32_t>(pe % static_cast<uint32_t>(width_)),
                static_cast<int32_t>(pe / static_cast<uint32_t>(width_))};
    }
    Cycle last_activity = -1;
    Timeline* timeline = nullptr;
    Timeline* link_timeline = nullptr;  // nullptr: no link is watched
    std::vector<bool> link_traced;      // by PE: whether what leaves its router is wanted
    std::optional<RunFault> fault;
    std::vector<std::pair<uint32_t, int>> teardowns;  // (pe, color) torn down this cycle; the CE's task 29 is due
    uint64_t events = 0;

  private:
    struct Candidate {
        Cycle last_grant;
        ColorState* color;
        RouterFifo* fifo;
        uint8_t port, outputs;
        bool ramp_dropped, unbound;
    };
    bool eligible(uint32_t pe, Candidate& c, Cycle t, Cycle& retry);
    bool ramp_takes(uint32_t pe, Candidate& c);
    void grant(uint32_t pe, const Candidate& c, Cycle t);
    struct Pending {
        ColorState* color;  // nullptr: done
        SwitchCommand command;
    };
    void control_action(ColorState& cs, SwitchCommand command, Cycle t);
    void act(const Pending& pending);
    void teardown(ColorState& cs);
    void step_ramp(uint32_t pe, CeQueues& q, Cycle t);
    ColorState* ramp_target(uint32_t pe, int color);
    void judge(const ColorState& cs) { router_[cs.pe].ready |= 1u << cs.bit; }
    void arrived(const RouterFifo& fifo) {  // its first wavelet
        ColorState& cs = states_[fifo.owner];
        cs.nonempty |= static_cast<uint8_t>(1u << fifo.port);
        judge(cs);
    }
    void judge_all(uint32_t pe) {
        Router& router = router_[pe];
        router.ready = (1u << count_ones(router.colors)) - 1;
    }
    void load(ColorState& cs, const RouteClass& r);
    void prefetch_fifos(const ColorState& cs) const {
        if (cs.nonempty) __builtin_prefetch(&fifos_[cs.fifo[static_cast<size_t>(std::countr_zero(cs.nonempty))]]);
        if (cs.out_now & 15u)
            __builtin_prefetch(&fifos_[cs.next[static_cast<size_t>(std::countr_zero(cs.out_now & 15u))]]);
    }
    RouterFifo& ensure_fifo(ColorState& cs, int port);
    bool far_end(const ColorState& cs, int d, uint32_t& pe, int& color) const;
    uint32_t look_up(ColorState& cs, int d);
    void ramp_moved(CeQueues& q, Cycle t) const;
    HostQueue* host_ramp_turn(uint32_t pe, CeQueues& q, Cycle t, Cycle best_move, bool& retry, bool& wait_turn);
    ColorState& host_target(uint32_t pe, int color, int port);
    HostQueue* host_turn(uint32_t pe, int port, Cycle t, int latency, int capacity, bool& retry);
    HostWavelet take_fed(HostQueue& queue, Cycle t);
    void step_host(uint32_t pe, Cycle t);
    void collect(ColorState& cs, uint32_t ports, uint32_t payload, uint32_t forwarded, bool control, Cycle t);
    void enter(RouterFifo& into, const HostWavelet& word, Cycle t, int capacity);
    [[gnu::cold, gnu::noinline]] void trace_link(uint32_t pe, int port, int color, uint32_t payload, Cycle t) const;
    [[gnu::cold, gnu::noinline]] void trace(Happening kind, uint32_t pe, int color, uint32_t payload, Cycle t) const;
    void fail(uint32_t pe, int color, Cycle t, std::string message);

    const Arch& arch_;
    Wheel& routers_;
    Wheel& ces_;
    int32_t width_, height_;
    Arena<ColorState> states_;  // in the order of PEs at first
    Arena<RouteState> routes_;
    Arena<RouterFifo> fifos_;               // number 0 stays empty
    std::vector<ColorState*> color_table_;  // by PE, ascending color; see Router
    std::vector<Router> router_;            // by PE
    std::deque<CeQueues> ce_;
    std::vector<Pending> pending_;
    std::unique_ptr<HostPorts> host_;  // nullptr: none
    bool watching_ = false;
    int64_t watch_missing_ = 0;
    Cycle watch_until_ = -1;
};

// Command field of a control wavelet's payload (section 2.1).
uint32_t command_field(uint32_t payload);
uint32_t with_command_field(uint32_t payload, uint32_t field);
// What a control wavelet says to the next router; `moves`: an ADVANCE would change the switch position here.
uint32_t popped_payload(uint32_t payload, PopMode mode, bool moves);

}  // namespace wafersim
