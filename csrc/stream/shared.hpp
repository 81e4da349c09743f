// What all strips of a wafer share: the program, read only, and the PEs, each of which belongs to one strip. A strip
// owns bands of rows, every `strips`-th one, so that a wave of events that crosses the wafer meets all strips alike.
#pragma once
#include <mutex>
#include <span>
#include <vector>

#include "arch/arch.hpp"
#include "program/program.hpp"
#include "stream/arena.hpp"
#include "stream/local.hpp"
#include "stream/state.hpp"
#include "wafer/sram.hpp"

namespace wafersim::stream {

// A PE while visits are looked up: its situation, since `base`.
struct alignas(64) Pe {
    uint32_t at = 0;
    uint32_t cells = 0;   // in units of 8 bytes
    uint32_t values = 0;  // class of those that are not its own; 0: all are in its cells
    int32_t chain = 0;    // of visits that wait, 0: none
    int32_t reach = 0;    // cycles after `base` from which on it does not matter when it hears something
    uint32_t heard = 0;   // number of a message heard in this cycle, and not looked at, + 1
    Cycle base = 0, queued = kForever;
    Cycle due = kForever;  // its next visit
    uint64_t own = 0;      // the first word of its own values: it is also in its cells
    uint32_t layout = 0;   // of its last class: which values are its own; 0: those that differed first
};

struct Shared {
    // `band`: rows of a band, 0: as the wafer's height suggests.
    Shared(const Tables& tables, std::span<const int64_t> arch, std::span<const int32_t> vops, int num_strips,
           int rows);
    ~Shared();
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;

    const Arch arch;
    const Program program;
    const std::vector<ControlBytes> control;
    const int strips, band;
    std::vector<Pe, LargePages<Pe>> pes;
    std::vector<uint8_t, LargePages<uint8_t>> cells;  // values of registers and scalar state
    SramArena sram;                                   // with values

    size_t num_pes() const { return program.tile_map.size(); }
    int strip_of_row(uint32_t y) const { return static_cast<int>(y / static_cast<uint32_t>(band)) % strips; }
    int strip_of(uint32_t pe) const {
        return strips == 1 ? 0 : strip_of_row(pe / static_cast<uint32_t>(program.width));
    }
    // The PEs of a strip, by their numbers.
    template <typename Each>
    void each_of(int strip, Each&& each) const {
        const auto width = static_cast<uint32_t>(program.width), height = static_cast<uint32_t>(program.height);
        for (uint32_t y = 0; y < height; ++y)
            if (strip_of_row(y) == strip)
                for (uint32_t pe = y * width; pe < (y + 1) * width; ++pe) each(pe);
    }
    // Room for all PEs unpacked; a strip makes its own there when it needs them.
    std::span<Node> nodes();

  private:
    std::once_flag once_;
    Node* nodes_ = nullptr;
};

}  // namespace wafersim::stream
