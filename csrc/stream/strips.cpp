#include "stream/strips.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace wafersim::stream {
namespace {

constexpr uint64_t kLook = 20000;  // events between two looks at clock, host and memos
constexpr size_t kMemos = 8;       // so many strips share the memory for memos; more take more

// Whether something is kept beside the form of PEs: what they print, clocks that are not the cycle, words for the host,
// FIFOs in memory, random numbers.
bool any_marks(const Program& program) {
    return std::any_of(program.tiles.begin(), program.tiles.end(), [](const Tile& t) { return !t.fifos.empty(); }) ||
           std::any_of(program.routes.begin(), program.routes.end(), [](const RouteClass& r) { return r.sink != 0; }) ||
           std::any_of(program.code.begin(), program.code.end(), [](const Instr& in) {
               return in.op == Op::kPrint || in.op == Op::kTscControl || in.op == Op::kRandom;
           });
}

}  // namespace

// What a strip says of itself at a barrier.
struct alignas(64) Strips::Slot {
    Cycle next = kForever;
    uint64_t events = 0, waiting = 0, moved = 0, placed = 0;
    Cycle last = kMinus;  // visit that waits
    bool crossed = false, lacking = false, failed = false;
    int stop = -1;  // of the first strip: the status that the run is to end with
};

// The same of all strips.
struct Strips::Turn : Slot {};

// What the threads of a run share.
struct Strips::Run {
    Run(const Limits& l, const std::function<bool()>& i, int threads) : limits(l), interrupted(i), barrier(threads) {
        for (auto& set : slots) set.resize(static_cast<size_t>(threads));
    }
    const Limits& limits;
    const std::function<bool()>& interrupted;
    Cycle start = 0;
    uint64_t events = 0, placed = 0;
    std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
    Barrier barrier;
    std::vector<Slot> slots[2];  // those of the last turn are still being read while the next ones are written
};

// A thread of a run.
struct Strips::Place {
    Run& run;
    size_t strip = 0;
    size_t turns = 0;
    int stop = -1;
    Cycle last = 0, end = 0;  // the last cycle it stepped through; when the run ended
    int status = -1;          // of the run; -1: nothing can happen any more, or it failed
    bool rest = false;
    uint64_t longest = 0;
    std::vector<uint64_t> counted{};
    std::exception_ptr error{};
    // What goes wrong in one thread is told to the others at the next barrier.
    template <typename Do>
    void guarded(Do&& what) {
        if (error) return;
        try {
            what();
        } catch (...) {
            error = std::current_exception();
        }
    }
};

Strips::Strips(const Tables& tables, std::span<const int64_t> arch, std::span<const int32_t> vops,
               const Options& options)
    : shared_(tables, arch, vops, options.threads, options.band), values_(options.values) {
    if (values_) shared_.sram.reserve(shared_.num_pes(), static_cast<size_t>(shared_.arch.sram_bytes));
    const auto strips = static_cast<size_t>(shared_.strips);
    for (size_t i = 0; i < strips; ++i) engines_.push_back(std::make_unique<Engine>(shared_, static_cast<int>(i)));
    engines_[0]->lay_out_cells();
    run_crew(shared_.strips, [&](int i) {
        Engine& e = *engines_[static_cast<size_t>(i)];
        e.start_looking_up();
        if (!options.look_up || any_marks(shared_.program)) e.forget_situations();
        if (values_) e.turn_values_on();
        if (options.grain > 1) e.set_grain(options.grain);
        e.loop().most_words = options.most_words;
        e.set_seed(options.seed);
        e.set_most_memo_bytes(options.memo_bytes / std::min(strips, kMemos));
    });
}

int Strips::launch(int function, std::span<const uint64_t> args) {
    int count = 0;
    for (const auto& e : engines_) count += e->launch(function, args, now_);
    return count;
}

int64_t Strips::open_launches() const {
    int64_t open = 0;
    for (const auto& e : engines_) open += e->open_launches();
    return open;
}

std::vector<Print> Strips::prints() const {
    std::vector<Print> out;
    for (const auto& e : engines_) out.insert(out.end(), e->prints().begin(), e->prints().end());
    std::stable_sort(out.begin(), out.end(), [](const Print& a, const Print& b) {
        return a.cycle != b.cycle ? a.cycle < b.cycle : a.pe < b.pe;
    });
    return out;
}

bool Strips::read(uint32_t pe, int32_t address, int32_t bytes, uint8_t* out) {
    return engine(pe).read(pe, address, bytes, out, settled_);
}

int Strips::write(uint32_t pe, int32_t address, std::span<const uint8_t> values, bool known) {
    return engine(pe).write(pe, address, values, known);
}

void Strips::collect(uint32_t pe, int port, int color, int64_t count, HostWords& words) {
    if (count == 0) return;
    if (!values_ || !settled_) throw Refused("values of words for the host, without values or before the end of a run");
    engine(pe).collect(pe, port, color, count, words);
}

Strips::Turn Strips::meet(Place& at, const Slot& mine) {
    std::vector<Slot>& slots = at.run.slots[at.turns++ & 1];
    slots[at.strip] = mine;
    at.run.barrier.wait();
    Turn all;
    uint64_t most = 0;
    for (size_t i = 0; i < slots.size(); ++i) {
        const Slot& s = slots[i];
        all.next = std::min(all.next, s.next), all.last = std::max(all.last, s.last);
        all.events += s.events, all.waiting += s.waiting, all.moved += s.moved, all.placed += s.placed;
        all.crossed |= s.crossed, all.lacking |= s.lacking, all.failed |= s.failed;
        all.stop = std::max(all.stop, s.stop);
        if (at.counted.empty() || !s.events) continue;
        most = std::max(most, s.events - std::exchange(at.counted[i], s.events));
    }
    at.longest += most;
    return all;
}

Strips::Slot Strips::say(Place& at) const {
    Engine& e = *engines_[at.strip];
    Slot mine;
    at.guarded([&] { mine.next = e.next(at.last); });
    mine.events = e.events(), mine.waiting = e.waiting(), mine.placed = e.loop().placed;
    mine.crossed = e.crossed();
    mine.failed = at.error || e.failure;
    mine.stop = at.stop;
    return mine;
}

void Strips::hear(Place& at, size_t set) {
    Engine& e = *engines_[at.strip];
    for (size_t i = 0; i < engines_.size(); ++i)
        if (i != at.strip) e.hear_others(*engines_[i], set);
}

void Strips::work(Place& at) {
    if (walk(at)) end(at);
}

// All threads decide alike, by what all have said at the barrier. Whether nothing can happen any more.
bool Strips::walk(Place& at) {
    Engine& e = *engines_[at.strip];
    const Run& run = at.run;
    const Limits& limits = run.limits;
    uint64_t look = run.events;
    bool failing = false, exact = false;
    at.guarded([&] { e.begin(limits.max_events > 0); });
    auto end = [&](Status status, Cycle t) {
        at.status = static_cast<int>(status), at.end = t;
        at.guarded([&] { e.stop(t); });
        return false;
    };
    for (size_t set = 0;; set ^= 1) {
        const Turn all = meet(at, say(at));
        if (shared_.strips > 1) {
            e.forget_old();
            if (all.crossed) at.guarded([&] { hear(at, set ^ 1); });
            e.turn_outboxes(set);
        }
        if (at.strip == 0) now_ = at.last, events_ = all.events;
        if (all.failed) {  // what else fails in this cycle shows when all is heard
            if (std::exchange(failing, true)) return false;
            at.guarded([&] { e.hear_fresh(); });
            continue;
        }
        const auto done = static_cast<int64_t>(all.events - run.events);
        if (limits.max_events && !exact && done + static_cast<int64_t>(all.waiting) >= limits.max_events) {
            exact = true;  // from here on no visit waits, so that it is known when the limit is reached
            at.guarded([&] { e.stop(at.last + 1, false); });
            continue;
        }
        if (limits.max_events && done >= limits.max_events) return end(Status::kLimit, at.last + 1);
        if (limits.max_work && static_cast<int64_t>(all.placed - run.placed) >= limits.max_work)
            return end(Status::kLimit, at.last + 1);
        if (all.stop >= 0) return end(static_cast<Status>(all.stop), at.last + 1);
        const Cycle t = all.crossed ? std::min(all.next, at.last + 1) : all.next;
        if (t >= kForever) {
            Slot mine = say(at);
            at.guarded([&] { mine.last = e.last_waiting(); });
            const Cycle last = meet(at, mine).last;
            if (limits.max_cycles >= 0 && last >= run.start + limits.max_cycles)
                return end(Status::kLimit, run.start + limits.max_cycles);
            if (limits.pause_at >= 0 && last >= limits.pause_at) return end(Status::kPaused, limits.pause_at);
            return true;
        }
        const bool limit = limits.max_cycles >= 0 && t - run.start >= limits.max_cycles;
        const bool pause = limits.pause_at >= 0 && t >= limits.pause_at;
        if (limit || pause) {
            if (all.crossed) continue;  // is there anything? what was just heard will tell
            return limit ? end(Status::kLimit, run.start + limits.max_cycles)
                         : end(Status::kPaused, std::max(at.last, limits.pause_at));
        }
        if (all.events >= look) {
            look = all.events + kLook;
            at.guarded([&] { e.look_after(); });
            if (at.strip == 0) at.guarded([&] { at.stop = look_around(at.run); });
        }
        if (values_ && shared_.strips > 1) bring_values(at, t);
        at.last = t;
        at.guarded([&] { e.step(t); });
    }
}

// The values of all that the next cycle rests on. What is lacking is asked for, until nobody lacks anything.
void Strips::bring_values(Place& at, Cycle t) {
    Engine& e = *engines_[at.strip];
    at.guarded([&] { e.begin_values(t); });
    std::vector<uint32_t> asked;
    uint64_t moved = 0;
    size_t still = 0;  // turns in which no value came: not more than there are PEs to ask, one behind the other
    for (size_t set = 0;; set ^= 1) {
        at.guarded([&] { e.try_values(asked, set); });
        Slot mine;
        mine.moved = e.values()->moved;
        mine.lacking = e.values()->lacking();
        mine.failed = at.error || e.failure;
        const Turn all = meet(at, mine);
        if (!all.lacking || all.failed) return;
        still = std::exchange(moved, all.moved) == all.moved ? still + 1 : 0;
        if (still > shared_.num_pes() + 1) return at.guarded([] { throw Refused("internal: a word without a value"); });
        asked.clear();
        for (const auto& other : engines_) {
            const std::vector<uint32_t>& wanted = other->values()->wanted[set][at.strip];
            asked.insert(asked.end(), wanted.begin(), wanted.end());
        }
        std::sort(asked.begin(), asked.end());
        asked.erase(std::unique(asked.begin(), asked.end()), asked.end());
    }
}

// Nothing can happen any more.
void Strips::end(Place& at) {
    if (values_ && shared_.strips > 1) bring_values(at, kForever);
    at.guarded([&] { at.rest = engines_[at.strip]->at_end(at.end); });
}

// What the host says now and then: -1, or how the run is to end.
int Strips::look_around(Run& run) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - run.began).count();
    if (run.limits.max_seconds > 0 && seconds > run.limits.max_seconds) return static_cast<int>(Status::kLimit);
    if (run.interrupted && run.interrupted()) return static_cast<int>(Status::kInterrupted);
    return -1;
}

Status Strips::run(const Limits& limits, const std::function<bool()>& interrupted) {
    Run run(limits, interrupted, shared_.strips);
    run.start = now_, run.events = events_;
    for (const auto& e : engines_) run.placed += e->loop().placed;
    settled_ = false;
    std::vector<Place> places;
    for (size_t i = 0; i < engines_.size(); ++i) {
        places.push_back({.run = run, .strip = i, .last = now_});
        for (size_t set = 0; set < 2; ++set) engines_[i]->turn_outboxes(set);
    }
    if (shared_.strips > 1)
        for (const auto& e : engines_) places[0].counted.push_back(e->events());
    run_crew(shared_.strips, [&](int i) { work(places[static_cast<size_t>(i)]); });
    events_ = 0;
    for (const auto& e : engines_) events_ += e->events();
    turns_ += places[0].turns, longest_ += places[0].longest;
    give_up(places);
    if (places[0].status >= 0) return now_ = places[0].end, static_cast<Status>(places[0].status);
    bool rest = open_launches() == 0;
    now_ = run.start;
    for (const Place& p : places) rest = rest && p.rest, now_ = std::max(now_, p.end);
    for (const auto& e : engines_) e->stop(now_);
    settled_ = true;
    return rest ? Status::kFinished : Status::kStuck;
}

// If anything failed: the same whatever the number of strips.
void Strips::give_up(const std::vector<Place>& places) {
    for (const Place& p : places)
        if (p.error) std::rethrow_exception(p.error);
    const Failure* first = nullptr;
    for (const auto& e : engines_)
        if (e->failure && (!first || *e->failure < *first)) first = &*e->failure;
    if (first) throw Refused(first->what, first->line);
}

}  // namespace wafersim::stream
