// What stretches of local code do to array data: moves between memory and registers and vector ops, recorded once as a
// list without branches and done again on the memory of every PE that makes the same stretch. Only with values on.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "arch/arch.hpp"
#include "pe/operand.hpp"
#include "stream/state.hpp"

namespace wafersim::stream {

class Local;

// A vector op whose operands are known: elements one after the other, values by `vector_element`.
struct Elements {
    VOp vop = VOp::kMov32;
    Operand dst, a, b, c;
    int64_t length = 0, done = 0;  // elements
    uint32_t index = 0, carry = 0;
    int32_t line = -1;
};

// The memory and the registers of one PE.
struct Place {
    uint8_t* sram = nullptr;
    uint8_t* registers = nullptr;  // 8 bytes each
    int32_t sram_bytes = 0;
    uint64_t reg(int32_t r) const;
    void set_reg(int32_t r, uint64_t value) const;
    static int32_t in_ring(Operand& o);
    uint32_t fetch(Operand& o, uint32_t word) const;
    void store(Operand& o, uint32_t value, uint32_t word, int32_t line) const;
    // One element; `word`: what came for its fabric operands, `index`: of the wavelet.
    uint32_t element(Elements& e, const uint32_t word[3], uint32_t index) const;
    void settle(Operand& o, int32_t line) const;  // the address of a scalar in memory, from its register
};

class DataTapes {
  public:
    DataTapes(const Program& program, const Arch& arch) : program_(program), arch_(arch) {}

    Elements elements_of(Local& local, const Main& m, const Instr& in, int64_t length) const;
    // Recording: `note` before an instruction is executed; DSD_GET gives its result to `set`.
    void begin() { moves_.clear(); }
    void note(Local& local, const Main& m, const Instr& in);
    void set(int32_t r, uint64_t value);
    void move(bool loads, Type type, int32_t r, int32_t address);  // between a register and memory
    void low_half(int32_t r, int32_t from);
    int32_t finish(const Main& m);  // number of the tape, -1 if nothing is left to do
    void replay(int32_t tape, const Place& place) const;
    size_t bytes() const { return bytes_; }

  private:
    enum class Kind : uint8_t {
        kScalar,
        kSet,
        kCopy,
        kLow,
        kNext,
        kLoad,
        kLoadAt,
        kStore,
        kStoreAt,
        kFmacs,
        kElements
    };
    struct Move {
        Kind kind = Kind::kScalar;
        uint8_t type = 0;
        int16_t reg = -1;  // written; read by kStore
        int32_t x = 0;     // row of code, constant, register, address or op; of k...At the row of code
    };
    static_assert(sizeof(Move) == 8);
    struct Fmacs {  // of floats in a row in memory and one scalar
        int32_t dst = 0, a = 0, b = 0, reg = -1;
        uint32_t imm = 0;
        int32_t sd = 0, sa = 0, sb = 0;
        int64_t length = 0;
    };
    void note_memory(const Main& m, const Instr& in);
    void note_vector(Local& local, const Main& m, const Instr& in);
    bool add_fmacs(const Elements& e, const std::vector<int32_t>& key);
    template <typename Visit>
    void reads(const Move& move, Visit&& visit) const;
    void run_scalar(const Instr& in, const Place& place) const;
    uint64_t load(const Instr& in, Type type, int64_t address, const Place& place) const;

    const Program& program_;
    const Arch& arch_;
    std::vector<Move> moves_;
    std::vector<std::vector<Move>> tapes_;
    std::vector<uint64_t> constants_;
    std::vector<Elements> elements_;
    std::vector<Fmacs> fmacs_;
    struct Known {
        Kind kind;
        int32_t number;
    };
    std::unordered_map<std::string, Known> known_;
    size_t bytes_ = 0;
};

}  // namespace wafersim::stream
