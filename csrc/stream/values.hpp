// Values of array data: the memory of the PEs, and the ops under way. Beats take effect in the order of their times,
// late: when the PE is looked at, or when another PE wants a word. Beats before now are facts, so that order is known.
// A strip has the values of its own PEs; what a word of another strip's needs is wanted from there (`try_all`).
#pragma once
#include <algorithm>
#include <deque>
#include <span>
#include <vector>

#include "stream/data_tape.hpp"
#include "stream/shared.hpp"
#include "stream/words.hpp"

namespace wafersim::stream {

inline constexpr int64_t kChunk = 512;

// A vector op under way whose beats have taken effect up to `units` words of its fabric operands, or beats if it has
// none. `queue`: which of its thread's input queues is which source.
struct OpValues {
    Elements e;
    int64_t units = 0;
    int width = 1;
    bool packed = false, fabric = false, busy = false;
    bool one_by_one = false;  // its units are elements
    int8_t queue[3] = {-1, -1, -1};
    bool sends = false;
    RunRef run;
    std::deque<RunRef> chunks;  // of an endless op: of kChunk words each, the next ones to be filled
    int64_t announced = 0;      // words of all of them so far
    void next_chunk() { run = chunks.front(), chunks.pop_front(); }
    bool sends_in(const Run& r) const {
        return run.get() == &r ||
               std::any_of(chunks.begin(), chunks.end(), [&](const RunRef& c) { return c.get() == &r; });
    }
    int32_t low = 0, high = 0;                       // bytes written
    std::vector<std::pair<int32_t, int32_t>> reads;  // bytes read
};

class Values {
  public:
    Values(Shared& shared, int strip, const Arch& arch);

    DataTapes tapes;
    Place place(const Node& n) const;
    void write(const Node& n, int32_t address, std::span<const uint8_t> bytes);
    void read(const Node& n, int32_t address, std::span<uint8_t> bytes) const;

    // An op starts; its thread has its queues and words.
    void start(Node& n, Thread& th, Local& local, const Main& m, const Instr& in, int64_t length);
    void start_ring(const Node& n, const Thread& th, OpValues& op, Operand& o) const;
    RunRef send(const Node& n, int thread, int64_t words) const;
    // Everything before cycle T takes effect. With several strips that has been seen to by `try_all`.
    void advance(Node& n, Cycle T);
    // Before a cycle: the PEs that are to be looked at then, and what other strips asked for. Begin, then try until
    // nobody lacks anything, with what is wanted from others handed to them in between.
    void begin(Cycle T);
    void add(uint32_t pe);  // to be looked at
    void try_all(std::span<const uint32_t> asked, size_t set);
    bool lacking() const { return !todo_.empty(); }
    std::vector<std::vector<uint32_t>> wanted[2];  // from each strip: PEs; in two sets, one of which is being read
    uint64_t moved = 0;                            // units that have taken effect
    // What a router that is to be served in cycle T may look at.
    void fill_filtered(const Node& n, Cycle T);
    // The word at index k of an input queue, which is taken from it.
    uint32_t take(Node& n, InQueue& q, int64_t k, Cycle T);

  private:
    struct Due {
        Thread* thread;
        int64_t to;  // units that take effect
    };
    uint32_t number(const Node& n) const { return static_cast<uint32_t>(&n - nodes_.data()); }
    int64_t due(const Node& n, const Thread& th, Cycle T) const;
    static bool meet(const OpValues& a, const OpValues& b);
    bool advance_once(Node& n, Cycle T);
    bool advance_all(uint32_t pe, Cycle T);
    // heads.cpp
    static bool by_index(const Color& c);
    void add_filtered(const Node& n, Cycle T);
    bool fill(Cycle T);
    bool fill_heads(Node& n, Cycle T);
    bool in_any_order(Node& n, std::span<Due> all, Cycle T);
    bool in_order(Node& n, std::span<Due> all, Cycle T);
    bool apply(Node& n, Thread& th, int64_t to, Cycle T);
    void pull(const Run& run, Cycle T);
    int64_t words_there(Node& n, const Thread& th, int64_t wanted, const uint32_t* from[3]) const;
    const Words::Piece* missing(Node& n, const Thread& th) const;
    void pass(Node& n, Thread& th, int64_t count, const uint32_t* const from[3]) const;
    bool copy(Node& n, OpValues& op, int64_t count, const uint32_t* const from[3]) const;
    int64_t beat(const OpValues& op) const;

    const Program& program_;
    const Arch& arch_;
    Shared& shared_;
    const int strip_;
    std::span<Node> nodes_;
    uint8_t* cells_;
    SramArena& sram_;
    std::vector<bool> busy_;     // PEs whose beats are taking effect now,
    std::vector<bool> ordered_;  // and one after the other by time
    int depth_ = 0;
    Cycle now_ = 0;
    std::vector<uint32_t> todo_, deeper_, stack_;  // deeper_: PEs that a chain was too long to reach
    std::vector<std::pair<RunRef, int64_t>> heads_;
    size_t set_ = 0;
    bool foreign_ = false;  // something is wanted from another strip
};

}  // namespace wafersim::stream
