// Words whose values somebody looks at before an op takes them: a task, or a filter by their index.
#include <algorithm>

#include "stream/router.hpp"
#include "stream/values.hpp"

namespace wafersim::stream {

bool Values::by_index(const Color& c) {
    return c.filter && c.filter->kind == FilterKind::kRange;
}

// Those that a filter may judge in cycle T.
void Values::add_filtered(const Node& n, Cycle T) {
    for (int i = 0; i < n.num_colors; ++i) {
        const Color& c = n.colors[i];
        for (int port = 0; by_index(c) && port < 5; ++port) {
            const LinkFifo* f = c.fifo[static_cast<size_t>(port)];
            if (!f || !f->words) continue;
            const int64_t end = f->a.count_before(T - (port == kPortRamp ? arch_.ramp_out : arch_.hop) + 1);
            for (const Words::Piece& p : f->words->pieces())
                if (const int64_t last = std::min(p.first + p.n, end) - 1; last >= p.first && p.run->index < 0)
                    heads_.push_back({p.run, p.offset + last - p.first});
        }
    }
}

// Fills the words looked at.
bool Values::fill(Cycle T) {
    bool done = true;
    for (const auto& [run, at] : heads_) {
        if (run->filled > at) continue;
        if (shared_.strip_of(run->pe) == strip_)
            advance_all(run->pe, T);
        else
            pull(*run.get(), T);
        done = done && run->filled > at;
    }
    heads_.clear();
    return done;
}

bool Values::fill_heads(Node& n, Cycle T) {
    if (T >= kForever) return true;
    heads_.clear();
    add_filtered(n, T);
    for (const InQueue* q : n.iq) {
        if (!q || !q->feeds_task || !q->words) continue;
        const int64_t end = q->a.count_before(T - arch_.ramp_in + 1);
        for (const Words::Piece& p : q->words->pieces())
            if (const int64_t last = std::min(p.first + p.n, end) - 1; last >= p.first)
                heads_.push_back({p.run, p.offset + last - p.first});
    }
    return fill(T);
}

void Values::fill_filtered(const Node& n, Cycle T) {
    if (shared_.strips > 1) return;  // `try_all` has done it
    heads_.clear();
    add_filtered(n, T);
    fill(T);
}

}  // namespace wafersim::stream
