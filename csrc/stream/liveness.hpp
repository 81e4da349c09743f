// Which registers code may read before it writes them: the values of the others need not be kept.
#pragma once
#include <cstdint>
#include <vector>

#include "program/program.hpp"

namespace wafersim::stream {

class Liveness {
  public:
    explicit Liveness(const Program& program);
    // At the instruction at `pc`; -1: between tasks. Calls return to wherever anybody calls from, any task may be next.
    bool live(int32_t pc, int32_t reg) const {
        const size_t bit = static_cast<size_t>(reg);
        return pinned_[bit] || in_[(pc < 0 ? num_code_ : static_cast<size_t>(pc)) * num_regs_ + bit];
    }

  private:
    bool update(size_t pc);
    bool merge(size_t to, size_t from);

    const Program& program_;
    size_t num_code_, num_regs_ = 0;
    std::vector<char> in_;      // of each instruction; behind them: between tasks, behind a return
    std::vector<char> pinned_;  // read by what is no instruction of the main thread, or not known when
};

}  // namespace wafersim::stream
