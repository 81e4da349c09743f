// The main thread of a PE without values: scalar code, loops, descriptors and vector ops on memory, costed in one step
// and memoised. A register or memory word is either known or unknown; a branch on an unknown one is refused.
#pragma once
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "arch/arch.hpp"
#include "pe/values.hpp"
#include "program/program.hpp"

namespace wafersim::stream {

struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Bytes that scalar code uses as state: parameters and absolute addresses of loads and stores, per tile.
struct ControlBytes {
    std::vector<std::pair<int32_t, int32_t>> ranges;  // [address, end), sorted
    std::vector<int32_t> offset;                      // of each range in the PE's copy
    int32_t bytes = 0;
    int find(int64_t low, int64_t high) const {  // offset of [low, high) or -1
        for (size_t i = 0; i < ranges.size(); ++i)
            if (low >= ranges[i].first && high <= ranges[i].second) return offset[i] + static_cast<int>(low) - ranges[i].first;
        return -1;
    }
};

struct Reg {
    uint64_t value = 0;
    Cycle ready = 0;
    bool known = true;
};
struct DsrState {
    int32_t dsd = 0;  // interned descriptor with its settings
    Cycle ready = 0;
};
struct Recent {
    Cycle start = -1000;
    int32_t low = 0, high = 0;
};

// State of the main thread: what a local block reads and writes.
struct Main {
    const Tile* tile = nullptr;
    const ControlBytes* control = nullptr;
    bool in_task = false;
    int32_t task = -1, pc = 0;
    Cycle next_issue = 0, next_vector = 0, free_at = 0, last_issue = -1, end = 0;
    std::vector<int32_t> calls, slots;
    std::vector<Reg> regs;
    std::vector<DsrState> dsrs;
    std::vector<uint8_t> memory, unknown;  // control bytes
    Recent recent[4];
    int recent_next = 0;
    uint64_t active = 0, blocked = 0;
    int32_t done = 0;
    int priority = static_cast<int>(Priority::kMainMediumLow);
};

enum class Loc : uint8_t { kReg, kRegReady, kSlot, kDsr, kDsrReady, kByte };
struct Fact {
    Loc loc;
    int32_t index;
    uint64_t value;
    bool known;
    int32_t term = -1;  // the value is that of a term
    int32_t shift = 0;  // bytes of memory: which byte of it
};

// A scalar value of a block that depends on the state before it, in terms of that state. Only what decides on costs
// (branch outcomes, addresses, lengths) is guarded; other values are computed again when the block is reused.
struct Term {
    enum class Kind : uint8_t { kReg, kBytes, kOp, kExtend } kind = Kind::kOp;
    Op op = Op::kNop;
    Type type = Type::kU64;
    int32_t imm = 0;                  // register, first byte, or the instruction's IMM
    int32_t operand[3] = {-1, -1, -1};  // terms; -1: the constant beside it
    uint64_t constant[3] = {};
    uint64_t value = 0;
    bool fixed = false, guard = false;
};

// A local block: conditions under which it was seen, and what it did.
struct Block {
    std::vector<Fact> needs, makes;
    std::vector<Term> terms;
    std::vector<int32_t> calls_before, calls_after;
    Cycle lead_issue = 0, lead_vector = 0;  // next_issue, next_vector at the start, relative to it
    uint64_t set_active = 0, set_blocked = 0, clear_blocked = 0;
    int32_t done = 0, pc_after = 0;
    bool in_task_after = true;
    Cycle next_issue = 0, next_vector = 0, free_at = 0, last_issue = 0, end = 0, stop = 0;
    std::vector<Recent> recent;
    int64_t instructions = 0;
};

class Local {
  public:
    Local(const Program& program, const Arch& arch);

    enum class Why { kNotLocal, kTaskEnded, kLimit };
    // Runs local instructions that issue before `limit`; stops at the first other one.
    Why run(Main& m, Cycle now, Cycle limit, Cycle slot_free);
    // Cycle from which the instruction at pc can issue by the pipeline.
    Cycle ready_from(const Main& m, Cycle t);
    bool is_local(const Main& m) const;
    // The block that starts at cycle t in this state: from memory, or by running a copy. nullptr: none.
    const Block* block(const Main& m, Cycle t);
    void commit(Main& m, const Block& b, Cycle t);
    void execute(Main& m, const Instr& in, Cycle t);  // one local instruction
    Settings settings_of(const Main& m, const Instr& in) const;
    const Dsd* dsr(const Main& m, int32_t encoded) const;
    int64_t vector_length(const Main& m, const Instr& in) const;
    int32_t intern(const Dsd& d);
    const Dsd& dsd(int32_t id) const { return pool_[static_cast<size_t>(id)]; }
    void memory_range(const Dsd& d, int64_t length, int64_t& low, int64_t& high) const;
    void vector_writes(Main& m, int64_t low, int64_t high);
    int dsr_index(const Main& m, int32_t dsr) const;
    int width_of(const Main& m, const Instr& in, VOp vop) const;

    uint64_t instructions = 0, replayed = 0, hits = 0, misses = 0, blocks = 0, block_instructions = 0;
    bool memo = true;

  private:
    struct Uses {
        int32_t regs[6] = {}, dsrs[4] = {};
        int num_regs = 0, num_dsrs = 0;
        bool vector = false, local = false;
    };
    Uses uses(const Instr& in) const;
    uint64_t read(Main& m, int32_t r, bool& known);
    void write(Main& m, int32_t r, uint64_t value, bool known, Cycle ready, int32_t term = -1);
    void fix(int32_t term);  // from now on the block is valid for this value only
    uint64_t evaluate(const Term& t) const;
    void local_vector(Main& m, const Instr& in, Cycle t);
    void need(Loc loc, int32_t index, uint64_t value, bool known);
    void make(Loc loc, int32_t index) { if (record_) made_[key(loc, index)] = true; }
    static uint64_t key(Loc loc, int32_t index) { return static_cast<uint64_t>(loc) << 32 | static_cast<uint32_t>(index); }
    bool matches(const Main& m, const Block& b, Cycle t);

    const Program& program_;
    const Arch& arch_;
    std::vector<Uses> uses_;
    std::vector<Dsd> pool_;
    std::unordered_map<std::string, int32_t> ids_;
    std::unordered_map<int32_t, std::vector<std::unique_ptr<Block>>> memory_;
    Block* record_ = nullptr;
    Cycle record_start_ = 0;
    std::unordered_map<uint64_t, bool> made_, needed_;
    int32_t term_ = -1;                      // of the value last read
    std::vector<int32_t> reg_term_;          // -2: not touched yet, -1: constant
    std::unordered_map<int32_t, std::pair<int32_t, int32_t>> byte_term_;  // first byte -> (bytes, term) of the last store
    bool unrecordable_ = false;
    std::vector<uint64_t> values_;           // of the terms of the block that is being compared
};

}  // namespace wafersim::stream
