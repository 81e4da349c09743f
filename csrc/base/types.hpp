// Words that every room uses: time, places, directions, errors.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

namespace wafersim {

using Cycle = int64_t;
inline constexpr Cycle kForever = INT64_MAX / 4;

struct PeCoord {
    int32_t x = 0;
    int32_t y = 0;
};

// Port numbers are the bit numbers of route masks (schema.Port).
inline constexpr int kPortNorth = 0, kPortEast = 1, kPortSouth = 2, kPortWest = 3, kPortRamp = 4;
inline constexpr int opposite(int port) {
    return port ^ 2;
}
inline constexpr int kDx[4] = {0, 1, 0, -1};
inline constexpr int kDy[4] = {-1, 0, 1, 0};

// A table that does not describe a machine program, or a constant out of range. Mapped to ProgramError.
struct ProgramFault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The simulated program did something that the machine cannot do; ends the run with a place.
struct RunFault {
    std::string message;
    PeCoord pe;
    int color = -1;
    int line = -1;
    Cycle cycle = 0;
};

}  // namespace wafersim
