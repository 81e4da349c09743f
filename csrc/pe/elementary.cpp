// exp, log, sin, cos and tanh with the same bits on every host: the C library's versions differ between hosts.
#include <cmath>
#include <limits>

#include "pe/values.hpp"

namespace wafersim {
namespace {

constexpr double kLn2High = 6.93147180369123816490e-01;  // ln 2 in two parts; the first has 32 trailing zero bits
constexpr double kLn2Low = 1.90821492927058770002e-10;
constexpr double kPi = 3.14159265358979323846;

double exp_of(double x) {
    if (x != x) return x;
    if (x > 709.8) return std::numeric_limits<double>::infinity();
    if (x < -745.2) return 0.0;
    const double k = std::floor(x / (kLn2High + kLn2Low) + 0.5);
    const double r = (x - k * kLn2High) - k * kLn2Low;  // |r| <= ln 2 / 2
    double sum = 1.0;
    for (int n = 17; n >= 1; --n) sum = 1.0 + sum * r / n;
    return std::ldexp(sum, static_cast<int>(k));
}

double log_of(double x) {
    if (x != x || x < 0) return std::numeric_limits<double>::quiet_NaN();
    if (x == 0) return -std::numeric_limits<double>::infinity();
    if (std::isinf(x)) return x;
    int k;
    double m = std::frexp(x, &k);  // [0.5, 1)
    if (m < 0.70710678118654752) {
        m *= 2;
        --k;
    }
    const double s = (m - 1) / (m + 1), z = s * s;  // log m = 2 artanh s, |s| < 0.172
    double sum = 0;
    for (int n = 25; n >= 1; n -= 2) sum = sum * z + 1.0 / n;
    return k * kLn2High + (2 * s * sum + k * kLn2Low);
}

// sin for |x| <= pi / 4, and cos.
double sin_small(double x) {
    const double z = x * x;
    double sum = 1.0;
    for (int n = 19; n >= 3; n -= 2) sum = 1.0 - sum * z / (n * (n - 1));
    return x * sum;
}
double cos_small(double x) {
    const double z = x * x;
    double sum = 1.0;
    for (int n = 20; n >= 2; n -= 2) sum = 1.0 - sum * z / (n * (n - 1));
    return sum;
}

// Arguments are reduced modulo the binary64 nearest to 2 pi: exact for small ones, off by about |x| * 4e-17 for large
// ones.
double sin_of(double x, int quarter) {
    if (x != x || std::isinf(x)) return std::numeric_limits<double>::quiet_NaN();
    const double r = std::fmod(x, 2 * kPi);
    const double k = std::floor(r / (kPi / 2) + 0.5);
    const double y = r - k * (kPi / 2);
    switch ((static_cast<int>(k) + quarter + 8) % 4) {
        case 0:
            return sin_small(y);
        case 1:
            return cos_small(y);
        case 2:
            return -sin_small(y);
        default:
            return -cos_small(y);
    }
}

double tanh_of(double x) {
    const double a = std::fabs(x);
    if (a < 1e-3) {
        const double z = x * x;
        return x * (1.0 - z / 3.0 + z * z * 2.0 / 15.0);
    }
    const double t = 1.0 - 2.0 / (exp_of(2 * a) + 1.0);
    return x < 0 ? -t : t;
}

}  // namespace

double reproducible_math(MathFn fn, double x) {
    switch (fn) {
        case MathFn::kExp:
            return exp_of(x);
        case MathFn::kLog:
            return log_of(x);
        case MathFn::kSin:
            return sin_of(x, 0);
        case MathFn::kCos:
            return sin_of(x, 1);
        case MathFn::kTanh:
            return x != x ? x : tanh_of(x);
        default:
            return 0;
    }
}

}  // namespace wafersim
