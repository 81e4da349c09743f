// What a transition computes on the values of one PE: recorded once as terms over the values before it, guarded where a
// value decides what happens, and evaluated again for every PE that makes the same transition.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "program/opcodes.hpp"
#include "stream/tape_code.hpp"

namespace wafersim::stream {

struct Term {
    enum class Kind : uint8_t { kLoad, kOp, kExtend };
    Kind kind = Kind::kOp;
    Op op = Op::kNop;
    Type type = Type::kU64;
    bool fixed = false, guard = false;
    int32_t imm = 0;                    // kLoad: first byte; kOp: the instruction's IMM
    int32_t bytes = 8;                  // of a load
    int32_t operand[3] = {-1, -1, -1};  // terms; -1: the constant beside it
    uint64_t constant[3] = {};
    uint64_t value = 0;  // when recorded; a guard wants the same
};

struct CellWrite {
    int32_t at = 0, bytes = 0, term = -1;  // -1: the constant
    uint64_t constant = 0;
};

struct Tape {
    std::vector<Term> terms;
    std::vector<CellWrite> writes;
    Code guards_code, writes_code;
    void make_code();
    bool empty() const { return terms.empty() && writes.empty(); }
    bool guarded() const {
        return std::any_of(terms.begin(), terms.end(), [](const Term& t) { return t.guard; });
    }
};

Tape needed(Tape all);  // without the terms that neither guards nor writes need
uint64_t evaluate(const Term& t, const uint64_t* values);
// What a term has come to: another term, or the constant (-1).
struct Folded {
    int32_t term = -1;
    uint64_t constant = 0;
};
// The term over what its operands have come to, without a guard; `known`: all of them are constants.
Term fold(const Term& t, const std::vector<Folded>& values, bool& known);
// Whether the guards hold for the cells of a PE; what it writes there. `values`: space for the terms.
bool matches(const Tape& tape, const uint8_t* cells, std::vector<uint64_t>& values);
void commit(const Tape& tape, std::vector<uint64_t>& values, uint8_t* cells);

// Collects a tape while a transition runs. Registers come first in the cells, 8 bytes each, then the bytes of memory.
class Recorder {
  public:
    void begin(std::size_t registers);
    Tape finish();

    int32_t load_register(int32_t r, uint64_t value);  // term of its value, -1: a constant
    void store_register(int32_t r, uint64_t value, int32_t term);
    void forget_register(int32_t r);  // its value is array data
    void drop_register(int32_t r);    // nobody reads what was written
    // Term of `bytes` bytes of memory; `memory` holds their values now.
    int32_t load_bytes(int32_t at, int32_t bytes, const uint8_t* memory);
    void store_bytes(int32_t at, int32_t bytes, uint64_t value, int32_t term);
    void forget_bytes(int32_t at, int32_t bytes);  // they become unknown
    int32_t add(const Term& t);
    bool is_fixed(int32_t term) const { return terms_[static_cast<size_t>(term)].fixed; }
    void fix(int32_t term);  // from now on the transition is valid for this value only

  private:
    struct Stored {
        int32_t bytes;
        int32_t term;
        uint64_t value;
    };
    struct RegState {
        int32_t term = -2;  // -2: not touched yet, -1: a constant
        bool written = false;
        uint64_t value = 0;
    };
    std::vector<Term> terms_;
    std::vector<RegState> regs_;
    using Bytes = std::map<int32_t, Stored>;  // by first byte; no two overlap, none is longer than 8 bytes
    Bytes::iterator reaching(int32_t at);
    Bytes bytes_;

  public:
    // A trial: what was recorded since is forgotten, but guards stay.
    struct Mark {
        std::vector<RegState> regs;
        Bytes bytes;
    };
    Mark mark() const { return {regs_, bytes_}; }
    void back_to(Mark&& m) { regs_ = std::move(m.regs), bytes_ = std::move(m.bytes); }
};

}  // namespace wafersim::stream
