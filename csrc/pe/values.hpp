// Values of scalar and vector operations: pure functions on raw bits (docs/semantics.md, sections 3 and 4.5).
#pragma once
#include <cstdint>

#include "program/opcodes.hpp"

namespace wafersim {

// Result of a scalar operation on register contents. CVT takes the source type in `from`.
uint64_t scalar_op(Op op, Type type, uint64_t a, uint64_t b);
uint64_t scalar_convert(Type to, Type from, uint64_t a);
uint64_t scalar_math(MathFn fn, Type type, uint64_t a);
// Elementary functions in binary64 from additions, multiplications and divisions only: the same bits on every host,
// within a few units in the last place of binary64.
double reproducible_math(MathFn fn, double x);
bool is_float(Type type);
int type_bytes(Type type);
// Low bits of a memory word as a register keeps them (sign-extended for signed types).
uint64_t extend(Type type, uint64_t raw);

// Float arithmetic whose results take latency_fp; moves and conversions to integers do not count.
inline bool is_float_op(VOp op) {
    return op >= VOp::kFaddh && op <= VOp::kFmachs;
}

// One element of a vector operation. a, b, c: raw source bits; carry: state of addc16.
uint32_t vector_element(VOp op, uint32_t a, uint32_t b, uint32_t c, uint32_t& carry);

// Contiguous or strided float loops for the common case, elements in order; strides in elements.
void fmacs_loop(float* dst, const float* a, const float* b, float c, int64_t n, int64_t sd, int64_t sa, int64_t sb);

}  // namespace wafersim
