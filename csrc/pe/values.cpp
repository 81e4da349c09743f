#include "pe/values.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include "base/numbers.hpp"

namespace wafersim {
namespace {

double to_f64(Type type, uint64_t raw) {
    switch (type) {
        case Type::kF16:
            return f16_to_f64(static_cast<uint32_t>(raw));
        case Type::kBf16:
            return bf16_to_f64(static_cast<uint32_t>(raw));
        default:
            return static_cast<double>(bits_to_f32(static_cast<uint32_t>(raw)));
    }
}

uint64_t from_f64(Type type, double value) {
    switch (type) {
        case Type::kF16:
            return f64_to_f16(value);
        case Type::kBf16:
            return f64_to_bf16(value);
        default:
            return f64_to_f32_bits(value);
    }
}

uint64_t sign_bit(Type type) {
    return type == Type::kF32 ? UINT64_C(0x80000000) : UINT64_C(0x8000);
}

bool is_nan(Type type, uint64_t raw) {
    const double v = to_f64(type, raw);
    return v != v;
}

// MIN and MAX: the other operand if one is NaN, the canonical NaN if both are; -0 < +0.
uint64_t float_min_max(Type type, uint64_t a, uint64_t b, bool want_max) {
    if (is_nan(type, a)) return is_nan(type, b) ? from_f64(type, std::nan("")) : b;
    if (is_nan(type, b)) return a;
    const double x = to_f64(type, a), y = to_f64(type, b);
    bool a_less = x < y;
    if (x == y) a_less = (a & sign_bit(type)) && !(b & sign_bit(type));
    return want_max == a_less ? b : a;
}

uint64_t float_op(Op op, Type type, uint64_t a, uint64_t b) {
    const double x = to_f64(type, a), y = to_f64(type, b);
    switch (op) {
        case Op::kAdd:
            return type == Type::kF32 ? f64_to_f32_bits(static_cast<double>(bits_to_f32(static_cast<uint32_t>(a)) +
                                                                            bits_to_f32(static_cast<uint32_t>(b))))
                                      : from_f64(type, x + y);
        case Op::kSub:
            return type == Type::kF32 ? f64_to_f32_bits(static_cast<double>(bits_to_f32(static_cast<uint32_t>(a)) -
                                                                            bits_to_f32(static_cast<uint32_t>(b))))
                                      : from_f64(type, x - y);
        case Op::kMul:
            return from_f64(type, x * y);  // exact in binary64, so one rounding
        case Op::kDiv:
            return type == Type::kF32 ? f64_to_f32_bits(static_cast<double>(bits_to_f32(static_cast<uint32_t>(a)) /
                                                                            bits_to_f32(static_cast<uint32_t>(b))))
                                      : from_f64(type, x / y);
        case Op::kRem:
            return from_f64(type, std::fmod(x, y));
        case Op::kMin:
            return float_min_max(type, a, b, false);
        case Op::kMax:
            return float_min_max(type, a, b, true);
        case Op::kEq:
            return x == y;
        case Op::kNe:
            return x != y;
        case Op::kLt:
            return x < y;
        case Op::kLe:
            return x <= y;
        case Op::kGt:
            return x > y;
        case Op::kGe:
            return x >= y;
        default:
            return 0;
    }
}

template <typename T>
uint64_t widen(T v) {
    return static_cast<uint64_t>(static_cast<int64_t>(v));
}

template <typename T>
uint64_t integer_op(Op op, uint64_t ra, uint64_t rb) {
    using U = std::make_unsigned_t<T>;
    const T a = static_cast<T>(ra), b = static_cast<T>(rb);
    const U ua = static_cast<U>(ra), ub = static_cast<U>(rb);
    constexpr unsigned bits = sizeof(T) * 8;
    switch (op) {
        case Op::kAdd:
            return widen(static_cast<T>(static_cast<uint64_t>(ua) + ub));
        case Op::kSub:
            return widen(static_cast<T>(static_cast<uint64_t>(ua) - ub));
        case Op::kMul:
            return widen(static_cast<T>(static_cast<uint64_t>(ua) * ub));
        case Op::kDiv:
            if (b == 0) return widen(static_cast<T>(~U{0}));
            if (std::is_signed_v<T> && b == static_cast<T>(-1)) return widen(static_cast<T>(U{0} - ua));
            return widen(static_cast<T>(a / b));
        case Op::kRem:
            if (b == 0) return widen(a);
            if (std::is_signed_v<T> && b == static_cast<T>(-1)) return 0;
            return widen(static_cast<T>(a % b));
        case Op::kAnd:
            return widen(static_cast<T>(ua & ub));
        case Op::kOr:
            return widen(static_cast<T>(ua | ub));
        case Op::kXor:
            return widen(static_cast<T>(ua ^ ub));
        case Op::kShl:
            return widen(static_cast<T>(static_cast<uint64_t>(ua) << (ub % bits)));
        case Op::kShr:
            return widen(static_cast<T>(a >> (ub % bits)));
        case Op::kMin:
            return widen(a < b ? a : b);
        case Op::kMax:
            return widen(a < b ? b : a);
        case Op::kNeg:
            return widen(static_cast<T>(U{0} - ua));
        case Op::kNot:
            return widen(static_cast<T>(~ua));
        case Op::kAbs:
            return widen(a < 0 ? static_cast<T>(U{0} - ua) : a);
        case Op::kEq:
            return a == b;
        case Op::kNe:
            return a != b;
        case Op::kLt:
            return a < b;
        case Op::kLe:
            return a <= b;
        case Op::kGt:
            return a > b;
        case Op::kGe:
            return a >= b;
        case Op::kClz:
            return static_cast<uint64_t>(std::countl_zero(ua));
        case Op::kCtz:
            return static_cast<uint64_t>(std::countr_zero(ua));
        case Op::kPopcnt:
            return static_cast<uint64_t>(std::popcount(ua));
        default:
            return 0;
    }
}

template <typename T>
uint64_t saturate(double v) {
    if (v != v) return 0;
    v = std::trunc(v);
    if (v <= static_cast<double>(std::numeric_limits<T>::min())) return widen(std::numeric_limits<T>::min());
    if (v >= static_cast<double>(std::numeric_limits<T>::max())) return widen(std::numeric_limits<T>::max());
    return widen(static_cast<T>(v));
}

uint32_t h2(double v) {
    return f64_to_f16(v);
}
float s(uint32_t raw) {
    return bits_to_f32(raw);
}
uint32_t s2(float v) {
    return f64_to_f32_bits(static_cast<double>(v));
}

// The value scaled by a power of two into [1, 2); 0, inf and NaN unchanged.
double norm(double v) {
    if (v == 0.0 || std::isinf(v) || v != v) return v;
    int exponent;
    return std::frexp(v, &exponent) * 2.0;
}

float fused(float a, float b, float c) {
    return std::fma(b, c, a);
}

#if defined(__x86_64__) && defined(__GNUC__)
#define WAFERSIM_FMA_CLONES __attribute__((target_clones("fma", "default")))
#else
#define WAFERSIM_FMA_CLONES
#endif

}  // namespace

bool is_float(Type type) {
    return type == Type::kF16 || type == Type::kBf16 || type == Type::kF32;
}

int type_bytes(Type type) {
    switch (type) {
        case Type::kI8:
        case Type::kU8:
            return 1;
        case Type::kI32:
        case Type::kU32:
        case Type::kF32:
            return 4;
        case Type::kI64:
        case Type::kU64:
            return 8;
        default:
            return 2;
    }
}

uint64_t extend(Type type, uint64_t raw) {
    switch (type) {
        case Type::kI8:
            return widen(static_cast<int8_t>(raw));
        case Type::kI16:
            return widen(static_cast<int16_t>(raw));
        case Type::kI32:
            return widen(static_cast<int32_t>(raw));
        case Type::kU8:
            return static_cast<uint8_t>(raw);
        case Type::kU32:
        case Type::kF32:
            return static_cast<uint32_t>(raw);
        case Type::kI64:
        case Type::kU64:
            return raw;
        default:
            return static_cast<uint16_t>(raw);
    }
}

uint64_t scalar_op(Op op, Type type, uint64_t a, uint64_t b) {
    if (is_float(type)) {
        a = extend(type, a);
        b = extend(type, b);
        if (op == Op::kNeg) return a ^ sign_bit(type);
        if (op == Op::kAbs) return a & ~sign_bit(type);
        return float_op(op, type, a, b);
    }
    switch (type) {
        case Type::kI8:
            return integer_op<int8_t>(op, a, b);
        case Type::kI16:
            return integer_op<int16_t>(op, a, b);
        case Type::kI32:
            return integer_op<int32_t>(op, a, b);
        case Type::kI64:
            return integer_op<int64_t>(op, a, b);
        case Type::kU8:
            return extend(type, integer_op<uint8_t>(op, a, b));
        case Type::kU16:
            return extend(type, integer_op<uint16_t>(op, a, b));
        case Type::kU32:
            return extend(type, integer_op<uint32_t>(op, a, b));
        default:
            return integer_op<uint64_t>(op, a, b);
    }
}

uint64_t scalar_convert(Type to, Type from, uint64_t a) {
    if (is_float(from)) {
        const double v = to_f64(from, a);
        if (is_float(to)) return from_f64(to, v);
        switch (to) {
            case Type::kI8:
                return saturate<int8_t>(v);
            case Type::kI16:
                return saturate<int16_t>(v);
            case Type::kI32:
                return saturate<int32_t>(v);
            case Type::kI64:
                return saturate<int64_t>(v);
            case Type::kU8:
                return extend(to, saturate<uint8_t>(v));
            case Type::kU16:
                return extend(to, saturate<uint16_t>(v));
            case Type::kU32:
                return extend(to, saturate<uint32_t>(v));
            default:
                if (v != v || v <= 0) return 0;
                return v >= 18446744073709551616.0 ? ~UINT64_C(0) : static_cast<uint64_t>(v);
        }
    }
    const uint64_t wide = extend(from, a);
    if (!is_float(to)) return extend(to, wide);
    if (to == Type::kF32) {
        const float v = from == Type::kU64 ? static_cast<float>(wide) : static_cast<float>(static_cast<int64_t>(wide));
        return f32_to_bits(v);
    }
    const double v = from == Type::kU64 ? static_cast<double>(wide) : static_cast<double>(static_cast<int64_t>(wide));
    return from_f64(to, v);
}

uint64_t scalar_math(MathFn fn, Type type, uint64_t a) {
    const double x = to_f64(type, a);
    switch (fn) {
        case MathFn::kSqrt:
            if (!(x >= 0)) return from_f64(type, std::nan(""));  // of either sign on this host
            return type == Type::kF32 ? f32_to_bits(std::sqrt(bits_to_f32(static_cast<uint32_t>(a))))
                                      : from_f64(type, std::sqrt(x));
        case MathFn::kRsqrt:
            return from_f64(type, 1.0 / std::sqrt(x));
        case MathFn::kFloor:
            return from_f64(type, std::floor(x));
        case MathFn::kCeil:
            return from_f64(type, std::ceil(x));
        case MathFn::kTrunc:
            return from_f64(type, std::trunc(x));
        default:
            return from_f64(type, reproducible_math(fn, x));
    }
}

uint32_t vector_element(VOp op, uint32_t a, uint32_t b, uint32_t c, uint32_t& carry) {
    const auto b16 = static_cast<int16_t>(b);
    switch (op) {
        case VOp::kAdd16:
            return (a + b) & 0xffff;
        case VOp::kAddc16: {
            const uint32_t sum = (a & 0xffff) + (b & 0xffff) + carry;
            carry = sum >> 16;
            return sum & 0xffff;
        }
        case VOp::kSub16:
            return (a - b) & 0xffff;
        case VOp::kAnd16:
            return a & b & 0xffff;
        case VOp::kOr16:
            return (a | b) & 0xffff;
        case VOp::kXor16:
            return (a ^ b) & 0xffff;
        case VOp::kMov16:
        case VOp::kFmovh:
            return a & 0xffff;
        case VOp::kMov32:
        case VOp::kFmovs:
            return a;
        case VOp::kSar16:
            return static_cast<uint16_t>(static_cast<int16_t>(a) >> (b & 15));
        case VOp::kSll16:
            return (a << (b & 15)) & 0xffff;
        case VOp::kSlr16:
            return (a & 0xffff) >> (b & 15);
        case VOp::kClz:
            return static_cast<uint32_t>(std::countl_zero(static_cast<uint16_t>(a)));
        case VOp::kCtz:
            return static_cast<uint32_t>(std::countr_zero(static_cast<uint16_t>(a)));
        case VOp::kPopcnt:
            return static_cast<uint32_t>(std::popcount(a & 0xffffu));
        case VOp::kFaddh:
            return h2(f16_to_f64(a) + f16_to_f64(b));
        case VOp::kFsubh:
            return h2(f16_to_f64(a) - f16_to_f64(b));
        case VOp::kFmulh:
            return h2(f16_to_f64(a) * f16_to_f64(b));
        case VOp::kFmach:
            return h2(f16_to_f64(a) + f16_to_f64(b) * f16_to_f64(c));
        case VOp::kFabsh:
            return a & 0x7fff;
        case VOp::kFnegh:
            return (a ^ 0x8000) & 0xffff;
        case VOp::kFmaxh:
            return static_cast<uint32_t>(float_min_max(Type::kF16, a & 0xffff, b & 0xffff, true));
        case VOp::kFnormh:
            return (a & 0x7fff) > 0x7c00 ? a & 0xffff : h2(norm(f16_to_f64(a)));
        case VOp::kFscaleh:
            return h2(std::ldexp(f16_to_f64(a), b16));
        case VOp::kFadds:
            return s2(s(a) + s(b));
        case VOp::kFsubs:
            return s2(s(a) - s(b));
        case VOp::kFmuls:
            return s2(s(a) * s(b));
        case VOp::kFmacs:
            return s2(fused(s(a), s(b), s(c)));
        case VOp::kFabss:
            return a & 0x7fffffff;
        case VOp::kFnegs:
            return a ^ 0x80000000u;
        case VOp::kFmaxs:
            return static_cast<uint32_t>(float_min_max(Type::kF32, a, b, true));
        case VOp::kFnorms:
            return (a & 0x7fffffff) > 0x7f800000 ? a : f64_to_f32_bits(norm(static_cast<double>(s(a))));
        case VOp::kFscales:
            return f64_to_f32_bits(std::ldexp(static_cast<double>(s(a)), b16));
        case VOp::kFaddhs:
            return f64_to_f32_bits(static_cast<double>(s(a)) + f16_to_f64(b));
        case VOp::kFmachs:
            return f64_to_f32_bits(static_cast<double>(s(a)) + f16_to_f64(b) * f16_to_f64(c));
        case VOp::kFh2s:
            return f64_to_f32_bits(f16_to_f64(a));
        case VOp::kFs2h:
            return h2(static_cast<double>(s(a)));
        case VOp::kFh2xp16:
            return static_cast<uint32_t>(saturate<int16_t>(f16_to_f64(a))) & 0xffff;
        case VOp::kFs2xp16:
            return static_cast<uint32_t>(saturate<int16_t>(static_cast<double>(s(a)))) & 0xffff;
        case VOp::kXp162fh:
            return h2(static_cast<double>(static_cast<int16_t>(a)));
        case VOp::kXp162fs:
            return f64_to_f32_bits(static_cast<double>(static_cast<int16_t>(a)));
        case VOp::kDfilt:
            return 0;
    }
    return 0;
}

WAFERSIM_FMA_CLONES
void fmacs_loop(float* dst, const float* a, const float* b, float c, int64_t n, int64_t sd, int64_t sa, int64_t sb) {
    const float quiet = bits_to_f32(0x7fc00000u);  // one NaN, as in vector_element
    if (sd == 1 && sa == 1 && sb == 1) {
        for (int64_t i = 0; i < n; ++i) {
            const float r = __builtin_fmaf(b[i], c, a[i]);
            dst[i] = r == r ? r : quiet;
        }
    } else {
        for (int64_t i = 0; i < n; ++i) {
            const float r = __builtin_fmaf(b[i * sb], c, a[i * sa]);
            dst[i * sd] = r == r ? r : quiet;
        }
    }
}

}  // namespace wafersim
