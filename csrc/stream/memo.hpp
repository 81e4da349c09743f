// What happened to PEs in situations that have occurred: a visit, or a message heard, from one snapshot to the next.
// PEs in the same situation share it, so that most of a run is looked up.
#pragma once
#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "stream/mains.hpp"
#include "stream/script.hpp"
#include "stream/state.hpp"

namespace wafersim::stream {

class Memo {
  public:
    static constexpr int32_t kNoTape = -2, kNotAsked = -3;
    // A situation of a PE; cycles count from the one it was taken in.
    struct Situation {
        Cycle wake = kForever;     // next event
        Cycle horizon = kForever;  // from then on it stays the same if nothing happens
        uint32_t control = 0;
        int32_t tile = -1;
        int32_t visits = 0;  // the first of the visits that begin here, 0: none
        int32_t chains = 0;  // likewise, of chains of them
        uint32_t length = 0;
        uint32_t hash = 0;
        const char* bytes = nullptr;
    };
    // What was done, for the record.
    struct Work {
        Cycle end = kMinus;  // behind the last thing that ended
        uint64_t words = 0, leaps = 0, beyond = 0;
        int64_t most = 0;
        uint64_t visits = 0;
        bool operator==(const Work&) const = default;
        void add(const Work& w, Cycle after) {
            if (w.end > kMinus) end = std::max(end, after + w.end);
            words += w.words, leaps += w.leaps, beyond += w.beyond, most = std::max(most, w.most), visits += w.visits;
        }
    };
    // What a visit does, under the values that its script reads; cycles count from its own.
    struct Visit {
        uint32_t to = 0;
        int32_t next = 0;  // another visit from the same situation, 0: none
        int32_t first_step = 0, num_steps = 0, first_said = 0, num_said = 0, done = 0;
        int32_t tape = -1;    // the whole script, -1: its steps
        bool copies = false;  // its script reads after it has written
        bool quiet = false;   // it says nothing to anybody
        Work work;
    };
    // Quiet visits one behind the other, under the values before the first. Nobody can tell when they are made, so they
    // wait until somebody asks. Cycles count from the situation they begin in.
    struct Chain {
        Cycle due = kForever;  // the visit behind them
        Cycle dt = 0;          // the last one of them
        uint32_t to = 0;
        int32_t tape = -1;           // of all of them, -1: none
        int32_t shorter = 0;         // the same without the last one, 0: that was the only one
        int32_t next = 0;            // another chain from the same situation, 0: none
        int32_t last = 0;            // visit
        int32_t shared = kNotAsked;  // its tape as it is made on the values of a class
        bool guarded = false, usable = true;
        Work work;
    };
    struct Said {
        int32_t port = 0;
        uint32_t message = 0;
    };

    Memo();
    uint32_t find(std::string_view bytes, const Situation& like);
    const Situation& operator[](uint32_t i) const { return situations_[i]; }
    std::string_view bytes_of(uint32_t i) const { return {situations_[i].bytes, situations_[i].length}; }

    // The visit that these values choose, played on them; 0 if there is none yet.
    int32_t play(uint32_t from, Cycle T, Mains& mains, uint8_t* cells, size_t num_cells);
    int32_t add(uint32_t from, Visit v, const std::vector<Step>& steps, const std::vector<Said>& said,
                const Mains& mains);
    const Visit& visit(int32_t i) const { return visits_[static_cast<size_t>(i)]; }
    const Said* said(const Visit& v) const { return said_.data() + v.first_said; }

    // chain.cpp
    Chain& chain(int32_t i) { return chains_[static_cast<size_t>(i)]; }
    const Chain& chain(int32_t i) const { return chains_[static_cast<size_t>(i)]; }
    // The longest chain that these values choose; 0: none.
    int32_t choose_chain(uint32_t from, const uint8_t* cells);
    // A quiet visit was found behind a chain (0: none) from this situation, and then those of another chain (0: none),
    // `behind` it.
    void lengthen(uint32_t from, int32_t chain, int32_t visit, int32_t behind);
    void write(const Chain& c, uint8_t* cells);
    // How many chains begin in a situation.
    int num_chains(uint32_t i) const { return num_chains_[i]; }

    const Tape& tape(int32_t i) const { return tapes_[static_cast<size_t>(i)]; }
    int32_t keep_tape(Tape tape);
    // Of tapes one after the other, and of registers that become 0; -1: nothing, kNoTape: no tape can.
    struct Part {
        int32_t tape = -1;
        bool guards = true, writes = true;
    };
    int32_t tape_of(const std::vector<Part>& parts, const std::vector<int32_t>& cleared);
    bool holds(int32_t tape, const uint8_t* cells) {
        return matches(tapes_[static_cast<size_t>(tape)], cells, values_);
    }
    void write(int32_t tape, uint8_t* cells) { commit(tapes_[static_cast<size_t>(tape)], values_, cells); }

    uint32_t message(const Message& m);
    const Message& message(uint32_t i) const { return messages_[i]; }
    // Where a message leads, `dt` cycles after the situation was taken; a new entry holds kNowhere.
    static constexpr uint32_t kNowhere = UINT32_MAX;
    struct Heard {
        uint64_t key = UINT64_MAX;
        Cycle dt = 0;
        uint32_t to = kNowhere;
        int32_t fact = 0;  // cycles from the message on until behind the last thing that happened for sure
    };
    Heard& heard(uint32_t from, uint32_t message, Cycle dt);

    size_t bytes() const;
    size_t size() const { return situations_.size(); }
    uint64_t misses = 0;

  private:
    bool play(const Visit& v, Cycle T, Mains& mains, uint8_t* cells);
    int32_t tape_of(const std::vector<Step>& steps, const Mains& mains);
    int32_t join(int32_t a, int32_t b);
    int32_t lengthen(uint32_t from, int32_t shorter, int32_t visit);
    const char* keep(std::string_view bytes);
    static uint64_t mix(uint64_t h) {
        h ^= h >> 32;
        h *= UINT64_C(0xd6e8feb86659fd93);
        return h ^ h >> 32;
    }
    void grow_situations();
    void grow_heard();

    std::vector<Situation> situations_;
    std::vector<uint8_t> num_chains_;
    std::vector<uint32_t> slots_;  // open addressing: number of a situation + 1
    std::vector<Visit> visits_;
    std::vector<Chain> chains_;
    std::vector<Step> steps_;
    std::vector<Tape> tapes_;
    std::unordered_map<std::string, int32_t> tape_ids_;
    // Tapes made before: of scripts, and of tapes one after the other.
    std::unordered_map<std::string, int32_t> composed_, of_parts_;
    std::unordered_map<uint64_t, int32_t> joined_;
    size_t tape_bytes_ = 0;
    std::vector<uint64_t> values_;
    std::vector<Said> said_;
    std::vector<Heard> heard_;
    size_t num_heard_ = 0;
    std::deque<Message> messages_;
    std::unordered_map<std::string, uint32_t> message_ids_;
    std::vector<std::unique_ptr<char[]>> pieces_;
    size_t piece_used_ = 0, kept_ = 0;
    std::vector<uint8_t> saved_;
};

// The steps, or tapes one after the other, as one tape; false if they need more.
struct TapePart {
    const Tape* tape = nullptr;
    bool guards = true, writes = true;
};
bool compose(const std::vector<Step>& steps, const Mains& mains, Tape& tape);
bool compose(std::span<const TapePart> parts, Tape& tape, std::span<const int32_t> cleared = {});

}  // namespace wafersim::stream
