// One PE at a cycle as bytes in one form: times count from the cycle, words from the last known ones, and what can hold
// nobody up any more is left out. PEs in the same situation have the same bytes.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "arch/arch.hpp"
#include "stream/arena.hpp"
#include "stream/mains.hpp"
#include "stream/state.hpp"

namespace wafersim::stream {

class Snapshots {
  public:
    Snapshots(const Program& program, const Arch& arch, const Mains& mains);
    struct Taken {
        std::string_view bytes;  // until the next one is taken
        Cycle horizon =
            kForever;         // from so many cycles later on the bytes stay the same; kForever: something will happen
        Cycle fact = kMinus;  // behind the last thing that is known to have happened, counted from T
    };
    // A PE at cycle T; brings it to its one form.
    Taken take(Node& n, Cycle T);
    // The PE at cycle T; its stages come from `arena`.
    void restore(std::string_view bytes, Cycle T, Node& n, Arena& arena) const;

  private:
    Cycle settle(Node& n, Cycle T);
    void rank_rest(const Node& n, Cycle T);

    const Program& program_;
    const Arch& arch_;
    const Mains& mains_;
    Cycle keep_;  // cycles for which a time that has passed counts
    Cycle span_;  // the same for the start of an op and for the main thread
    std::string bytes_;
    std::vector<Cycle> rest_;  // of what is at rest: when it last did something, which decides who is served first
};

void end_of_life(Node& n);  // of its stages

}  // namespace wafersim::stream
