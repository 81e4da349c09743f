// An operand of a running vector op; both fidelities walk through its elements with it.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace wafersim {

enum class Source : uint8_t { kNone, kMem, kFabin, kFabout, kFifo, kReg, kPtr, kImm };

// The descriptor as read at the op's start, plus where it has got to.
struct Operand {
    Source kind = Source::kNone;
    uint8_t elem_bytes = 4, ndim = 1;
    bool control = false, index_offset = false, advance_switch = false, save = false;
    int16_t queue = -1, color = -1, fifo = -1, dsr = -1;
    int32_t base = 0, addr = 0, low = 0, high = 0;
    std::array<int32_t, 4> ext{1, 1, 1, 1}, step{0, 0, 0, 0}, index{0, 0, 0, 0};
    int32_t reg = -1;
    uint32_t imm = 0;
    bool is_vector() const { return kind >= Source::kMem && kind <= Source::kFifo; }
    bool is_memory() const { return kind == Source::kMem || kind == Source::kFifo; }
    void advance() {  // to the next element in memory
        if (++index[0] < ext[0] || ndim == 1) {
            addr += step[0];
            return;
        }
        index[0] = 0;
        for (size_t i = 1; i < ndim; ++i) {
            if (++index[i] < ext[i] || i + 1 == ndim) break;
            index[i] = 0;
        }
        addr = base;
        for (size_t i = 0; i < ndim; ++i) addr += index[i] * step[i];
    }
};

}  // namespace wafersim
