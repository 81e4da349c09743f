// Tapes in a form that runs fast: what guards need and what writes need apart, common terms in a few bytes.
#pragma once
#include <cstdint>
#include <vector>

#include "program/opcodes.hpp"

namespace wafersim::stream {

struct Term;
struct CellWrite;

// One step of it: a load, or integer arithmetic with at most one constant; the rest are terms as they are.
struct Quick {
    enum class Kind : uint8_t {
        kTerm,   // general[operand[0]]
        kLoad,   // operand[1] bytes from operand[0] on
        kLoad8,  // 8 bytes
        kLoad2,  // 2 bytes, with the sign if `is_signed`
        kExtend,
        kMov,
        kSelect,
        kAdd,
        kSub,
        kMul,
        kAnd,
        kOr,
        kXor,
        kEq,
        kNe,
        kLt,
        kLe,
        kGt,
        kGe
    };
    Kind kind = Kind::kTerm;
    uint8_t shift = 0;  // 64 less the bits of the type
    bool is_signed = false, guard = false;
    int32_t operand[3] = {-1, -1, -1};  // steps; -1: the constant
    uint64_t constant = 0, value = 0;   // a guard wants the value
};

// A test of a half word of the 8 bytes that a PE's own values begin with: it lies from `low` on, at most `span`
// further, where 0 follows 65,535. All comparisons of 16 bits with a constant are such.
struct HalfRange {
    uint16_t low = 0, span = 0;
    bool holds(uint64_t word, uint8_t bits) const {
        return static_cast<uint16_t>(static_cast<uint16_t>(word >> bits) - low) <= span;
    }
};
struct HalfRanges {
    static constexpr uint8_t kMost = 3, kNone = 255;
    uint8_t count = kNone;  // kNone: the guards are not of this kind
    uint8_t bits[kMost] = {};
    HalfRange range[kMost] = {};
    bool hold(uint64_t word) const {
        for (int i = 0; i < count; ++i)
            if (!range[i].holds(word, bits[i])) return false;
        return true;
    }
};

struct Code {
    struct Store {
        int32_t at = 0, bytes = 0, step = -1;  // -1: the constant
        uint64_t constant = 0;
    };
    // A guard that compares what is loaded with a constant.
    struct Check {
        Quick load, compare;  // of the load, its only operand
    };
    std::vector<Quick> steps;
    std::vector<Term> general;  // their operands are steps
    std::vector<Store> stores;
    std::vector<Check> checks;  // if this is all there is to do, the same as the steps

    // The steps that guards or writes need, for the cells of a PE; false if a guard does not hold.
    bool run(const uint8_t* cells, std::vector<uint64_t>& values) const;
    void find_checks();
    // Whether its guards are checks of these 8 bytes; whether they hold for such.
    bool only_reads(int32_t at) const;
    bool check(const uint8_t* bytes, int32_t at) const;
    HalfRanges ranges(int32_t at) const;  // the same as tests of the word there
    void store(const std::vector<uint64_t>& values, uint8_t* cells) const;
};

Code code_of_guards(const std::vector<Term>& terms);
Code code_of_writes(const std::vector<Term>& terms, const std::vector<CellWrite>& writes);

}  // namespace wafersim::stream
