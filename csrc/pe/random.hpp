// The random numbers of a PE (docs/semantics.md, section 3): a Galois register of x^23 + x^18 + 1, 128 steps per use.
#pragma once
#include <cstdint>

namespace wafersim {

inline uint32_t first_random(uint64_t seed, uint32_t x, uint32_t y) {
    uint64_t z = seed * UINT64_C(0x9e3779b97f4a7c15) + (static_cast<uint64_t>(y) << 32) + x;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    const uint32_t s = (0xdeadbeefu ^ static_cast<uint32_t>(z)) & 0x7fffff;
    return s ? s : 1;
}

inline uint32_t next_random(uint32_t& state) {
    uint32_t s = state & 0x7fffff;
    for (int i = 0; i < 128; ++i) s = s >> 1 ^ ((s & 1) ? 0x420000u : 0u);
    return state = s;
}

}  // namespace wafersim
