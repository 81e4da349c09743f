#pragma once

// Words that stuck reports share (report.cpp, follow.cpp).
#include <string>
#include <vector>

#include "wafer/machine.hpp"

namespace wafersim {

inline constexpr const char* kPortName[5] = {"NORTH", "EAST", "SOUTH", "WEST", "RAMP"};

inline std::string place(PeCoord at) {
    return "(" + std::to_string(at.x) + ", " + std::to_string(at.y) + ")";
}

inline void add_once(std::vector<PeCoord>& list, PeCoord pe) {
    constexpr size_t kMostPes = 16;
    if (list.size() >= kMostPes) return;
    for (const PeCoord& c : list)
        if (c.x == pe.x && c.y == pe.y) return;
    list.push_back(pe);
}

inline std::string thread_name(int thread) {
    return thread == kMainThread ? "main" : "microthread " + std::to_string(thread);
}

inline int task_id(const Pe& p, int task) {
    return task >= 0 ? p.tile->tasks[static_cast<size_t>(task)].id : -1;
}

inline bool reads_queue(const LiveOp& op, int queue) {
    return op.live && !op.finished && (op.iq_claims >> queue & 1);
}

inline int color_of_oq(const LiveOp& op, const CeQueues& q) {
    return op.dst.color >= 0 ? op.dst.color : q.oq[static_cast<size_t>(op.dst.queue)].color;
}

}  // namespace wafersim
