// Values that many PEs have in common, kept once. Of the values of a PE (`cells`) some are its own: those that differ
// from PE to PE when a run begins, and what is computed from them. All others together are a class.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/types.hpp"

namespace wafersim::stream {

class Classes {
  public:
    static constexpr uint32_t kNone = 0;  // the values of a PE are all in its cells

    explicit Classes(const std::vector<size_t>& cell_bytes);  // of each tile

    // Which bytes are a PE's own is part of a class: a mask of its cells, 0 where they are, kept once. The first one of
    // a tile: nothing but what `own_what_differs` has found.
    uint32_t layout(int32_t tile) const { return tile < 0 ? 0 : first_[static_cast<size_t>(tile)]; }
    // In the first layout: all that differs between the values of two PEs, in whole registers and half words.
    void own_what_differs(int32_t tile, const uint8_t* a, const uint8_t* b, size_t register_bytes);
    std::span<const uint64_t> mask(uint32_t layout) const { return layouts_[layout]; }
    uint32_t layout_of(const std::vector<uint64_t>& mask);
    // The first byte of the first word of the cells in which something is own in the first layout.
    int32_t first_own(int32_t tile) const { return tile < 0 ? 0 : first_own_[static_cast<size_t>(tile)]; }

    // The class with these values; own bytes are not looked at.
    uint32_t find(int32_t tile, uint32_t layout, const uint8_t* cells);
    void put(uint32_t i, uint8_t* cells) const;  // its values into the cells of a PE
    // Cells with its values and those that are the PE's own; the latter back into the cells of the PE.
    void join(uint32_t i, const uint8_t* cells, std::vector<uint8_t>& joined) const;
    void put_own(uint32_t i, const uint8_t* joined, uint8_t* cells) const;
    int32_t tile(uint32_t i) const { return classes_[i].tile; }
    uint32_t layout_in(uint32_t i) const { return classes_[i].layout; }
    const uint8_t* values(uint32_t i) const { return classes_[i].values; }  // own bytes are 0
    void clear();                                                           // no PE is in any

    size_t bytes() const { return pieces_.size() * kPiece + classes_.capacity() * sizeof(Class) + 4 * slots_.size(); }

  private:
    static constexpr size_t kPiece = size_t{1} << 20;
    struct Class {
        const uint8_t* values = nullptr;
        int32_t tile = -1;
        uint32_t layout = 0, hash = 0;
    };
    const uint8_t* keep(const std::vector<uint64_t>& values);
    void grow();

    std::vector<std::vector<uint64_t>> layouts_;  // masks; 0: no cells
    std::vector<uint32_t> first_;                 // of each tile
    std::vector<int32_t> first_own_;
    std::unordered_map<std::string, uint32_t> layout_ids_;
    std::vector<Class> classes_;
    std::vector<uint32_t> slots_;  // open addressing
    std::vector<uint64_t> words_;
    std::vector<std::unique_ptr<uint64_t[]>> pieces_;
    size_t piece_used_ = kPiece;
};

// Of the bytes in a mask: 0: all are shared, 1: all are own, -1: some are.
int owned(std::span<const uint64_t> mask, int32_t at, int32_t bytes);
void set_owned(std::vector<uint64_t>& mask, int32_t at, int32_t bytes, bool own);

}  // namespace wafersim::stream
