// A wafer at stream fidelity, in strips: each has a thread, and all go through the same cycles. One barrier ends a
// cycle: behind it a strip hears what the others said, which has no effect before the next one.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "stream/crew.hpp"
#include "stream/engine.hpp"
#include "wafer/machine.hpp"

namespace wafersim::stream {

class Strips {
  public:
    struct Options {
        bool values = false;  // of array data too; else only the state of scalar code has values
        int threads = 1;
        int band = 0;                         // rows, 0: as the wafer suggests
        int64_t grain = 1, most_words = 0;    // words placed in one step, 0: no limit
        bool look_up = true;                  // situations that occurred before
        uint64_t seed = 0;                    // of random numbers
        size_t memo_bytes = size_t{1} << 30;  // for them, of all strips; then those that no PE is in are forgotten
    };
    Strips(const Tables& tables, std::span<const int64_t> arch, std::span<const int32_t> vops, const Options& options);

    int launch(int function, std::span<const uint64_t> args);  // on how many PEs
    Status run(const Limits& limits, const std::function<bool()>& interrupted);

    Cycle now() const { return now_; }
    uint64_t events() const { return events_; }
    const Program& program() const { return shared_.program; }
    int64_t open_launches() const;
    std::vector<Print> prints() const;  // in the order of cycles and places
    // Scalar state of a PE: `bytes` bytes from `address`; with values all of its memory. False if they are not known:
    // without values, or while a run is not at its end.
    bool read(uint32_t pe, int32_t address, int32_t bytes, uint8_t* out);
    // The host writes bytes, with or without saying their values. How many are held; the others are array data.
    int write(uint32_t pe, int32_t address, std::span<const uint8_t> values, bool known);
    // Words from the host and to it, by a port of a PE.
    void feed(uint32_t pe, int port, int color, const HostWords& words) {
        engine(pe).feed(pe, port, color, words, now_);
    }
    int64_t arrived(uint32_t pe, int port, int color) { return engine(pe).arrived(pe, port, color, now_); }
    void collect(uint32_t pe, int port, int color, int64_t count, HostWords& words);
    const std::vector<std::unique_ptr<Engine>>& engines() const { return engines_; }
    int band() const { return shared_.band; }
    uint64_t barriers() const { return turns_; }
    uint64_t events_of_busiest() const { return longest_; }  // strip of each cycle, summed; 0 with one thread

  private:
    struct Slot;
    struct Turn;
    struct Run;
    struct Place;
    Engine& engine(uint32_t pe) { return *engines_[static_cast<size_t>(shared_.strip_of(pe))]; }
    static Turn meet(Place& at, const Slot& mine);
    void work(Place& at);
    bool walk(Place& at);
    Slot say(Place& at) const;
    void hear(Place& at, size_t set);
    void bring_values(Place& at, Cycle t);
    int look_around(Run& run);
    void end(Place& at);
    void give_up(const std::vector<Place>& places);

    Shared shared_;
    std::vector<std::unique_ptr<Engine>> engines_;
    bool values_ = false;
    bool settled_ = true;  // no op is under way
    Cycle now_ = 0;
    uint64_t events_ = 0, turns_ = 0, longest_ = 0;
};

}  // namespace wafersim::stream
