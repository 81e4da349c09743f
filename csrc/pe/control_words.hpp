// What a control wavelet at the head of an input queue is to an op that reads the queue.
#pragma once

#include <cstdint>

#include "fabric/queues.hpp"
#include "program/program.hpp"

namespace wafersim {

// Whether an op that does nothing on control wavelets takes this one as data: it names no control task of the tile.
inline bool is_data(const Tile& tile, OnControl on_control, const Wavelet& wavelet) {
    if (!wavelet.control()) return true;
    return on_control == OnControl::kNone && tile.control_task[static_cast<size_t>(wavelet.payload >> 16 & 63)] < 0;
}

}  // namespace wafersim
