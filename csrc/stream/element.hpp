// The compute element of one PE: threads, ramp, tasks and main thread.
#pragma once
#include <array>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "stream/mains.hpp"
#include "stream/router.hpp"
#include "stream/script.hpp"
#include "stream/values.hpp"

namespace wafersim::stream {

struct Launch {
    int32_t function = 0;
    std::vector<uint64_t> args;
    bool operator==(const Launch&) const = default;
};

struct Print {
    Cycle cycle = 0;
    uint32_t pe = 0;
    int32_t text = 0;
    std::array<uint64_t, 3> values{};
    std::array<int32_t, 3> regs{};  // -1: no value
};

// Cycles for which a time that has passed can still hold somebody up.
Cycle keep_of(const Arch& arch);
// Brings a thread to the start of cycle T: facts only. How many beats it has done.
int64_t settle_thread(Node& n, Thread& th, Cycle T);

class Element {
  public:
    Element(const Program& program, const Arch& arch, Local& local, Mains& mains, Router& router, Loop& loop,
            Arena& arena)
        : program_(program), arch_(arch), local_(local), mains_(mains), router_(router), loop_(loop), arena_(arena) {}
    // `cells`: the PE's values. Returns how many launches ended.
    int step(Node& n, Cycle T, uint8_t* cells);
    void feed(Node& n, int color, const HostWords& words, const RunRef& run, Cycle T);
    std::vector<Launch> launches;
    mutable Script script;  // of the values that a visit reads and writes, while it is on
    std::vector<Print> prints;
    uint32_t pe = 0;           // that `step` is about
    uint64_t seed = 0;         // of random numbers
    Values* values = nullptr;  // of array data, if they are on

  private:
    enum class Next { kAgain, kStop };
    void sync(Node& n, Cycle T);
    void complete(Node& n, Cycle T);
    void finish(Node& n, int t, Cycle last, bool stopped = false);
    // fifo.cpp
    FifoStage& fifo(Node& n, int number);
    void check_endless(const Node& n, const Instr& in, Thread& th) const;
    static bool goes_round(const Node& n, const Thread& th);
    void claim_fifos(Node& n, const Instr& in, Thread& th);
    void set_fifo_costs(Node& n, Thread& th, const Instr& in, const Local::Shape& shape, int64_t length);
    static void add_fifos(Node& n, const Thread& th, Server& s);
    void forget_fifos(Node& n, const Thread& th, Cycle T);
    void begin_fifos(Node& n);
    void end_fifos(Node& n, Cycle T);
    static void wake_for_fifos(Node& n, Cycle T);
    static void settle_fifos(Node& n, Cycle T);
    static void look_at_fifos(Node& n, int thread, Cycle T);
    void set_fifo(Node& n, const Instr& in, Cycle T);
    void empty_fifo(Node& n, int number, Cycle T);
    void stop(Node& n, Thread& th, Cycle at);
    // tasks.cpp
    bool pick(Node& n, Cycle T);
    void pick_launch(Node& n, Cycle T);
    void begin(Node& n, Cycle T, int32_t entry, const Task* fed, bool known);
    uint32_t take_head(Node& n, int number, Cycle T);
    Cycle head(const Node& n, int number, int& task) const;
    Cycle next_pick(const Node& n) const;
    bool before(const Node& n, int a, int b) const;
    int best_task(const Node& n, Cycle T, int& queue) const;
    Next advance(Node& n, Cycle T);
    Next advance_local(Node& n, Cycle T, Cycle from, bool alone);
    const Stretch& find(const Node& n, Cycle floor, Cycle limit, bool scalar_only);
    void enter(Node& n, const Stretch& s, Cycle floor);
    void check_map(const Node& n, const Instr& in) const;
    void reveal(Node& n);
    void wake_ahead(Node& n);
    bool plan(Node& n, Cycle at);
    bool plan_receive(Node& n, const Instr& in, Cycle at);
    void drop_pending(Node& n, Cycle T);
    Cycle predict(Node& n, Cycle T, Cycle main_from);
    void renew(Node& n, Cycle T);
    static bool idle(const Node& n, Cycle T);
    Cycle issue(Node& n, Cycle T, Cycle from);
    void forget(Node& n, Cycle T);
    Cycle take_back(Seq& s, int ramp_queue, int in_queue, Cycle T);
    // mixed.cpp
    bool mix_for(Node& n, OutQueue& q, int color, LinkFifo& ramp, int64_t words, Cycle T);
    void mix(OutQueue& q, Cycle T);
    void forget_mixed(Mixed& m, Cycle T);
    void next_part(Server& s, OutQueue& q) const;
    void deliver_mixed(Node& n, Cycle T);
    void tell_mixed(Node& n, Cycle T);
    Pace ramp_pace(const Node& n) const;
    void add_ramp(Node& n, Cycle T);
    void add_thread(Node& n, int t, Cycle T);
    void tell_router(Node& n, Cycle T);
    void tell_credit(Node& n, InQueue& q, int number, const Seq& was, Cycle T);
    Cycle first_beat(Node& n, Cycle T);
    // map_beats.cpp
    Next advance_map(Node& n, const Instr& in, Cycle T, Cycle from);
    void start_map(Node& n, const Instr& in, Cycle T);
    void start_map_beat(Node& n, const Instr& in, Cycle T, Cycle from);
    void start_map_values(Node& n, Thread& th, const Instr& in);
    void finish_map_beat(Node& n, Thread& th, Cycle last);
    void read_beside(Node& n, const Dsd& d, int64_t k, int32_t r);
    // start.cpp
    void execute(Node& n, Cycle T);
    uint64_t control_color(Node& n, const Instr& in, Cycle T);
    uint64_t configuration(Node& n, const Instr& in, Cycle T, int& clock);
    int32_t config_address(const Node& n, const Instr& in) const;
    int32_t base_of(ArchInt slot) const { return static_cast<int32_t>(arch_.value(slot)); }
    // Whether the next instruction touches nothing but the PE's own state and memory.
    bool local(const Node& n) const {
        const Instr& in = mains_.instruction(n);
        return mains_.is_local(n) && ((in.op != Op::kLoad && in.op != Op::kStore) || config_address(n, in) < 0);
    }
    void start(Node& n, const Instr& in, Cycle T);
    Next free(Node& n, const Instr& in, Cycle T, Cycle from);
    uint64_t random();
    void control_tsc(int32_t what, Cycle T);
    Cycle tsc(Cycle T) const;
    void read_result(Node& n, Cycle T, int32_t result, uint64_t value, Cycle latency, int clock = 0);
    void pass(Node& n, Cycle T, Cycle next);
    void bind_queue(Node& n, InQueue& q, int color, Cycle T);
    void start_receive(Node& n, Thread& th, const Dsd& d, int64_t words, Cycle T, int& priority);
    void start_send(Node& n, Thread& th, const Instr& in, const Dsd& d, bool advance, int64_t words, Cycle T,
                    int& priority);
    void start_values(Node& n, int t, const Main& m, const Instr& in, int64_t length);
    void start_empty(Node& n, const Instr& in, const Settings& set, Cycle T);
    void set_costs(Node& n, Thread& th, const Instr& in, int64_t length, int memory_sources);
    void mark_destination(Node& n, const Thread& th, const Instr& in, Cycle T);
    void claim(Node& n, const Instr& in, Thread& th);
    void set_payloads(const Node& n, Thread& th, const Instr& in, int64_t words) const;
    bool payload(const Node& n, const Thread& th, int64_t word, uint32_t& value) const;
    void check_payloads(const Node& n, Thread& th, int64_t done) const;
    void announce_more(Node& n);
    int check_operands(const Main& m, const Instr& in, int64_t length, Thread& th) const;
    bool claimed(const Node& n, const Instr& in);
    int microthread(const Node& n, const Instr& in, const Settings& set);
    uint64_t reg(const Node& n, int32_t r, bool& known) const;
    void set_reg(int32_t r, uint64_t value) {
        if (r < 0) return;
        std::memcpy(cells_ + 8 * r, &value, 8);
        script.add({Step::Kind::kSet, 8, r, value});
    }
    const Main& main(const Node& n) const { return mains_.main(n.control); }
    const Tile& tile(const Node& n) const { return program_.tiles[static_cast<size_t>(n.tile)]; }
    [[noreturn]] void refuse(const Instr& in, const std::string& what) const { throw Refused(what, in.line); }

    const Program& program_;
    const Arch& arch_;
    Local& local_;
    Mains& mains_;
    Router& router_;
    Loop& loop_;
    Arena& arena_;
    struct Was {
        Seq* seq;
        Seq before;
        int ramp_queue, in_queue;  // one of them -1
    };
    Was before_[64];
    struct MixedRamp {  // what the arrivals taken back were
        LinkFifo* ramp = nullptr;
        Words words;
        std::vector<Special> specials;
    };
    std::vector<MixedRamp> mixed_;
    int num_before_ = 0;
    Server servers_[24];
    int num_ = 0;
    int server_of_[9] = {};
    OutQueue* mixed_of_[8] = {};  // of the first servers
    Cycle keep_ = keep_of(arch_);
    uint8_t* cells_ = nullptr;
    struct Tsc {  // the cycle counter of a PE that is not the number of the cycle
        Cycle offset = 0, frozen = 0;
        bool enabled = true;
    };
    std::unordered_map<uint32_t, Tsc> tsc_;
    std::unordered_map<uint32_t, uint32_t> random_;  // of each PE: its generator
    uint32_t word_ = 0;                              // that a data task took, with values
    int done_ = 0;
    bool dirty_ = false, defer_ = true;
};

}  // namespace wafersim::stream
