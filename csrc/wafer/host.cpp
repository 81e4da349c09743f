// The machine as the host's streams see it (docs/semantics.md, section 9).
#include "wafer/machine.hpp"

namespace wafersim {

uint32_t Machine::id_of(int x, int y) const {
    if (x < 0 || y < 0 || x >= program_.width || y >= program_.height)
        throw ProgramFault("PE (" + std::to_string(x) + ", " + std::to_string(y) + ") is not on the fabric");
    return static_cast<uint32_t>(y * program_.width + x);
}

// The PE, if the host can feed this port of it.
uint32_t Machine::host_port(int x, int y, int color, int port) const {
    const uint32_t id = id_of(x, y);
    if (color < 0 || color >= kMaxColors)
        throw ProgramFault("color " + std::to_string(color) + "; colors are 0 to " + std::to_string(kMaxColors - 1));
    if (port < 0 || port >= kNumPorts) throw ProgramFault("port " + std::to_string(port) + "; ports are 0 to 4");
    if (port == kPortRamp ? fabric_->queues(id) == nullptr : !fabric_->is_outer(id, port))
        throw ProgramFault("port " + std::to_string(port) + " of PE (" + std::to_string(x) + ", " + std::to_string(y) +
                           ") is neither at the fabric's edge nor the RAMP of a PE with a tile");
    return id;
}

void Machine::declare_port(int x, int y, int color, int port) {
    fabric_->host_queue(host_port(x, y, color, port), color, port);
}

void Machine::feed(int x, int y, int color, int port, std::span<const HostWavelet> words) {
    fabric_->feed(host_port(x, y, color, port), color, port, words, cycle_);
}

int64_t Machine::fed_left(int x, int y, int color, int port) const {
    const auto* queues = fabric_->host_queues(id_of(x, y));
    if (!queues) return 0;
    for (const HostQueue& q : *queues)
        if (q.color == color && q.port == port) return static_cast<int64_t>(q.words.size());
    return 0;
}

int64_t Machine::arrived(int x, int y, int color, int port) const {
    const Collected* from = fabric_->collected(id_of(x, y), color, port);
    if (!from) return 0;
    auto n = static_cast<int64_t>(from->words.size());
    while (n > 0 && from->words[static_cast<size_t>(n - 1)].cycle > cycle_) --n;
    return n;
}

HostWavelet Machine::read_collected(int x, int y, int color, int port) {
    if (arrived(x, y, color, port) == 0) throw ProgramFault("nothing has arrived at the host");
    Collected& from = *fabric_->collected(id_of(x, y), color, port);
    const HostWavelet w = from.words.front();
    from.words.pop_front();
    return w;
}

void Machine::watch(int x, int y, int color, int port, int64_t count) {
    const uint32_t id = id_of(x, y);
    if (color < 0 || color >= kMaxColors || port < 0 || port >= kNumPorts)
        throw ProgramFault("no color " + std::to_string(color) + " or no port " + std::to_string(port));
    fabric_->watch(id, color, port, count, cycle_);
}

}  // namespace wafersim
