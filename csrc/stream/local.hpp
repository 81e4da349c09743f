// The main thread of a PE between two contacts with the fabric: scalar code, loops, descriptors and vector ops on
// memory. Values are known or unknown (array data); what depends on an unknown one is refused.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "arch/arch.hpp"
#include "pe/uses.hpp"
#include "pe/values.hpp"
#include "stream/data_tape.hpp"
#include "stream/state.hpp"
#include "stream/tape.hpp"

namespace wafersim::stream {

// Bytes whose values are held, per tile: state of scalar code, and array data that scalar code stores for the host.
struct ControlBytes {
    std::vector<std::pair<int32_t, int32_t>> ranges;  // [address, end), sorted
    std::vector<int32_t> offset;                      // of each range in the PE's copy
    std::vector<uint8_t> data;                        // of each byte held: array data, whose value a load does not know
    int32_t bytes = 0;
    int find(int64_t low, int64_t high) const {  // offset of [low, high) or -1
        for (size_t i = 0; i < ranges.size(); ++i)
            if (low >= ranges[i].first && high <= ranges[i].second)
                return offset[i] + static_cast<int>(low) - ranges[i].first;
        return -1;
    }
};
struct Array {
    int32_t tile = 0, address = 0, bytes = 0;
    bool data = false;  // flag DATA (docs/program-format.md)
};
std::vector<ControlBytes> find_control_bytes(const Program& program, int sram_bytes,
                                             const std::vector<int32_t>& code_owner, const std::vector<Array>& arrays);

int32_t address_of(const Dsd& d, int64_t k);  // of element k

class Local {
  public:
    Local(const Program& program, const Arch& arch, const std::vector<ControlBytes>& control);

    // Runs local instructions that issue before `limit`; stops at the first other one. Returns how many.
    int64_t run(Main& m, Cycle now, Cycle limit, Cycle slot_free, bool scalar_only);
    Cycle ready_from(const Main& m, Cycle t) const;  // cycle from which the instruction at pc can issue by the pipeline
    bool is_local(const Main& m) const;
    // A register that decides what the local instruction at pc does and whose value is array data; -1: none.
    int32_t undecided(const Main& m) const;
    bool leaves_sram(Main& m);
    bool is_vector(const Main& m) const { return decoded_[static_cast<size_t>(m.pc)].vector; }
    void execute(Main& m, const Instr& in, Cycle t);  // one local instruction
    // MAP: its start, and what is behind a beat that passed in cycle t.
    bool map_is_local(const Main& m, const Instr& in) const;
    void begin_map(Main& m, const Instr& in, Cycle t, int32_t scalar);
    void note_first_beat(Main& m, Cycle t) const;
    void call_back(Main& m, const Instr& in, Cycle t) const;
    void map_next(Main& m, const Instr& in, Cycle t);

    uint64_t tasks_named(int32_t tile, BlockSpace space, int id) const;
    Settings settings_of(const Main& m, const Instr& in) const;
    const Dsd* dsr(const Main& m, int32_t encoded) const;
    int64_t vector_length(const Main& m, const Instr& in) const;
    void vector_writes(Main& m, int64_t low, int64_t high);
    // Before costs of beats are asked: an op that adds into its scalar destination waits for each element.
    template <typename AddressIn>
    void set_least(const Instr& in, AddressIn&& address_in) {
        const auto ptr = static_cast<int>(OperandKind::kPtr), reg = static_cast<int>(OperandKind::kReg);
        const int kind = in.dst < 0 ? 0 : in.dst >> 24;
        least_ = 0;
        if (kind != ptr && kind != reg) return;
        for (const int32_t e : {in.a, in.b, in.c}) {
            if (e < 0 || e >> 24 != kind) continue;
            if (e != in.dst && (kind == reg || address_in(e & 0xffffff) != address_in(in.dst & 0xffffff))) continue;
            least_ = static_cast<int>(
                arch_.value(is_float_op(static_cast<VOp>(in.type)) ? ArchInt::kLatencyFp : ArchInt::kLatencyAlu));
        }
    }
    int beat_cost(const Main& m, const Instr& in) const;  // without what its two reads cost each other
    void check_memory(const Main& m, const Instr& in, const Dsd& d, int64_t length, bool target, int64_t& low,
                      int64_t& high) const;
    bool holds(int32_t tile, int64_t low, int64_t high) const;  // whether values of these bytes are held
    // Where among the bytes held these lie; -1 if their values are not known.
    int known_at(const Main& m, int64_t low, int64_t high) const;
    void remember(Main& m, Cycle start, int64_t low, int64_t high) const;  // for read-after-write of vector ops
    // What a beat takes. Of a packed fabric source: `takes` words at most, once `needs` are there (fewer at the end).
    struct Shape {
        int width = 1, needs = 1, takes = 1;
        bool packed = false;
        int64_t beats(int64_t length) const { return (length + width - 1) / width; }
        int64_t words(int64_t length) const { return packed ? (length + 1) / 2 : length; }  // of a fabric operand
    };
    Shape shape(const Main& m, const Instr& in) const;
    int cost_beside_fifos(const Main& m, const Instr& in) const;
    // Cycles of every beat if they are all alike, 0 if not.
    int even_cost(const Main& m, const Instr& in) const;
    std::vector<uint8_t> costs_of_beats(const Main& m, const Instr& in, int64_t length) const;
    void scalar_destination(Main& m, const Instr& in);
    // Descriptor registers that an op advances, and their bases behind it.
    std::vector<std::pair<int32_t, int32_t>> saved_bases(const Main& m, const Instr& in, int64_t length) const;
    void save_base(Main& m, int32_t dsr, int32_t base);

    int32_t intern(const Dsd& d);
    const Dsd& dsd(int32_t id) const { return pool_[static_cast<size_t>(id)]; }
    int dsr_index(const Main& m, int32_t dsr) const;
    const Tile& tile(const Main& m) const { return program_.tiles[static_cast<size_t>(m.tile)]; }
    void write(Main& m, int32_t r, uint64_t value, bool known, Cycle ready, int32_t term = -1);
    uint64_t read(Main& m, int32_t r, bool& known);  // term of the value in term_
    void fix() { recorder.fix(term_); }
    int32_t term() const { return term_; }

    Recorder recorder;
    DataTapes* data = nullptr;  // with values of array data
    uint64_t instructions = 0;

  private:
    int least_ = 0;  // least cost of a beat of the op at hand
    struct Decoded : Uses {
        bool local = false;
    };
    Decoded decode(const Instr& in) const;
    void local_vector(Main& m, const Instr& in, Cycle t);
    // map.cpp
    void start_map(Main& m, const Instr& in, Cycle t);
    void map_beat(Main& m, const Instr& in, Cycle t);
    void map_return(Main& m, Cycle t);
    void complete(Main& m, Cycle when, int32_t activate, int32_t unblock);
    void set_low_half(Main& m, int32_t r, int32_t from, Cycle t);
    void load_at(Main& m, int32_t address, Type type, int32_t r, Cycle ready);
    void store_at(Main& m, int32_t address, int bytes, int32_t r);
    bool saves_itself(const Dsd& d) const {
        return d.settings >= 0 && program_.settings[static_cast<size_t>(d.settings)].save_own;
    }
    int turns(const Main& m, const Instr& in) const;
    Cycle branch(Main& m, const Instr& in, Cycle t, int32_t& target);
    Cycle descriptor(Main& m, const Instr& in, Cycle t);
    Cycle task_control(Main& m, const Instr& in, Cycle t);
    Cycle load_store(Main& m, const Instr& in, Cycle t);
    Cycle compute(Main& m, const Instr& in, Cycle t);
    Cycle cost(Cycle t, ArchInt slot) const { return t + arch_.value(slot); }
    int32_t slot_number(Main& m, const Instr& in, int32_t given);
    int32_t* descriptor_place(Main& m, const Instr& in, int32_t operand);
    [[noreturn]] void refuse(const Instr& in, const std::string& what) const { throw Refused(what, in.line); }

    const Program& program_;
    const Arch& arch_;
    const std::vector<ControlBytes>& control_;
    std::vector<Decoded> decoded_;
    std::vector<Dsd> pool_;
    std::unordered_map<std::string, int32_t> ids_;
    int32_t term_ = -1;

  public:
    int32_t done = 0;  // DONEs since the last look
};

}  // namespace wafersim::stream
