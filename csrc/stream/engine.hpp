// A strip of a wafer at stream fidelity: its PEs, their values, and their events cycle by cycle: first all visits, then
// all messages, so that nothing depends on their order, nor on how many strips there are. `strips` runs it.
#pragma once
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "stream/classes.hpp"
#include "stream/element.hpp"
#include "stream/memo.hpp"
#include "stream/outbox.hpp"
#include "stream/partial.hpp"
#include "stream/queue.hpp"
#include "stream/shared.hpp"
#include "stream/shortcut.hpp"
#include "stream/snapshot.hpp"

namespace wafersim::stream {

struct Figures {
    uint64_t steps = 0, hears = 0;
    uint64_t renewals = 0;           // of the memo
    uint64_t waited = 0;             // steps that were made when somebody asked, not in their cycles
    uint64_t passes = 0, taken = 0;  // while there are shortcuts; by one of them
    uint64_t shortcut_bytes = 0;     // most that they and classes have taken
};

class Engine {
  public:
    Engine(Shared& shared, int strip);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    void lay_out_cells();     // of all PEs of the wafer
    void start_looking_up();  // its PEs before anything happened
    void turn_values_on();    // of array data too; else only the state of scalar code has values

    int launch(int function, std::span<const uint64_t> args, Cycle now);  // on how many PEs
    // A cycle: its visits, and what is said between PEs of the strip. Then, behind the barrier, what others said.
    Cycle next(Cycle now) {
        const Cycle t = queue_.next(now);
        return fresh_.empty() ? t : std::min(t, now_ + 1);
    }
    void step(Cycle t);
    bool crossed() const { return crossed_; }  // whether the last step said anything to another strip
    // Boxes come in two sets: of one the others still hear, while what is said goes into the other one.
    void turn_outboxes(size_t set);
    void hear_others(const Engine& from, size_t set);
    void forget_old() { old_memo_.reset(); }  // all that was said in it has been heard
    // All visits before cycle `now` are made, those that wait included; `waits`: whether some may wait from now on.
    void stop(Cycle now, bool waits = true);
    void begin(bool counting);  // a run; `counting`: how many visits wait
    void hear_fresh();          // what was heard in the last cycle, and not looked at yet
    uint64_t waiting() const { return waiting_; }
    Cycle last_waiting() const;  // the last visit that still waits
    void look_after();           // now and then, between steps: is what it keeps worth it
    // The end of a run: whether all its PEs are at rest; the cycle behind the last thing that happened.
    bool at_end(Cycle& end);
    // With several strips and values: those of beats before cycle t, of the PEs that step(t) will visit, or of all.
    void begin_values(Cycle t);
    void try_values(std::span<const uint32_t> asked, size_t set);

    uint64_t lookups() const { return events(); }  // while visits are looked up
    uint64_t events() const { return figures.steps + figures.hears; }
    const Mains& mains() const { return mains_; }
    const Loop& loop() const { return loop_; }
    Loop& loop() { return loop_; }
    void set_grain(int64_t grain) { loop_.coarse.deepen(arch_, grain); }  // before anything is launched
    void set_seed(uint64_t seed) { element_.seed = seed; }                // of random numbers
    int64_t open_launches() const { return open_; }
    const std::vector<Print>& prints() const { return element_.prints; }
    bool read(uint32_t pe, int32_t address, int32_t bytes, uint8_t* out, bool settled);
    int write(uint32_t pe, int32_t address, std::span<const uint8_t> values, bool known);
    // Words from the host and to it, by a port of a PE (`host`).
    void feed(uint32_t pe, int port, int color, const HostWords& words, Cycle now);
    int64_t arrived(uint32_t pe, int port, int color, Cycle now) const;
    void collect(uint32_t pe, int port, int color, int64_t count, HostWords& words) {
        router_.collect(nodes_[pe], port, color, count, words);
    }
    size_t table_bytes() const { return mains_.bytes(); }
    size_t pe_bytes() const {
        return num_own_ * (memo_ ? sizeof(Pe) : sizeof(Node)) + cell_bytes_own_ + arena_.bytes();
    }
    void set_most_memo_bytes(size_t bytes) { most_memo_bytes_ = bytes; }
    const Memo* memo() const { return memo_.get(); }  // null when visits are not looked up (any more)
    void forget_situations();                         // from now on every visit is made
    Values* values() { return values_.get(); }
    std::optional<Failure> failure;
    Figures figures;
    // For benchmarks: cycle and PE of the first looks at PEs that are situations, at most so many.
    std::vector<std::array<uint32_t, 2>> order;
    size_t most_order = 0;

  private:
    void place(uint32_t pe, Node& n);
    void wake(uint32_t pe, Node& n);
    // borders.cpp
    void deliver(uint32_t pe, int port, Message&& message);
    void deliver_known(uint32_t pe, int port, uint32_t message) {
        ++figures.hears;
        const uint32_t other = heard_by(pe, port);
        const int to = neighbor_strip(other, port);
        if (to != strip_) return deliver_across(other, to, message);
        if (far_) __builtin_prefetch(&pes_[other]);
        spoken_known_.push_back({other, message});
    }
    void deliver_across(uint32_t other, int to, uint32_t message);
    uint32_t number_of(const Outbox::Entry& said, ForeignNumbers& known);
    void keep_foreign(Memo& fresh);
    // lookup.cpp
    void note(uint32_t pe, Cycle T) {
        if (most_order && order.size() < most_order) order.push_back({static_cast<uint32_t>(T), pe});
    }
    void wake_known(uint32_t pe, Pe& p);
    void choose(Pe& p);
    void put_in_queue(uint32_t pe, Pe& p) {
        if (p.due >= p.queued) return;
        p.queued = p.due;
        queue_.push(p.due, pe);
    }
    int32_t visit_known(uint32_t pe, Cycle T);
    int32_t visit_unknown(uint32_t pe, Cycle T, uint8_t* cells);
    bool hear_known(uint32_t pe, uint32_t message, Cycle T);
    void account(const Memo::Work& w, Cycle T);
    int32_t waited(const Pe& p, Cycle T) const;
    void catch_up(Pe& p, Cycle T);
    // pass.cpp
    static constexpr int32_t kNoReach = INT32_MAX, kNoEnd = INT32_MIN;
    void own_values(Pe& p);
    void say(uint32_t pe, int32_t visit, int from);
    void start_shortcuts();
    void stop_shortcuts();
    void clear_shortcuts();
    void count_uses();
    void count_work(int32_t i);
    size_t shortcut_bytes() const;
    void judge_shortcuts();
    void tell(uint32_t pe, uint32_t message, Cycle T);
    bool passing() const { return shortcuts_on_ && waits_; }
    // False if there can be no shortcut.
    static bool key_of(const Pe& p, uint32_t message, Cycle T, Shortcuts::Key& key) {
        const Cycle dt = message == Shortcuts::kNoMessage ? 0 : std::min<Cycle>(T - p.base, p.reach);
        key = {p.at, message, p.chain, static_cast<int32_t>(dt)};
        return dt < kNoReach;
    }
    [[gnu::always_inline]] inline void pass(uint32_t pe, uint32_t message, Cycle T, int32_t guess);
    void pass_by_table(uint32_t pe, Pe& p, Shortcuts::Key key, uint32_t message, Cycle T);
    void make_shortcut(uint32_t pe, Pe& p, const Shortcuts::Key& key, int32_t i, uint32_t message, Cycle T);
    const Partials::Entry& partial_of(int32_t tape, uint32_t values);
    const std::vector<int32_t>& dead(uint32_t situation);
    bool catch_up_shared(Pe& p, Cycle T);
    int32_t find_shortcut(Pe& p, const Shortcuts::Key& key, bool& found);
    void leave_class(Pe& p);
    void find_class(Pe& p);
    void begin_following(Pe& p);
    void end_following(Pe& p);
    [[gnu::always_inline]] inline bool fits(Pe& p, int32_t i);
    void ask_class(int32_t i, uint32_t values);
    void write(Pe& p, const Partials::Entry& e);
    [[gnu::always_inline]] inline void take(uint32_t pe, Pe& p, int32_t i, Cycle T);
    void take_rare(int32_t i, Cycle T);
    int32_t follow(uint32_t pe, uint32_t message, Cycle T);
    bool describe(const Pe& p, int32_t visit, Cycle T, Shortcuts::Shortcut& s, Shortcuts::Rest& rest);
    void step_known(Cycle t);
    void copy_own(Pe& p, int32_t tile);
    bool holds(const Pe& p, const Partials::Entry& e);
    void visit_bucket(Cycle t);
    // Inlined in any case: a call of a function that only fetches may be left out.
    [[gnu::always_inline]] inline void fetch_rest(uint32_t pe, int32_t guess) const;
    [[gnu::always_inline]] inline void fetch_partial(uint32_t pe, int32_t guess) const;
    [[gnu::always_inline]] inline bool asks_class(const Shortcuts::Shortcut& s, uint32_t pe) const;
    Node& clear_open();
    Node& open(const Pe& p, Cycle base);
    uint32_t close(Cycle T, Cycle& fact);
    void settle_in(Pe& p, Cycle T);  // the PE that is open becomes this one
    bool rest_of_known();
    void judge_memo();
    void renew_memo();
    void change_memo(std::unique_ptr<Memo> fresh);
    void hear(uint32_t pe, const Message& m, Cycle T);
    void visit(uint32_t pe, Cycle T);
    int make_visit(uint32_t pe, Node& n, Cycle T, uint8_t* cells);
    void look_ahead(const std::vector<uint32_t>& bucket, size_t i);
    bool at_rest(const Node& n) const;
    Cycle last_fact(const Node& n) const;
    uint32_t heard_by(uint32_t pe, int port) const {
        return static_cast<uint32_t>(static_cast<int32_t>(pe) + neighbor_[port]);
    }
    int neighbor_strip(uint32_t other, int port) const {  // only rows are in different strips
        return shared_.strips == 1 || port == kPortEast || port == kPortWest ? strip_ : shared_.strip_of(other);
    }
    uint8_t* cells(const Node& n) { return cells_.data() + 8 * static_cast<size_t>(n.cells); }
    const uint8_t* cells(const Pe& p) const { return const_cast<Engine*>(this)->cells(p); }
    uint8_t* cells(const Pe& p) {
        return &p == followed_pe_ ? scratch_.data() : cells_.data() + 8 * static_cast<size_t>(p.cells);
    }
    std::string placed(uint32_t pe, const Refused& r) const;
    void fail(int phase, uint32_t pe, Cycle t, const Refused& r);

    Shared& shared_;
    const int strip_;
    Arch arch_;  // its buffers may be deeper
    const Program& program_;
    const std::vector<ControlBytes>& control_;
    Arena arena_;
    Loop loop_;
    Local local_;
    Mains mains_;
    Router router_;
    Element element_;
    Queue queue_;
    std::span<Node> nodes_;  // those of the strip are there once visits are not looked up
    std::unique_ptr<Memo> memo_;
    std::vector<Pe, LargePages<Pe>>& pes_;
    size_t num_own_ = 0, cell_bytes_own_ = 0;
    std::vector<size_t> cell_bytes_;  // of each tile
    Snapshots snapshots_;
    Node open_node_;
    std::vector<Memo::Said> said_;
    size_t most_memo_bytes_ = size_t{1} << 30;  // then situations that no PE is in are forgotten
    uint64_t judged_lookups_ = 0, judged_misses_ = 0;
    int poor_ = 0;  // stretches of the run, up to now, in which most visits were new
    bool far_ = false;
    bool waits_ = true, counting_ = false;
    // Shortcuts, while they pay; what makes the next one.
    bool shortcuts_on_ = false;
    bool written_to_ = true;  // PEs may differ in values that they had in common
    std::unique_ptr<Classes> classes_;
    Shortcuts shortcuts_;
    struct Trail {
        bool whole = true;  // tapes say all that was done
        std::vector<Memo::Part> parts;
        Cycle chain_end = kMinus;  // since the situation it began in
        Memo::Work work;           // since its beginning
        uint64_t waited = 0;
    };
    Trail trail_;
    Cycle trail_begin_ = 0;
    Partial partial_;
    Partials partials_;
    const Pe* followed_pe_ = nullptr;  // its values are here, while it is followed
    std::vector<uint8_t> scratch_;
    std::vector<std::pair<bool, std::vector<int32_t>>>
        dead_;  // registers, of each place of main threads that was asked
    uint64_t judged_passes_ = 0, followed_ = 0;
    int poor_passes_ = 0;
    uint64_t rest_ = 0, resume_ = UINT64_MAX;  // lookups, after which they are tried again
    struct Fresh {
        uint32_t pe = 0;
        int32_t guess = 0;  // shortcut
        uint64_t hash = 0;  // of its key, 0: it is not fetched ahead
    };
    std::vector<Fresh> fresh_;  // PEs that have heard something in the last cycle
    uint64_t waiting_ = 0;      // visits in chains that PEs are in, while they are counted
    std::unique_ptr<Values> values_;
    std::vector<Told> says_;
    struct Spoken {
        uint32_t pe = 0;
        Message message;
    };
    struct SpokenKnown {
        uint32_t pe = 0, message = 0;
    };
    // Said in this cycle to PEs of the strip.
    std::vector<Spoken> spoken_;
    std::vector<SpokenKnown> spoken_known_;
    std::vector<Outbox> outboxes_[2];  // to each strip
    size_t set_ = 0;
    bool crossed_ = false;
    std::vector<ForeignNumbers> foreign_;  // of each strip
    std::unique_ptr<Memo> old_memo_;       // its messages may still be heard
    uint64_t memo_number_ = 0;
    std::vector<uint8_t, LargePages<uint8_t>>& cells_;
    std::vector<int> written_;
    Cycle now_ = 0, end_ = 0;
    int64_t open_ = 0;
    int32_t neighbor_[4];
};

}  // namespace wafersim::stream
