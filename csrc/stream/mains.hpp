// The main threads of all PEs: what their code sees of one (`Main`: place in the program, descriptors, ready times) is
// kept once and named by number; a stretch of code from there is run once and looked up afterwards. Values stay with
// the PE: a stretch has a `tape`, guarded where a value decides.
#pragma once
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "stream/liveness.hpp"
#include "stream/local.hpp"

namespace wafersim::stream {

// What a stretch of local code, begun by a main thread in one situation, does. Cycles count from its begin.
struct Stretch {
    uint32_t to = 0;
    int32_t tape = -1;    // -1: no values involved
    int32_t data = -1;    // likewise of array data (`DataTapes`)
    int32_t variant = 0;  // next stretch of the same begin under other guards, 0: none
    int32_t done = 0;
    int64_t count = 0;                        // instructions
    Cycle last_issue = 0, end = 0, stop = 0;  // stop: the main thread can go on from then
    Cycle slot_free = 0;                      // the issue slot is free from then on
    bool in_task = false;
    uint64_t active = 0, blocked = 0, cleared = 0, high = 0, lowered = 0;
    Cycle completes = kForever;  // of a synchronous op with an action, with which it ends
    int32_t activate = -1, unblock = -1;
};

class Mains {
  public:
    Mains(const Program& program, const Arch& arch, Local& local, const std::vector<ControlBytes>& control);

    // What is asked of a situation all the time.
    struct Place {
        Main main;               // times count from the PE's base
        Cycle horizon = 0;       // from then on no time of it matters
        int8_t local = -1;       // whether its next instruction is local; -1: not asked yet
        int32_t undecided = -2;  // register of array data that decides what it does, -1: none; -2: not asked yet
        bool vector = false;
        int32_t alone = 0, beside = 0;  // stretches from its horizon on: nobody else there; beside live threads
    };
    const Place& place(uint32_t id) const { return *places_[id]; }
    const Main& main(uint32_t id) const { return places_[id]->main; }
    uint32_t intern(Main& m, Cycle base);  // takes it: times count from `base` afterwards
    uint32_t initial(int32_t tile);

    // Local code whose first instruction issues in cycle `floor` or later, up to the first one that is not local or
    // would issue at `limit` or later. `evaluate` and then `enter` make it happen.
    const Stretch& find(const Node& n, Cycle floor, Cycle limit, bool scalar_only, const uint8_t* cells);
    void evaluate(const Stretch& s, const uint8_t* cells);
    void enter(Node& n, const Stretch& s, Cycle floor, uint8_t* cells) const;
    // The same again, in a script: whether the values still choose a stretch; those behind it.
    int32_t number(const Stretch& s) const { return static_cast<int32_t>(&s - stretches_.data()); }
    bool guarded(const Stretch& s) const { return s.tape >= 0 && tapes_[static_cast<size_t>(s.tape)].guarded(); }
    bool chosen(uint64_t stretch, const uint8_t* cells) { return matches(tape_of(stretch), cells, values_); }
    void set_values(uint64_t stretch, uint8_t* cells) { commit(tape_of(stretch), values_, cells); }
    bool run(uint64_t stretch, uint8_t* cells) {
        if (!chosen(stretch, cells)) return false;
        commit(tape_of(stretch), values_, cells);
        return true;
    }
    const Tape& tape_of(uint64_t stretch) const { return tapes_[static_cast<size_t>(stretches_[stretch].tape)]; }
    int32_t sram_bytes() const { return arch_.sram_bytes; }
    // Another change of the situation, in cycle `now`: `key` names it, `change` makes it (times count from n.base).
    template <typename Change>
    void change(Node& n, Cycle now, uint64_t key, Change&& change) {
        const Cycle dt = std::min(now - n.base, place(n.control).horizon);
        const auto [it, fresh] = changes_.try_emplace(ChangeKey{n.control, dt, key}, 0);
        if (fresh) {
            const uint64_t slot = it->first.key;
            Main m = main(n.control);
            local_.recorder.begin(m.regs.size());
            change(m, dt);
            const uint32_t to = intern(m, dt);
            changes_[ChangeKey{n.control, dt, slot}] = to;
            n.control = to;
        } else {
            n.control = it->second;
        }
        n.base = now;
    }
    // A change that is not worth remembering.
    template <typename Change>
    void change_once(Node& n, Cycle now, Change&& change) {
        Main m = main(n.control);
        local_.recorder.begin(m.regs.size());
        const Cycle dt = std::min(now - n.base, place(n.control).horizon);
        change(m, dt);
        n.control = intern(m, dt);
        n.base = now;
    }

    Cycle ready_from(const Node& n, Cycle t) const;  // of the instruction at the program counter
    bool is_local(const Node& n) const {
        Place& p = *places_[n.control];
        if (p.local < 0) p.local = local_.is_local(p.main);
        return p.local;
    }
    int32_t undecided(const Node& n) const {
        Place& p = *places_[n.control];
        if (p.undecided < -1) p.undecided = local_.undecided(p.main);
        return p.undecided;
    }
    bool is_vector(const Node& n) const { return place(n.control).vector; }
    bool in_task(const Node& n) const { return main(n.control).in_task; }
    // Whether code may still read what a register holds.
    bool live(uint32_t control, int32_t reg) const {
        const Main& m = main(control);
        return liveness_.live(m.in_task ? m.pc : -1, reg);
    }
    Cycle free_at(const Node& n) const {
        const Cycle t = main(n.control).free_at;
        return t <= kMinus ? kMinus : t + n.base;
    }
    const Instr& instruction(const Node& n) const { return program_.code[static_cast<size_t>(main(n.control).pc)]; }
    size_t cell_bytes(int tile) const;
    void initial_cells(int tile, int64_t rank, uint8_t* cells) const;
    size_t num_places() const { return places_.size(); }
    size_t num_stretches() const { return stretches_.size(); }
    size_t bytes() const { return bytes_; }
    uint64_t runs = 0, recorded = 0;

  private:
    struct ChangeKey {
        uint32_t control;
        Cycle dt;
        uint64_t key;
        bool operator==(const ChangeKey&) const = default;
    };
    struct RunKey {
        uint32_t control;
        Cycle dt, limit;
        bool scalar_only;
        bool operator==(const RunKey&) const = default;
    };
    struct Hash {
        static size_t mix(uint64_t h) {
            h ^= h >> 32;
            h *= UINT64_C(0xd6e8feb86659fd93);
            return h ^ h >> 32;
        }
        size_t operator()(const ChangeKey& k) const {
            return mix(mix(k.control ^ static_cast<uint64_t>(k.dt) << 32) + k.key);
        }
        size_t operator()(const RunKey& k) const {
            return mix(mix(k.control ^ static_cast<uint64_t>(k.dt) << 32) +
                       static_cast<uint64_t>(2 * k.limit + k.scalar_only));
        }
    };
    const Stretch* match(int32_t first, const uint8_t* cells);
    int32_t record(const Node& n, Cycle dt, Cycle limit, bool scalar_only, const uint8_t* cells);

    const Program& program_;
    const Arch& arch_;
    Local& local_;
    Liveness liveness_;
    const std::vector<ControlBytes>& control_;
    std::vector<std::unique_ptr<Place>> places_;
    std::unordered_map<std::string, uint32_t> ids_;
    std::unordered_map<ChangeKey, uint32_t, Hash> changes_;
    std::unordered_map<RunKey, int32_t, Hash> runs_;
    std::vector<Stretch> stretches_;
    std::vector<Tape> tapes_;
    std::vector<uint64_t> values_;
    size_t bytes_ = 0;
};

}  // namespace wafersim::stream
