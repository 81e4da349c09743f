// FIFOs in a PE's memory: the times at which elements are pushed and popped, by ops of the same PE, and the tasks that
// this activates.
#pragma once
#include <cstdint>
#include <vector>

#include "stream/seq.hpp"

namespace wafersim::stream {

// Elements count from the first one ever. Facts up to now and a prediction beyond, as everywhere.
struct FifoStage {
    Seq push, pop;
    int64_t origin = 0;  // element that lies at the ring's base
    int32_t capacity = 0;
    int task_push = -1, task_pop = -1;  // numbers of the tasks that it activates
    bool watched = false;               // there are any
    // An op has found it empty (full) since the last push (pop): a fact, and as predicted so far.
    bool armed_push = false, armed_pop = false, will_push = false, will_pop = false;
    int64_t count() const { return push.end() - pop.end(); }
};

// An end of a FIFO that an op works at.
struct FifoEnd {
    FifoStage* fifo = nullptr;
    bool push = false;
};

struct FifoEvent {
    Cycle t = 0;
    FifoStage* fifo = nullptr;
    bool push = false, armed = false;  // the flag of the next push (pop) becomes that
    int task = -1;                     // and this task is activated
};

// What the FIFOs of a PE will do besides, in the order of the cycles.
struct FifoEvents {
    std::vector<FifoEvent> list;
    // An op looks at its end of a FIFO in cycle t, before anything is pushed or popped in it.
    void look(const FifoEnd& end, Cycle t) {
        FifoStage& f = *end.fifo;
        if (!f.watched || f.count() != (end.push ? f.capacity : 0)) return;
        bool& armed = end.push ? f.will_pop : f.will_push;
        if (!armed) list.push_back({t, &f, !end.push, true, -1});
        armed = true;
    }
    // Elements pass that end in cycle t.
    void pass(const FifoEnd& end, Cycle t) {
        FifoStage& f = *end.fifo;
        bool& armed = end.push ? f.will_push : f.will_pop;
        if (armed) list.push_back({t, &f, end.push, false, end.push ? f.task_push : f.task_pop});
        armed = false;
    }
};

// Those of one PE.
struct Fifos {
    std::vector<FifoStage> stages;
    std::vector<FifoEvent> events;  // predicted
};

}  // namespace wafersim::stream
