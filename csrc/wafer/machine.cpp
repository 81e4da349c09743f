#include "wafer/machine.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>

namespace wafersim {
namespace {

// Cycles that all main threads together may be ahead of the others: what one cycle can cost at most, and what is to be
// made up for when a run ends between two cycles. About 0.02 s of work.
constexpr int64_t kRunAheadOfAll = 2000000;
constexpr Cycle kRunAhead = 4096;  // more saves nothing
constexpr auto kPollInterval = std::chrono::milliseconds(20);
// PE visits after which the clock is looked at, a few milliseconds: so many, fewer where each may run far ahead.
constexpr int64_t kPollEvents = 20000, kPollCycles = 500000;

}  // namespace

Machine::Machine(const Tables& tables, std::span<const int64_t> arch, std::span<const int32_t> vops, uint64_t seed)
    : arch_(arch, vops),
      program_(tables, arch_.sram_bytes),
      routers_(static_cast<size_t>(program_.width) * static_cast<size_t>(program_.height)),
      ces_(static_cast<size_t>(program_.width) * static_cast<size_t>(program_.height)) {
    fabric_ = std::make_unique<Fabric>(program_, arch_, routers_, ces_);
    core_ = std::make_unique<Core>(program_, arch_, *fabric_, routers_, ces_, seed);
    const size_t num_pes = program_.tile_map.size();
    pe_index_.assign(num_pes, -1);
    size_t count = 0;
    for (const int32_t tile : program_.tile_map) count += tile >= 0;
    pes_.resize(count);
    sram_.reserve(count, static_cast<size_t>(arch_.sram_bytes));
    std::vector<int64_t> rank(program_.tiles.size(), 0);
    size_t next = 0;
    for (size_t id = 0; id < num_pes; ++id) {
        const int32_t t = program_.tile_map[id];
        if (t < 0) continue;
        const Tile& tile = program_.tiles[static_cast<size_t>(t)];
        uint8_t* memory = sram_.at(next);
        if (tile.image_bytes)
            std::memcpy(memory, program_.image.data() + tile.image_offset, static_cast<size_t>(tile.image_bytes));
        const int64_t r = rank[static_cast<size_t>(t)]++;
        for (const ParamBlock& p : tile.params)
            std::memcpy(memory + p.address, program_.param_values.data() + p.offset + r * p.bytes,
                        static_cast<size_t>(p.bytes));
        core_->init(pes_[next], static_cast<uint32_t>(id), tile, memory);
        pe_index_[id] = static_cast<int32_t>(next++);
        Pe& pe = pes_[next - 1];
        if (pe.active) ces_.wake(pe.id, 0);
    }
    core_->ahead = std::clamp<Cycle>(kRunAheadOfAll / static_cast<int64_t>(count + 1), 2, kRunAhead);
}

Pe* Machine::pe(int x, int y) {
    if (x < 0 || y < 0 || x >= program_.width || y >= program_.height) return nullptr;
    const int32_t i = pe_index_[static_cast<size_t>(y) * static_cast<size_t>(program_.width) + static_cast<size_t>(x)];
    return i < 0 ? nullptr : &pes_[static_cast<size_t>(i)];
}

uint8_t* Machine::sram(int x, int y) {
    Pe* p = pe(x, y);
    return p ? p->sram : nullptr;
}

int Machine::launch(int function, std::span<const uint64_t> args) {
    int count = 0;
    for (Pe& p : pes_) {
        for (const Function& f : p.tile->functions) {
            if (f.number != function) continue;
            if (static_cast<size_t>(f.nargs) != args.size())
                throw ProgramFault("the function takes " + std::to_string(f.nargs) + " arguments; " +
                                   std::to_string(args.size()) + " given");
            p.launches.push_back({&f, {args.begin(), args.end()}});
            ++p.open_launches;
            ++core_->open_launches;
            ces_.wake(p.id, cycle_);
            ++count;
        }
    }
    return count;
}

const std::optional<RunFault>& Machine::fault() const {
    const auto &a = fabric_->fault, &b = core_->fault;
    if (!a && !b) return no_fault_;
    if (!a) return b;
    if (!b) return a;
    auto key = [](const RunFault& f) { return std::make_tuple(f.cycle, f.pe.y, f.pe.x); };
    return key(*b) < key(*a) ? b : a;
}

void Machine::step_cycle(Cycle t) {
    routers_.advance(t);
    ces_.advance(t);
    if (timeline_) timeline_->set_now(t);
    routers_.drain([&](uint32_t pe, bool again) { fabric_->prefetch(pe, again); },
                   [&](uint32_t pe) { fabric_->step(pe, t); });
    for (const auto& [pe, color] : fabric_->teardowns)
        if (const int32_t i = pe_index_[pe]; i >= 0) core_->teardown_due(pes_[static_cast<size_t>(i)], t + 1);
    fabric_->teardowns.clear();
    ces_.drain(
        [&](uint32_t pe, bool again) {
            const int32_t i = pe_index_[pe];
            if (i >= 0) pes_[static_cast<size_t>(i)].prefetch(again);
        },
        [&](uint32_t pe) {
            if (const int32_t i = pe_index_[pe]; i >= 0) core_->step(pes_[static_cast<size_t>(i)], t);
        });
    fabric_->apply_pending();
}

Status Machine::run(const Limits& limits, const std::function<bool()>& interrupted) {
    using Clock = std::chrono::steady_clock;
    const auto began = Clock::now();
    auto polled = began;
    Cycle stop = kForever;
    if (limits.max_cycles >= 0) stop = cycle_ + limits.max_cycles;
    bool pauses = false, host_has_all = false;
    if (limits.pause_at >= 0 && limits.pause_at <= stop) stop = limits.pause_at, pauses = true;
    core_->horizon = stop;
    const Cycle ahead = core_->ahead;
    if (fabric_->watching()) core_->ahead = 1;  // a run that stops for the host stops where the host would see it
    const uint64_t first_event = events();
    uint64_t polled_events = first_event;
    const auto poll_events = static_cast<uint64_t>(std::clamp<int64_t>(kPollCycles / core_->ahead, 1, kPollEvents));
    if (!paused_) began_ = cycle_;
    paused_ = false;
    Status status = Status::kFinished;
    for (uint32_t turn = 1;; ++turn) {
        const Cycle t = std::min(routers_.next(), ces_.next());
        if (const auto& f = fault(); f && status != Status::kFault && std::min(t, stop) > f->cycle) {
            status = Status::kFault;
            stop = core_->horizon = std::min(stop, place_of_rest(f->cycle + 1));
        }
        if (const Cycle seen = fabric_->watched_until(); seen >= 0 && seen <= stop && status == Status::kFinished)
            stop = core_->horizon = seen, pauses = true, host_has_all = true;
        if (t >= kForever) {
            if (status == Status::kFinished && host_has_all)
                status = Status::kPaused;
            else if (status == Status::kFinished)
                status = quiescent_is_stuck() ? Status::kStuck : Status::kFinished;
            break;
        }
        if (t >= stop) {
            if (status == Status::kFinished) status = pauses ? Status::kPaused : Status::kLimit;
            break;
        }
        step_cycle(t);
        if (status != Status::kFinished) continue;  // coming to rest: see below
        bool end_now = false;
        if (limits.max_events > 0 && events() - first_event >= static_cast<uint64_t>(limits.max_events)) {
            status = Status::kLimit;
            end_now = true;
        }
        if ((turn & 63) == 0 || events() - polled_events >= poll_events) {
            polled_events = events();
            const auto now = Clock::now();
            if (limits.max_seconds > 0 && std::chrono::duration<double>(now - began).count() > limits.max_seconds) {
                status = Status::kLimit;
                end_now = true;
            }
            if (interrupted && now - polled > kPollInterval) {
                polled = now;
                reached_ = t;
                if (interrupted()) {
                    status = Status::kInterrupted;
                    end_now = true;
                }
            }
        }
        if (end_now) stop = core_->horizon = std::min(stop, place_of_rest(t + 1));
    }
    if (status != Status::kFinished && status != Status::kStuck)
        cycle_ = std::max(cycle_, stop);
    else
        take_back(std::max({began_, core_->end, fabric_->last_activity + 1}));
    paused_ = status == Status::kPaused;
    core_->ahead = ahead;
    fabric_->end_watch();
    for (Pe& p : pes_) core_->account(p, cycle_);
    if (status == Status::kFinished || status == Status::kStuck) {
        // Both wheels are empty; the last turns may have been hints later than the end. The next launch is due at once.
        routers_.advance(cycle_);
        ces_.advance(cycle_);
        for (Pe& p : pes_) p.last_step = std::min(p.last_step, cycle_ - 1);
    }
    return status;
}

// First cycle from `earliest` on that no main thread has run past: those that lag behind are to come there.
Cycle Machine::place_of_rest(Cycle earliest) const {
    for (const Pe& p : pes_) earliest = std::max(earliest, p.accounted);
    return earliest;
}

// A run ends with its last activity, even if it was paused after that: the cycles up to the pause were accounted.
void Machine::take_back(Cycle end) {
    for (Pe& p : pes_) {
        if (p.accounted <= end) continue;
        const Counter kind = p.plan.empty() ? Counter::kIdle : p.plan.back().kind;  // nothing has changed since
        p.counters[static_cast<size_t>(kind)] -= p.accounted - end;
        p.accounted = end;
        if (p.traced) timeline_->cut(p.id, end);
    }
    cycle_ = end;
}

void Machine::watch(PeCoord corner, int width, int height, Cycle begin, Cycle end, size_t most, uint32_t kinds) {
    timeline_ = std::make_unique<Timeline>(pe_index_.size(), begin, end, most, kinds);
    core_->timeline = fabric_->timeline = timeline_.get();
    auto inside = [&](uint32_t id) {
        const PeCoord at = coord(id);
        return at.x >= corner.x && at.y >= corner.y && at.x < corner.x + width && at.y < corner.y + height;
    };
    const bool links = timeline_->wants(Happening::kLink);
    fabric_->link_timeline = links ? timeline_.get() : nullptr;
    fabric_->link_traced.assign(links ? pe_index_.size() : 0, false);
    for (uint32_t id = 0; id < fabric_->link_traced.size(); ++id) fabric_->link_traced[id] = inside(id);
    for (Pe& p : pes_) {
        p.traced = p.queues->traced = inside(p.id);
    }
}

std::vector<TimelineEntry> Machine::timeline_entries() {
    std::vector<TimelineEntry> out;
    if (!timeline_) return out;
    auto add = [&](TimelineEntry entry) {
        entry.open = true;
        if (timeline_->wants(entry.begin, entry.end)) out.push_back(entry);
    };
    for (const TimelineEntry& entry : timeline_->entries()) {
        out.push_back(entry);
        if (entry.kind == Happening::kStretch) out.back().end = std::min(entry.end, cycle_);
        if (out.back().end <= out.back().begin) out.pop_back();
    }
    for (const Pe& p : pes_) {
        if (!p.traced) continue;
        if (p.in_task) add(core_->task_entry(p, cycle_));
        for (uint32_t rest = p.live_threads(); rest; rest &= rest - 1)
            if (const LiveOp& op = *p.op(std::countr_zero(rest)); !op.finished) add(core_->vector_entry(p, op, cycle_));
    }
    return out;
}

bool Machine::quiescent_is_stuck() const {
    if (core_->open_launches > 0) return true;
    for (const Pe& p : pes_) {
        if (p.in_task && !(p.main_op_live() && core_->is_daemon(*p.op(kMainThread)))) return true;
        for (uint32_t rest = p.live_uts; rest; rest &= rest - 1)
            if (!core_->is_daemon(*p.op(std::countr_zero(rest)))) return true;
    }
    return false;
}

std::vector<Print> Machine::prints() const {
    std::vector<Print> out = core_->prints;
    std::stable_sort(out.begin(), out.end(), [](const Print& a, const Print& b) {
        return std::make_tuple(a.cycle, a.pe.y, a.pe.x) < std::make_tuple(b.cycle, b.pe.y, b.pe.x);
    });
    return out;
}

void Machine::counters(int64_t* out) const {
    for (const Pe& p : pes_) {
        int64_t* row = out + static_cast<size_t>(p.id) * kNumCounters;
        std::copy(p.counters.begin(), p.counters.end(), row);
        if (p.accounted > cycle_) {  // the run ended within a beat
            int64_t over = p.accounted - cycle_;
            const int64_t conflict = std::min<int64_t>(over, p.tail_conflict);
            row[static_cast<size_t>(Counter::kStallBank)] -= conflict;
            row[p.tail_kind] -= over - conflict;
        }
    }
}

void Machine::event_counts(int64_t* out) const {
    auto put = [](int64_t* row, Event e, int64_t v) { row[static_cast<size_t>(e)] = v; };
    for (const Pe& p : pes_) {
        int64_t* row = out + static_cast<size_t>(p.id) * kNumEvents;
        std::copy(p.events.begin(), p.events.end(), row);
        int64_t iq = 0, oq = 0;
        for (const auto& q : p.queues->iq) iq = std::max<int64_t>(iq, q.high_water);
        for (const auto& q : p.queues->oq) oq = std::max<int64_t>(oq, q.high_water);
        put(row, Event::kIqHighWater, iq);
        put(row, Event::kOqHighWater, oq);
        put(row, Event::kWaveletsSent, p.queues->wavelets_sent);
        put(row, Event::kWaveletsReceived, p.queues->wavelets_received);
    }
    fabric_->each_state([&](ColorState& cs) {
        fabric_->settle(cs);
        int64_t* row = out + static_cast<size_t>(cs.pe) * kNumEvents;
        row[static_cast<size_t>(Event::kArbitrationLosses)] += cs.route->arbitration_losses;
        row[static_cast<size_t>(Event::kBackpressure)] += cs.route->backpressure;
    });
}

void Machine::link_wavelets(int64_t* out) const {
    const size_t num_pes = pe_index_.size();
    std::array<int, kMaxColors> layer;
    layer.fill(-1);
    for (size_t k = 0; k < program_.colors.size(); ++k)
        layer[static_cast<size_t>(program_.colors[k])] = static_cast<int>(k);
    fabric_->each_state([&](ColorState& cs) {
        fabric_->settle(cs);
        if (const int k = layer[cs.color]; k >= 0)
            std::copy(cs.route->wavelets.begin(), cs.route->wavelets.end(),
                      out + (static_cast<size_t>(k) * num_pes + cs.pe) * 5);
    });
}

}  // namespace wafersim
