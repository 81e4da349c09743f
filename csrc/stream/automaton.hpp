// What a PE does next, as a table: state x event -> state, messages, effects on values. A transition is computed by the
// interpreter (router, element) the first time and looked up afterwards, by whatever PE comes into the same situation.
#pragma once
#include <string>
#include <vector>

#include "stream/element.hpp"
#include "stream/intern.hpp"
#include "stream/pack.hpp"

namespace wafersim::stream {

struct Transition {
    uint32_t to = 0;
    int32_t tape = -1;     // -1: no values involved
    uint32_t variant = 0;  // next transition of the same event under other guards, 0: none
    uint32_t first_told = 0;
    uint16_t num_told = 0, done = 0;
    int64_t end = 0;  // cycle behind the last thing that happened, relative to the event
};

struct TellRef {
    uint32_t message;
    int32_t port;
};

struct Figures {
    uint64_t steps = 0, hears = 0, step_misses = 0, hear_misses = 0, guard_tries = 0, words = 0, leaps = 0, late = 0,
             renewals = 0;
};

class Automaton {
  public:
    Automaton(const Program& program, const Arch& arch, const std::vector<int32_t>& code_owner,
              const std::vector<Array>& arrays);

    uint32_t initial(uint32_t pe);  // state of PE `pe` before anything happened
    uint32_t launched(uint32_t state, Cycle dt, const Launch& launch, Cycle& shift);
    // The host wrote bytes `at` of the scalar state.
    uint32_t told_by_host(uint32_t state, const std::vector<int>& at, bool known);
    size_t cell_bytes(int tile) const;
    void initial_cells(int tile, int64_t rank, uint8_t* cells) const;

    // The PE's own next event, due in cycle base + next(state).
    const Transition& step(uint32_t state, Cycle base, uint8_t* cells);
    // A neighbor's message, `dt` cycles behind the state's base.
    const Transition& hear(uint32_t state, Cycle dt, uint32_t message, Cycle base, uint8_t* cells);
    // Without the table: the state stays unpacked and times are absolute.
    void begin_live(uint32_t state, Cycle base, const uint8_t* cells, Node& n);
    void step_live(Node& n, Cycle T);
    void hear_live(Node& n, const Message& m, Cycle T);
    void after_live(Node& n, Cycle T);
    std::vector<Told>& says() { return says_; }
    const TellRef* told(const Transition& t) const { return told_.data() + t.first_told; }

    Cycle next(uint32_t state) const { return info_[state].next; }
    bool at_rest(uint32_t state) const { return info_[state].at_rest; }
    Cycle end(uint32_t state) const { return info_[state].end; }
    void inspect(uint32_t state, Node& n) const { unpack(states_.bytes(state), n); }
    const ControlBytes& control(int tile) const { return control_[static_cast<size_t>(tile)]; }
    size_t num_states() const { return info_.size(); }
    size_t num_transitions() const { return transitions_.size(); }
    size_t num_messages() const { return messages_.size(); }
    size_t bytes() const;  // of all tables
    // Forgets all transitions and all states but these, which get new numbers.
    void renew(const std::vector<uint32_t*>& states);
    void set_grain(int64_t grain) { loop_.grain = grain; }

    Figures figures;

  private:
    struct Info {
        Cycle next = kForever, horizon = 0, end = 0;
        uint32_t step = 0;  // first transition of its next event, 0: none yet
        bool at_rest = false;
    };
    void load(uint32_t state, Cycle base, const uint8_t* cells);
    uint32_t intern(Cycle T);
    uint32_t record(Cycle T);
    Cycle last_fact(Cycle T) const;
    const Transition* match(uint32_t first, Cycle base, uint8_t* cells);
    void check_supported() const;

    const Program& program_;
    const Arch& arch_;
    std::vector<ControlBytes> control_;
    Loop loop_;
    Local local_;
    Router router_;
    Element element_;
    Cycle keep_;  // cycles for which a past time can still hold somebody up
    Interner states_, messages_;
    std::vector<Info> info_;
    std::vector<Transition> transitions_;
    std::vector<Tape> tapes_;
    std::vector<TellRef> told_;
    EventTable events_;
    // Of the transition that is being computed.
    Node node_;
    Message message_;
    std::vector<Told> says_;
    std::string packed_;
    std::vector<uint64_t> values_;
    size_t tape_bytes_ = 0;
};

}  // namespace wafersim::stream
