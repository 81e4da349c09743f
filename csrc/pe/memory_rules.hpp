// What memory operands of vector operations cost and cover (docs/semantics.md, sections 4.1 and 4.3); both fidelities
// take it from here.
#pragma once
#include <algorithm>
#include <cstdint>

#include "program/program.hpp"

namespace wafersim {

// Most elements of a beat by the stride, in bytes from one element to the next.
inline int stride_cap(int step, int elem_bytes) {
    const int s = step / 2;  // in 16-bit words
    if (s == 0 || s == 1 || (elem_bytes == 4 && (s == 2 || s == -2))) return 16;
    switch (((s % 8) + 8) % 8) {
        case 0:
            return 1;
        case 4:
            return elem_bytes == 4 ? 1 : 2;
        case 1:
        case 7:
            return 2;
        default:
            return 16;
    }
}

struct OffsetSpan {
    int64_t low, high;
};

// Lowest and highest offset, in elements, of the first `count` > 0 elements of a descriptor's first `ndim` dimensions.
// A count that is no whole number of rows ends within the last one.
inline OffsetSpan offsets(const Dsd& d, int ndim, int64_t count) {
    const auto outer = static_cast<size_t>(ndim - 1);
    const int64_t stride = d.stride[outer];
    if (ndim == 1) return {std::min<int64_t>((count - 1) * stride, 0), std::max<int64_t>((count - 1) * stride, 0)};
    int64_t row = 1;
    for (size_t i = 0; i < outer; ++i) row *= std::max(d.ext[i], 1);
    const int64_t rows = count / row, rest = count % row;
    OffsetSpan span{INT64_MAX, INT64_MIN};
    if (rows > 0) {
        const OffsetSpan whole = offsets(d, ndim - 1, row);
        const int64_t last = (rows - 1) * stride;
        span = {whole.low + std::min<int64_t>(last, 0), whole.high + std::max<int64_t>(last, 0)};
    }
    if (rest > 0) {
        const OffsetSpan part = offsets(d, ndim - 1, rest);
        span.low = std::min(span.low, part.low + rows * stride);
        span.high = std::max(span.high, part.high + rows * stride);
    }
    return span;
}

// The bytes from the lowest to behind the highest that a memory descriptor touches over `length` > 0 elements.
inline void memory_range(const Dsd& d, int64_t length, int64_t& low, int64_t& high) {
    const OffsetSpan span = offsets(d, std::max(d.ndim, 1), length);
    low = d.base + span.low * d.elem_bytes;
    high = d.base + (span.high + 1) * d.elem_bytes;
}

}  // namespace wafersim
