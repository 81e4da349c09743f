// A wafer at stream fidelity: the PEs, their values, and their events in order of time.
#pragma once
#include <array>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "stream/element.hpp"
#include "stream/memo.hpp"
#include "stream/queue.hpp"
#include "stream/snapshot.hpp"
#include "wafer/machine.hpp"

namespace wafersim::stream {

struct Figures {
    uint64_t steps = 0, hears = 0;
    uint64_t renewals = 0;  // of the memo
    uint64_t waited = 0;    // steps that were made when somebody asked, not in their cycles
};

class Engine {
  public:
    // `values`: of array data too; else only the state of scalar code has values.
    Engine(const Tables& tables, std::span<const int64_t> arch, std::span<const int32_t> vops, bool values);

    int launch(int function, std::span<const uint64_t> args);  // on how many PEs
    Status run(const Limits& limits, const std::function<bool()>& interrupted);

    Cycle now() const { return now_; }
    uint64_t events() const { return figures.steps + figures.hears; }
    const Program& program() const { return program_; }
    const Arch& arch() const { return arch_; }
    const Mains& mains() const { return mains_; }
    const Loop& loop() const { return loop_; }
    void set_most_words(int64_t words) { loop_.most_words = words; }      // placed in one step, 0: no limit
    void set_grain(int64_t grain) { loop_.coarse.deepen(arch_, grain); }  // before anything is launched
    int64_t open_launches() const { return open_; }
    std::vector<Print> prints() const;  // in the order of cycles and places
    // Scalar state of a PE: `bytes` bytes from `address`; with values all of its memory. False if they are not known:
    // without values, or while a run is not at its end.
    bool read(uint32_t pe, int32_t address, int32_t bytes, uint8_t* out);
    // The host writes bytes, with or without saying their values. How many are held; the others are array data.
    int write(uint32_t pe, int32_t address, std::span<const uint8_t> values, bool known);
    static size_t bytes_of_known_pe() { return sizeof(Pe); }
    // Words from the host and to it, by a port of a PE (`host`).
    void feed(uint32_t pe, int port, int color, const HostWords& words);
    int64_t arrived(uint32_t pe, int port, int color) const;
    void collect(uint32_t pe, int port, int color, int64_t count, HostWords& words);
    size_t table_bytes() const { return mains_.bytes(); }
    size_t pe_bytes() const {
        return nodes_.size() * sizeof(Node) + pes_.size() * sizeof(Pe) + cells_.size() + arena_.bytes();
    }
    void set_most_memo_bytes(size_t bytes) { most_memo_bytes_ = bytes; }
    const Memo* memo() const { return memo_.get(); }  // null when visits are not looked up (any more)
    void forget_situations();                         // from now on every visit is made
    Figures figures;

    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

  private:
    void check_supported() const;
    // A PE while visits are looked up: its situation, since `base`.
    struct Pe {
        uint32_t at = 0;
        uint32_t cells = 0;  // in units of 8 bytes
        Cycle base = 0, queued = kForever;
        int32_t chain = 0;  // of visits that wait, 0: none
    };
    void place(uint32_t pe, Node& n);
    void wake(uint32_t pe, Node& n);
    // lookup.cpp
    void start_looking_up();
    void wake_known(uint32_t pe, Pe& p);
    void put_in_queue(uint32_t pe, Pe& p);
    Cycle due(const Pe& p) const {
        const Cycle t = p.chain ? memo_->chain(p.chain).due : (*memo_)[p.at].wake;
        return t < kForever ? p.base + t : kForever;
    }
    Cycle last_waiting() const;
    void visit_known(uint32_t pe, Cycle T);
    int32_t visit_unknown(uint32_t pe, Cycle T, uint8_t* cells);
    void hear_known(uint32_t pe, uint32_t message, Cycle T);
    void account(const Memo::Work& w, Cycle T);
    void catch_up(Pe& p, Cycle T);
    void catch_up_now(uint32_t pe);
    void look_ahead_known(const std::vector<uint32_t>& bucket, size_t i, Cycle T);
    // Inlined in any case: a call of a function that only fetches may be left out.
    [[gnu::always_inline]] inline void fetch_cells(const Pe& p) const;
    Node& clear_open();
    Node& open(const Pe& p, Cycle base);
    uint32_t close(Cycle T, Cycle& fact);
    void settle_in(Pe& p, Cycle T);  // the PE that is open becomes this one
    bool rest_of_known();
    void judge_memo();
    void renew_memo();
    size_t num_pes() const { return program_.tile_map.size(); }
    void visit(uint32_t pe, Cycle T);
    int make_visit(uint32_t pe, Node& n, Cycle T, uint8_t* cells);
    void look_ahead(const std::vector<uint32_t>& bucket, size_t i);
    bool at_rest(const Node& n) const;
    Cycle last_fact(const Node& n) const;
    uint32_t heard_by(uint32_t pe, int port) const {
        return static_cast<uint32_t>(static_cast<int32_t>(pe) + neighbor_[port]);
    }
    uint8_t* cells(const Node& n) { return cells_.data() + 8 * static_cast<size_t>(n.cells); }
    uint8_t* cells(const Pe& p) { return cells_.data() + 8 * static_cast<size_t>(p.cells); }
    [[noreturn]] void refuse(uint32_t pe, const Refused& r) const;

    Arch arch_;
    Program program_;
    std::vector<ControlBytes> control_;
    Arena arena_;
    Loop loop_;
    Local local_;
    Mains mains_;
    Router router_;
    Element element_;
    Queue queue_;
    std::vector<Node, LargePages<Node>> nodes_;  // empty while visits are looked up
    std::unique_ptr<Memo> memo_;
    std::vector<Pe, LargePages<Pe>> pes_;
    std::vector<size_t> cell_bytes_;  // of each tile
    Snapshots snapshots_;
    Node open_node_;
    std::array<std::array<uint32_t, 2>, 16> listeners_{};  // of the visits that come next
    std::vector<Memo::Said> said_;
    size_t most_memo_bytes_ = size_t{1} << 30;  // then situations that no PE is in are forgotten
    uint64_t judged_lookups_ = 0, judged_misses_ = 0;
    int poor_ = 0;  // stretches of the run, up to now, in which most visits were new
    std::unique_ptr<Values> values_;
    bool settled_ = true;  // no op is under way
    std::vector<Told> says_;
    std::vector<uint8_t, LargePages<uint8_t>> cells_;
    std::vector<int> written_;
    Cycle now_ = 0, end_ = 0;
    int64_t open_ = 0;
    int32_t neighbor_[4];
};

}  // namespace wafersim::stream
