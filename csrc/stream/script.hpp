// What a visit to a PE reads and writes of its values, in order: recorded while it is made, played again where the same
// visit is looked up. The reads are guards: another value means another visit.
#pragma once
#include <cstdint>
#include <vector>

#include "base/types.hpp"

namespace wafersim::stream {

struct Step {
    enum class Kind : uint8_t {
        kChoose,    // the values choose stretch number `value`
        kEnter,     // the values behind stretch number `value`
        kRun,       // both
        kRegister,  // register `at` holds `value`
        kInside,    // register `at` plus `value` is an address in SRAM
        kBytes,     // `bytes` bytes from `at` hold `value`
        kSet,       // register `at` becomes `value`
        kClock,     // register `at` becomes the cycle: `clock_value` of part `bytes`
    };
    Kind kind = Kind::kSet;
    int8_t bytes = 8;
    int32_t at = 0;
    uint64_t value = 0;
    bool reads() const { return kind != Kind::kEnter && kind != Kind::kSet && kind != Kind::kClock; }
    bool writes() const {
        return kind == Kind::kEnter || kind == Kind::kRun || kind == Kind::kSet || kind == Kind::kClock;
    }
};

struct Script {
    bool on = false;
    std::vector<Step> steps;
    void begin() { on = true, steps.clear(); }
    void add(const Step& s) {
        if (on) steps.push_back(s);
    }
    void enter(uint64_t stretch) {
        if (!steps.empty() && steps.back().kind == Step::Kind::kChoose && steps.back().value == stretch)
            steps.back().kind = Step::Kind::kRun;
        else
            steps.push_back({Step::Kind::kEnter, 0, 0, stretch});
    }
};

// What a load of the cycle counter gives: word 0 its control, words 1 to 3 the cycle; -1: a time stamp.
inline uint64_t clock_value(Cycle t, int word) {
    if (word < 0) return static_cast<uint64_t>(t) & ((UINT64_C(1) << 48) - 1);
    return static_cast<uint64_t>(t) >> 16 * (word - 1) & 0xffff;
}

}  // namespace wafersim::stream
