// A wafer at stream fidelity: the PEs, their values, and their events in order of time.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "stream/element.hpp"
#include "stream/queue.hpp"
#include "wafer/machine.hpp"

namespace wafersim::stream {

struct Figures {
    uint64_t steps = 0, hears = 0;
};

class Engine {
  public:
    Engine(const Tables& tables, std::span<const int64_t> arch, std::span<const int32_t> vops);

    int launch(int function, std::span<const uint64_t> args);  // on how many PEs
    Status run(const Limits& limits, const std::function<bool()>& interrupted);

    Cycle now() const { return now_; }
    uint64_t events() const { return figures.steps + figures.hears; }
    const Program& program() const { return program_; }
    const Arch& arch() const { return arch_; }
    const Mains& mains() const { return mains_; }
    const Loop& loop() const { return loop_; }
    void set_most_words(int64_t words) { loop_.most_words = words; }      // placed in one step, 0: no limit
    void set_grain(int64_t grain) { loop_.coarse.deepen(arch_, grain); }  // before anything is launched
    int64_t open_launches() const { return open_; }
    // Scalar state of a PE: `bytes` bytes from `address`. False if they are not known without values.
    bool read(uint32_t pe, int32_t address, int32_t bytes, uint8_t* out);
    // The host writes bytes, with or without saying their values. How many are held; the others are array data.
    int write(uint32_t pe, int32_t address, std::span<const uint8_t> values, bool known);
    size_t table_bytes() const { return mains_.bytes(); }
    size_t pe_bytes() const { return nodes_.size() * sizeof(Node) + cells_.size() + arena_.bytes(); }
    Figures figures;

    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

  private:
    void check_supported() const;
    void place(uint32_t pe);
    void wake(uint32_t pe, Node& n);
    void visit(uint32_t pe, Cycle T);
    void look_ahead(const std::vector<uint32_t>& bucket, size_t i);
    bool at_rest(const Node& n) const;
    Cycle last_fact(const Node& n) const;
    uint32_t heard_by(uint32_t pe, int port) const {
        return static_cast<uint32_t>(static_cast<int32_t>(pe) + neighbor_[port]);
    }
    uint8_t* cells(const Node& n) { return cells_.data() + 8 * static_cast<size_t>(n.cells); }
    [[noreturn]] void refuse(uint32_t pe, const Refused& r) const;

    Arch arch_;
    Program program_;
    std::vector<ControlBytes> control_;
    Arena arena_;
    Loop loop_;
    Local local_;
    Mains mains_;
    Router router_;
    Element element_;
    Queue queue_;
    std::vector<Node, LargePages<Node>> nodes_;
    std::vector<Told> says_;
    std::vector<uint8_t, LargePages<uint8_t>> cells_;
    std::vector<int> written_;
    Cycle now_ = 0, end_ = 0;
    int64_t open_ = 0;
    int32_t neighbor_[4];
};

}  // namespace wafersim::stream
