// A stream-fidelity prototype: executes a machine program with runs of words instead of words.
//
// Every stage (router FIFO, input queue, output queue) keeps the times at which its words pass as a list of linear
// segments: facts up to now, a prediction beyond. When something changes, the stage is served anew from now on, and the
// neighbors that the change can reach are woken one latency after the first word that differs. All latencies between
// objects are at least one cycle, so every time that has passed is exact, whatever was predicted.
#pragma once
#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "engine/wheel.hpp"
#include "local.hpp"
#include "seq.hpp"

namespace wafersim::stream {

struct Special {  // a control word, or a word behind which the local switch advances
    int64_t k;
    uint32_t payload;
    bool advance;
};

struct Fifo {
    Seq a, d;  // upstream's departures into it (arrival is one latency later), and its own departures
    int64_t blocked = INT64_MAX;  // first word that is here, or can come, and cannot leave
    std::vector<Special> specials;
};

struct Color {
    int32_t color = -1;
    const RouteClass* route = nullptr;
    int position = 0, iq = -1;
    bool teardown = false;
    Cycle changed = -1;  // last change of the route
    SwitchCommand pending = SwitchCommand::kNop;  // of a control wavelet granted in cycle `changed`; acts behind it
    void settle(Cycle now) {
        if (pending == SwitchCommand::kNop || changed >= now) return;
        if (pending == SwitchCommand::kTeardown) teardown = true;
        else if (pending == SwitchCommand::kReset) position = 0;
        else if (position + 1 < route->num_positions) ++position;
        else if (route->ring) position = 0;
        pending = SwitchCommand::kNop;
    }
    std::array<std::unique_ptr<Fifo>, 5> fifo;
};

struct InQueue {
    int32_t color = -1, priority = -1;
    bool initialised = false;
    Seq a, b;  // grants into it, pops
    int64_t cover = 0, blocked = INT64_MAX;
};

struct OutQueue {
    int32_t color = -1, priority = -1;
    bool initialised = false;
    Seq b;  // pushes
    Fifo* ramp = nullptr;
    int32_t ramp_color = -1;
    int64_t pushed = 0;  // words of all ops so far, announced or not
};

struct Thread {
    bool live = false, finished = false, synchronous = false, fabric = false;
    int in[2] = {-1, -1}, out = -1;
    int64_t in_base[2] = {}, base = 0, words = 0;
    Cycle next_beat = 0, last_issue = -1, start = -1;
    int32_t cost = 1, pace_num = 1, pace_den = 1, priority = 0;
    Settings set;
    int64_t low = 0, high = 0;  // memory destination
    bool memory_dst = false;
    int32_t ok_reg = -1;
    Seq own;  // beats of an op without a fabric operand
};

struct Completion {
    Cycle when;
    int thread, activate, unblock;
};

struct Pe {
    uint32_t id = 0;
    int32_t x = 0, y = 0;
    Main main;
    std::array<std::unique_ptr<InQueue>, 8> iq;
    std::array<std::unique_ptr<OutQueue>, 8> oq;
    std::array<std::unique_ptr<Thread>, 9> thread;  // 8: a synchronous op of the main thread
    uint32_t live = 0;                              // bit per thread
    std::vector<Completion> completions;
    std::vector<Cycle> last_pick;
    const Function* launch = nullptr;
    std::vector<uint64_t> launch_args;
    Cycle slot_free = 0, ahead = -1, predicted_main = kForever;
    const Block* pending = nullptr;  // a local block that has begun and is not yet committed
    Cycle pending_start = 0;
    bool dirty = false;
    int open = 0;
};

struct Figures {
    uint64_t router_events = 0, pe_events = 0, idle_pe_events = 0, words = 0, leaps = 0, deferred = 0, rolled_back = 0, main_steps = 0, max_segments = 0, late = 0;
};

class Engine {
  public:
    Engine(const Program& program, const Arch& arch, const std::vector<int32_t>& code_owner, const std::vector<std::array<int32_t, 3>>& host_written);
    void launch(int function, const std::vector<uint64_t>& args);
    bool run();  // false: stuck
    Cycle cycles() const;
    const std::vector<Pe>& pes() const { return pes_; }
    const ControlBytes& control(int tile) const { return control_[static_cast<size_t>(tile)]; }
    Local& local() { return local_; }
    Figures figures;
    int64_t open = 0;

  private:
    // router
    void router(uint32_t id, Cycle T);
    Color* color(uint32_t id, int c);
    Fifo* link(uint32_t id, int c, int port);
    // compute element
    void step(Pe& p, Cycle T);
    void sync(Pe& p, Cycle T);
    void finish(Pe& p, int t, Cycle last);
    bool pick(Pe& p, Cycle T);
    Cycle predict(Pe& p, Cycle T, Cycle main_from);
    bool execute(Pe& p, Cycle T);
    void start(Pe& p, const Instr& in, Cycle T);
    bool claimed(const Pe& p, const Instr& in);
    int microthread(const Pe& p, const Instr& in, const Settings& set);
    void wake_ce(Pe& p, Cycle t) { p.dirty = true; ces_.wake(p.id, t); }
    [[noreturn]] void refuse(uint32_t id, const std::string& what) const;

    const Program& program_;
    const Arch& arch_;
    Local local_;
    Wheel routers_, ces_;
    int32_t width_, height_;
    std::vector<ControlBytes> control_;
    std::vector<std::vector<std::unique_ptr<Color>>> colors_;
    std::vector<Pe> pes_;
    std::vector<int32_t> index_;
    Loop loop_;
};

}  // namespace wafersim::stream
