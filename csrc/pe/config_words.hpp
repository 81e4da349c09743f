// The bits of configuration words of colors (docs/semantics.md, section 3); both fidelities take them from here.
#pragma once
#include <array>
#include <bit>
#include <cstdint>

namespace wafersim {

// Configuration words use the order W, E, S, N, R from bit 0 on; masks use N, E, S, W, R.
inline constexpr int kConfigBit[5] = {3, 1, 2, 0, 4};

inline uint32_t mask_to_config(uint32_t mask) {
    uint32_t out = 0;
    for (int port = 0; port < 5; ++port)
        if (mask >> port & 1) out |= 1u << kConfigBit[port];
    return out;
}

inline uint32_t config_to_mask(uint32_t bits) {
    uint32_t out = 0;
    for (int port = 0; port < 5; ++port)
        if (bits >> kConfigBit[port] & 1) out |= 1u << port;
    return out;
}

using PortMasks = std::array<uint8_t, 4>;

// The low 12 bits of the switch word as a route class says them: for positions 1 to 3 a direction and a select bit, 5
// if they cannot say it.
inline int32_t switch_bits(const PortMasks& in, const PortMasks& out, int num_positions) {
    auto direction = [](uint32_t mask) { return static_cast<uint32_t>(std::countr_zero(mask_to_config(mask))); };
    uint32_t word = 0;
    for (size_t k = 1; k < 4; ++k) {
        uint32_t nibble = 5;
        if (static_cast<int>(k) < num_positions) {
            if (out[k] == out[k - 1] && std::has_single_bit(in[k]))
                nibble = 8u | direction(in[k]);
            else if (in[k] == in[k - 1] && std::has_single_bit(out[k]))
                nibble = direction(out[k]);
        }
        word |= nibble << 4 * (k - 1);
    }
    return static_cast<int32_t>(word);
}

// Positions 1 to 3 follow from position 0 and the switch word, each from the one before; the first invalid one ends
// them. Returns how many there are.
inline int switch_positions(PortMasks& in, PortMasks& out, int32_t switch_word) {
    for (size_t k = 1; k < 4; ++k) {
        const uint32_t nibble = static_cast<uint32_t>(switch_word) >> 4 * (k - 1) & 15;
        if ((nibble & 7) >= 5) return static_cast<int>(k);
        const auto mask = static_cast<uint8_t>(config_to_mask(1u << (nibble & 7)));
        in[k] = nibble & 8 ? mask : in[k - 1];
        out[k] = nibble & 8 ? out[k - 1] : mask;
    }
    return 4;
}

}  // namespace wafersim
