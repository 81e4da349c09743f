#include "stream/shared.hpp"

#include <algorithm>
#include <string>

namespace wafersim::stream {
namespace {

// Bands of a strip, so that each has a part of everything that happens anywhere, and rows of a band, so that few
// messages cross from one to another (`docs/fidelity.md`, Threads).
constexpr int kBands = 8, kMostRows = 24;

std::vector<int32_t> owners(const Tables& tables, size_t num_code) {
    std::vector<int32_t> owner(num_code, -1);
    for (int64_t i = 0; i < tables.tiles.rows; ++i) {
        const int32_t* row = tables.tiles.row(i);
        const int32_t first = row[static_cast<int>(TileCol::kCodeFirst)], n = row[static_cast<int>(TileCol::kNumCode)];
        std::fill_n(owner.begin() + first, n, static_cast<int32_t>(i));
    }
    return owner;
}

std::vector<Array> read_arrays(const Tables& tables, int32_t sram_bytes) {
    std::vector<Array> arrays;
    for (int64_t i = 0; i < tables.arrays.rows; ++i) {
        const int32_t* row = tables.arrays.row(i);
        auto at = [&](ArrayCol column) { return row[static_cast<int>(column)]; };
        const int32_t tile = at(ArrayCol::kTile), address = at(ArrayCol::kAddress), bytes = at(ArrayCol::kBytes);
        if (tile < 0 || tile >= tables.tiles.rows || address < 0 || bytes < 0 || address > sram_bytes - bytes)
            throw ProgramFault("table 'arrays', row " + std::to_string(i) + ": tile " + std::to_string(tile) +
                               ", address " + std::to_string(address) + ", bytes " + std::to_string(bytes) +
                               "; a tile that exists and bytes inside of SRAM wanted");
        arrays.push_back({tile, address, bytes, (at(ArrayCol::kFlags) & static_cast<int>(ArrayFlag::kData)) != 0});
    }
    return arrays;
}

int rows_of_band(int32_t height, int strips) {
    if (strips == 1) return std::max(height, 1);
    return std::clamp(height / (kBands * strips), 1, kMostRows);
}

}  // namespace

Shared::Shared(const Tables& tables, std::span<const int64_t> arch_ints, std::span<const int32_t> vops, int num_strips,
               int rows)
    : arch(arch_ints, vops),
      program(tables, arch.sram_bytes),
      control(find_control_bytes(program, arch.sram_bytes, owners(tables, program.code.size()),
                                 read_arrays(tables, arch.sram_bytes))),
      strips(std::clamp(num_strips, 1, std::max(program.height, 1))),
      band(rows > 0 ? rows : rows_of_band(program.height, strips)) {
    pes.resize(num_pes());
}

Shared::~Shared() {
    if (nodes_) LargePages<Node>().deallocate(nodes_, num_pes());
}

std::span<Node> Shared::nodes() {
    std::call_once(once_, [this] { nodes_ = LargePages<Node>().allocate(num_pes()); });
    return {nodes_, num_pes()};
}

}  // namespace wafersim::stream
