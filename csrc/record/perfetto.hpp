// Writes a timeline as a Perfetto trace (protobuf, encoded here): one process per PE, one track per lane of it.
// A nanosecond there is a cycle here. Filled row by row by bindings/, which reads what Python holds.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/types.hpp"
#include "record/timeline.hpp"

namespace wafersim {

struct TraceRow {
    Cycle begin = 0, end = 0;
    int64_t value = 0;
    uint64_t flow = 0;  // joins a send with its receives, 0 none
    int32_t x = 0, y = 0, name = -1, line = -1;
    int16_t color = -1;
    int8_t thread = -1;
    Happening kind = Happening::kTask;
    bool open = false;
};

class PerfettoWriter {
  public:
    // Rows lie in the rectangle at (x, y); `idle` is the place of the class that is not drawn in `names`, -1 none.
    PerfettoWriter(int x, int y, int width, int height, int idle);

    // Names that rows refer to by place; colors by number; lines as (file, number).
    void add_name(std::string_view name);
    void add_color(int number, std::string_view name);
    void add_line(std::string_view file, int64_t number);
    void add(const TraceRow& row);
    // A counter track of its own; values at cycles.
    void add_counter(std::string_view name, std::string_view unit, const std::vector<std::pair<Cycle, double>>& values);
    // What the trace does not hold, as an instant on a track of its own.
    void add_note(std::string_view text, Cycle at);

    void reserve(size_t rows) { out_.reserve(out_.size() + rows * 48); }
    const std::string& bytes() const { return out_; }
    int64_t slices() const { return slices_; }

  private:
    void add_annotation_names();
    int lane_of(const TraceRow& row) const;
    uint64_t track(const TraceRow& row, int lane);
    void describe_track(uint64_t uuid, uint64_t parent, std::string_view name);

    static constexpr int kLanes = 32;

    int x_, y_, width_, height_, idle_;
    std::string out_;
    std::vector<uint32_t> described_;  // by PE of the rectangle: lanes that have a track, bit 31 the process
    std::vector<bool> has_color_;
    uint64_t names_ = 0, lines_ = 0, extra_ = 0;
    int64_t slices_ = 0;
};

}  // namespace wafersim
