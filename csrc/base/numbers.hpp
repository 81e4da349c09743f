// Number formats: exact, machine-independent conversions. Every result is rounded once, to nearest even.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace wafersim {

inline float bits_to_f32(uint32_t bits) {
    return std::bit_cast<float>(bits);
}
inline uint32_t f32_to_bits(float value) {
    return std::bit_cast<uint32_t>(value);
}

// A binary float narrower than binary32: `exp_bits` and `man_bits`, IEEE layout, bias 2^(exp_bits-1)-1.
template <int exp_bits, int man_bits>
inline double narrow_to_f64(uint32_t bits) {
    constexpr int bias = (1 << (exp_bits - 1)) - 1;
    const uint32_t sign = bits >> (exp_bits + man_bits) & 1u;
    const uint32_t exponent = bits >> man_bits & ((1u << exp_bits) - 1);
    const uint32_t mantissa = bits & ((1u << man_bits) - 1);
    double magnitude;
    if (exponent == (1u << exp_bits) - 1)
        magnitude = mantissa ? std::bit_cast<double>(UINT64_C(0x7ff8000000000000))
                             : std::bit_cast<double>(UINT64_C(0x7ff0000000000000));
    else if (exponent == 0)
        magnitude = std::ldexp(static_cast<double>(mantissa), 1 - bias - man_bits);
    else
        magnitude =
            std::ldexp(static_cast<double>(mantissa | (1u << man_bits)), static_cast<int>(exponent) - bias - man_bits);
    return sign ? -magnitude : magnitude;
}

template <int exp_bits, int man_bits>
inline uint32_t f64_to_narrow(double value) {
    constexpr int bias = (1 << (exp_bits - 1)) - 1;
    constexpr uint32_t inf = ((1u << exp_bits) - 1) << man_bits;
    const uint64_t raw = std::bit_cast<uint64_t>(value);
    const uint32_t sign = static_cast<uint32_t>(raw >> 63) << (exp_bits + man_bits);
    const int exponent = static_cast<int>(raw >> 52 & 0x7ff);
    uint64_t mantissa = raw & ((UINT64_C(1) << 52) - 1);
    if (exponent == 0x7ff) return mantissa ? (inf | 1u << (man_bits - 1)) : (sign | inf);  // one NaN, positive
    if (exponent == 0) return sign;  // below the smallest subnormal of every narrow format
    mantissa |= UINT64_C(1) << 52;
    int e = exponent - 1023 + bias;  // biased exponent in the narrow format
    int drop = 52 - man_bits;
    if (e < 1) {
        drop += 1 - e;
        e = 0;
    }
    if (drop > 54) return sign;
    uint64_t kept = mantissa >> drop;
    const uint64_t rest = mantissa & ((UINT64_C(1) << drop) - 1);
    const uint64_t half = UINT64_C(1) << (drop - 1);
    if (rest > half || (rest == half && (kept & 1))) ++kept;
    // `kept` carries the hidden bit for normal numbers; adding lets a carry move into the exponent.
    uint64_t out = e == 0 ? kept : (static_cast<uint64_t>(e - 1) << man_bits) + kept;
    if (out >= inf) out = inf;
    return sign | static_cast<uint32_t>(out);
}

inline double f16_to_f64(uint32_t bits) {
    return narrow_to_f64<5, 10>(bits & 0xffff);
}
inline uint32_t f64_to_f16(double value) {
    return f64_to_narrow<5, 10>(value);
}
inline double bf16_to_f64(uint32_t bits) {
    return narrow_to_f64<8, 7>(bits & 0xffff);
}
inline uint32_t f64_to_bf16(double value) {
    return f64_to_narrow<8, 7>(value);
}
// binary64 to binary32, one rounding: the hardware conversion is exactly that.
inline uint32_t f64_to_f32_bits(double value) {
    if (value != value) return 0x7fc00000u;
    return f32_to_bits(static_cast<float>(value));
}

}  // namespace wafersim
