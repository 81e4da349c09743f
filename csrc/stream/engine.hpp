// A wafer at stream fidelity: per PE a state number, its base cycle and its scalar values; events in order of time.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "stream/automaton.hpp"
#include "stream/queue.hpp"
#include "wafer/machine.hpp"

namespace wafersim::stream {

// Tables of states and transitions beyond this size are begun anew.
inline constexpr size_t kTableBytes = size_t{1} << 30;

class Engine {
  public:
    Engine(const Tables& tables, std::span<const int64_t> arch, std::span<const int32_t> vops);

    int launch(int function, std::span<const uint64_t> args);  // on how many PEs
    Status run(const Limits& limits, const std::function<bool()>& interrupted);

    Cycle now() const { return now_; }
    uint64_t events() const { return automaton_.figures.steps + automaton_.figures.hears; }
    const Program& program() const { return program_; }
    const Arch& arch() const { return arch_; }
    const Automaton& automaton() const { return automaton_; }
    void set_grain(int64_t grain) { automaton_.set_grain(grain); }
    int64_t open_launches() const { return open_; }
    // Scalar state of a PE: `bytes` bytes from `address`. False if they are not known without values.
    bool read(uint32_t pe, int32_t address, int32_t bytes, uint8_t* out);
    // The host writes bytes, with or without saying their values. How many are held; the others are array data.
    int write(uint32_t pe, int32_t address, std::span<const uint8_t> values, bool known);
    size_t table_bytes() const { return automaton_.bytes(); }
    size_t pe_bytes() const { return slots_.size() * sizeof(Slot) + cells_.size(); }

  private:
    struct Slot {
        Cycle base = 0, queued = -1;
        uint32_t state = 0, cells = 0;  // cells in units of 8 bytes
    };
    void enter(uint32_t pe, Slot& s, const Transition& t, Cycle T);
    void wake(uint32_t pe, Slot& s);
    void visit(uint32_t pe, Cycle T);
    void limit_tables();
    uint8_t* cells(const Slot& s) { return cells_.data() + 8 * static_cast<size_t>(s.cells); }
    [[noreturn]] void refuse(uint32_t pe, const Refused& r) const;

    Arch arch_;
    Program program_;
    Automaton automaton_;
    Queue queue_;
    std::unordered_map<uint32_t, std::vector<uint8_t>> unknown_;  // of the states that were read
    std::vector<Slot> slots_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::vector<Told> says_;
    void visit_live(uint32_t pe, Cycle T);
    void settle_live(uint32_t pe, Cycle T);
    std::vector<uint8_t> cells_;
    std::vector<int> written_;
    Cycle now_ = 0, end_ = 0;
    int64_t open_ = 0;
    size_t most_table_bytes_ = kTableBytes;
    int32_t neighbor_[4];
};

}  // namespace wafersim::stream
