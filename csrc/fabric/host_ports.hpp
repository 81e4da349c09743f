// The host's side of the fabric: queues that feed router ports, and what leaves by sinks (docs/semantics.md, section
// 10). Stands for the links at the fabric's edge and for the host library's words on a RAMP; the host itself takes no
// time. A fabric without host ports never looks at any of this.
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/types.hpp"
#include "program/opcodes.hpp"

namespace wafersim {

struct HostWavelet {
    Cycle cycle = 0;  // fed: visible from; collected: arrived in
    uint32_t payload = 0;
    bool control = false;
};

// What the host holds for one color of one router port, or has declared that it will feed.
struct HostQueue {
    int color = 0, port = 0;
    Cycle last_move = -1;
    int64_t fed = 0;
    std::deque<HostWavelet> words;
};

// What one color of one router port has given to the host.
struct Collected {
    std::deque<HostWavelet> words;
    int64_t watched = 0;  // so many more before the run may stop
};
using CollectedPorts = std::array<Collected, kNumPorts>;

struct HostPorts {
    std::vector<int32_t> index;                  // by PE: place in `queues`, -1 none
    std::vector<std::vector<HostQueue>> queues;  // by PE, ascending (color, port)
};

}  // namespace wafersim
