// A PE before its first cycle: memory for its arrays, descriptors, task flags, random state.
#include "pe/state.hpp"

#include <algorithm>
#include <memory>

#include "base/guard.hpp"
#include "pe/core.hpp"
#include "pe/random.hpp"

namespace wafersim {
namespace {

constexpr size_t kNumArrays = 7;  // in the block of a PE

}  // namespace

void Pe::allocate(const Tile& of) {
    const auto num_regs = static_cast<size_t>(of.num_regs);
    const auto num_dsrs = static_cast<size_t>(of.num_dsrs[0] + of.num_dsrs[1] + of.num_dsrs[2]);
    const size_t words = 2 * num_regs + num_dsrs + of.tasks.size();
    const size_t bytes = 8 * words + (num_dsrs + of.dsds.size()) * sizeof(Dsd) + of.fifos.size() * sizeof(FifoState) +
                         kNumArrays * kGuardBytes;
    static_assert(alignof(Dsd) <= 8 && sizeof(Dsd) % alignof(FifoState) == 0);
    block = std::make_unique_for_overwrite<std::byte[]>(bytes);
    std::byte* at = block.get();
    auto take = [&]<typename T>(T*& array, size_t count, const T& value) {
        array = reinterpret_cast<T*>(at);
        std::uninitialized_fill_n(array, count, value);
        at += count * sizeof(T);
        guard(at, kGuardBytes);
        at += kGuardBytes;
    };
    take(regs, num_regs, uint64_t{0});
    take(reg_ready, num_regs, Cycle{0});
    take(dsr_ready, num_dsrs, Cycle{0});
    take(last_pick, of.tasks.size(), Cycle{-1});
    take(dsrs, num_dsrs, Dsd{});
    take(slots, of.dsds.size(), Dsd{});
    std::copy(of.dsds.begin(), of.dsds.end(), slots);
    take(fifos, of.fifos.size(), FifoState{});
}

void Core::init(Pe& p, uint32_t id, const Tile& tile, uint8_t* sram) const {
    p.id = id;
    p.tile = &tile;
    p.queues = fabric_.queues(id);
    p.sram = sram;
    p.allocate(tile);
    p.dsr_first = {0, tile.num_dsrs[0], tile.num_dsrs[0] + tile.num_dsrs[1]};
    for (const auto& init : tile.dsr_init) {
        Dsd& d = p.dsrs[static_cast<size_t>(p.dsr_first[static_cast<size_t>(init.dsr / 32)] + init.dsr % 32)];
        d = tile.dsds[static_cast<size_t>(init.dsd)];
        d.settings = init.settings;
    }
    for (size_t i = 0; i < tile.tasks.size(); ++i) {
        if (tile.tasks[i].active && tile.tasks[i].kind == TaskKind::kLocal) p.active |= UINT64_C(1) << i;
        if (tile.tasks[i].blocked) p.blocked |= UINT64_C(1) << i;
        if (tile.tasks[i].priority) p.high_tasks |= UINT64_C(1) << i;
    }
    const PeCoord at = fabric_.coord(id);
    p.random = first_random(seed_, static_cast<uint32_t>(at.x), static_cast<uint32_t>(at.y));
}

}  // namespace wafersim
