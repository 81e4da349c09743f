// The approximation of this fidelity, off at grain 1: buffers of links and input queues count as at least `grain` words
// deep, so that only more waiting words than that hold a sender up.
#pragma once
#include <algorithm>
#include <cstdint>

#include "arch/arch.hpp"

namespace wafersim::stream {

struct Coarse {
    int64_t grain = 1;
    uint64_t beyond = 0;  // how often a stage was looked at while more words waited than the machine has room for
    int64_t most = 0;     // most words that waited in one place then

    // Deepens the buffers of `arch`, and remembers what they were.
    void deepen(Arch& arch, int64_t words) {
        grain = words;
        link_ = arch.link_buffer;
        std::copy_n(arch.iq_depth, 8, iq_);
        const auto deep = static_cast<int>(std::min(words, kDeepest));
        arch.link_buffer = std::max(arch.link_buffer, deep);
        for (int& depth : arch.iq_depth)
            if (depth > 0) depth = std::max(depth, deep);
    }
    bool on() const { return grain > 1; }
    void look_link(int64_t waiting) { look(waiting, link_); }
    void look_queue(int queue, int64_t waiting) { look(waiting, iq_[queue]); }

  private:
    static constexpr int64_t kDeepest = 1 << 20;  // words; no array of a PE is larger
    void look(int64_t waiting, int room) {
        if (waiting <= room) return;
        ++beyond;
        most = std::max(most, waiting);
    }
    int link_ = 0, iq_[8] = {};
};

}  // namespace wafersim::stream
