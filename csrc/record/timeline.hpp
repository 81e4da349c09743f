// What each PE of a rectangle did in a window of cycles. Filled by fabric/ and pe/ while a machine runs, one entry per
// interval, at its end; wafer/ adds what is still open when somebody reads it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/types.hpp"
#include "program/opcodes.hpp"

namespace wafersim {

// A build without tracing (CMake option WAFERSIM_TRACE) exists to measure what tracing costs while it is off.
#ifdef WAFERSIM_WITHOUT_TRACE
inline constexpr bool kTraceable = false;
#else
inline constexpr bool kTraceable = true;
#endif

enum class Happening : uint8_t { kTask, kVector, kStretch, kSend, kReceive, kLink };
inline constexpr uint32_t kAllHappenings = 63;

struct TimelineEntry {
    Cycle begin = 0, end = 0;  // end: first cycle after it
    int64_t value = 0;         // kTask: number of the launched function; kVector: elements; wavelets: payload
    uint32_t pe = 0;
    int32_t line = -1;
    int16_t code = -1;  // kTask: index in the tile's tasks, -1 a launch; kVector: VOp, -1 MAP; kStretch: Counter;
                        // kSend, kReceive, kLink: color
    Happening kind = Happening::kTask;
    int8_t thread = -1;  // kVector: microthread, 8 the main thread; kLink: output port
    bool open = false;   // was going on when the timeline was read
};

class Timeline {
  public:
    // Kinds: a bit per Happening.
    Timeline(size_t num_pes, Cycle begin, Cycle end, size_t most, uint32_t kinds = kAllHappenings)
        : begin_(begin), end_(end), most_(most), kinds_(kinds), last_stretch_(num_pes, kNone) {}

    bool wants(Cycle begin, Cycle end) const { return begin < end_ && end > begin_; }
    bool wants(Happening kind) const { return kinds_ >> static_cast<int>(kind) & 1; }
    // Drops it if there is no room, unless it ended before the first one was dropped: stretches come late.
    void add(const TimelineEntry& entry);
    // Cycles of one class; goes on with the PE's last stretch if that ends where this one begins.
    void stretch(uint32_t pe, Cycle begin, Cycle end, Counter kind);
    // The cycles of a PE from `end` on did not happen: a run ended before them.
    void cut(uint32_t pe, Cycle end);

    const std::vector<TimelineEntry>& entries() const { return entries_; }
    int64_t dropped() const { return dropped_; }
    // Every entry that ended by this cycle is there; kForever if none was dropped.
    Cycle complete_until() const { return complete_until_; }
    void set_now(Cycle t) { now_ = t; }

  private:
    static constexpr uint32_t kNone = UINT32_MAX;

    Cycle begin_, end_, now_ = 0;
    size_t most_;
    uint32_t kinds_;
    std::vector<TimelineEntry> entries_;
    std::vector<uint32_t> last_stretch_;  // by PE: place in entries_
    int64_t dropped_ = 0;
    Cycle complete_until_ = kForever;
};

}  // namespace wafersim
