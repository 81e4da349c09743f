#include "stream/engine.hpp"

#include <algorithm>
#include <bit>

namespace wafersim::stream {
namespace {

constexpr size_t kCacheBytes = size_t{1} << 20;  // PEs that take more than this lie far away

void fetch(const void* at, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(static_cast<const char*>(at) + i);
}

void fetch_stages(const Node& n, Cycle t) {
    if (n.live) {
        for (uint32_t rest = n.live; rest; rest &= rest - 1)
            fetch(n.thread[static_cast<size_t>(std::countr_zero(rest))], sizeof(Thread));
        for (const InQueue* q : n.iq)
            if (q) fetch(q, sizeof *q);
        for (uint32_t rest = n.oqs; rest; rest &= rest - 1)
            fetch(n.oq[static_cast<size_t>(std::countr_zero(rest))], 128);
    }
    if (n.active) fetch(n.last_pick, 64);
    if (n.router_wake > t) return;
    for (int i = 0; i < n.num_colors; ++i) {
        const Color& c = n.colors[i];
        for (const LinkFifo* f : c.fifo)
            if (f) fetch(f, sizeof *f);
        for (const OutLink* o : c.out)
            if (o) fetch(o, 2 * sizeof(Seq));
        if (c.iq >= 0 && !n.live) fetch(n.iq[static_cast<size_t>(c.iq)], sizeof(InQueue));
    }
}

}  // namespace

Engine::Engine(Shared& shared, int strip)
    : shared_(shared),
      strip_(strip),
      arch_(shared.arch),
      program_(shared.program),
      control_(shared.control),
      local_(program_, arch_, control_),
      mains_(program_, arch_, local_, control_),
      router_(program_, arch_, loop_, arena_),
      element_(program_, arch_, local_, mains_, router_, loop_, arena_),
      pes_(shared.pes),
      snapshots_(program_, arch_, mains_),
      foreign_(static_cast<size_t>(shared.strips)),
      cells_(shared.cells),
      neighbor_{-program_.width, 1, program_.width, -1} {
    for (std::vector<Outbox>& boxes : outboxes_) boxes.resize(static_cast<size_t>(shared.strips));
    for (size_t t = 0; t < program_.tiles.size(); ++t) cell_bytes_.push_back(mains_.cell_bytes(static_cast<int>(t)));
}

void Engine::turn_values_on() {
    forget_situations();
    values_ = std::make_unique<Values>(shared_, strip_, arch_);
    element_.values = values_.get();
    router_.values = true;
    local_.data = &values_->tapes;
}

Engine::~Engine() {
    if (!memo_ && !nodes_.empty())
        shared_.each_of(strip_, [&](uint32_t pe) {
            end_of_life(nodes_[pe]);
            nodes_[pe].~Node();
        });
    end_of_life(open_node_);
}

// A PE before anything happened.
void Engine::place(uint32_t pe, Node& n) {
    const auto width = static_cast<uint32_t>(program_.width);
    const size_t num_pes = program_.tile_map.size();
    const uint32_t x = pe % width, y = pe / width;
    n.edges = static_cast<uint8_t>((y > 0 ? 1u : 0u) | (x + 1 < width ? 2u : 0u) |
                                   (y + 1 < static_cast<uint32_t>(program_.height) ? 4u : 0u) | (x > 0 ? 8u : 0u));
    for (size_t k = 0; k < program_.colors.size(); ++k) n.num_colors += program_.route_map[k * num_pes + pe] >= 0;
    if (n.num_colors) n.colors = arena_.make<Color>(n.num_colors);
    Color* c = n.colors;
    for (size_t k = 0; k < program_.colors.size(); ++k) {
        const int32_t r = program_.route_map[k * num_pes + pe];
        if (r < 0) continue;
        c->color = program_.colors[k];
        c->route = r;
        c->position = program_.routes[static_cast<size_t>(r)].initial;
        c->teardown = program_.routes[static_cast<size_t>(r)].teardown;
        router_.load_filter(*c);
        ++c;
    }
    n.tile = program_.tile_map[pe];
    if (n.tile < 0) return;
    const Tile& tile = program_.tiles[static_cast<size_t>(n.tile)];
    for (size_t i = 0; i < tile.tasks.size(); ++i) {
        if (tile.tasks[i].active) n.active |= UINT64_C(1) << i;
        if (tile.tasks[i].blocked) n.blocked |= UINT64_C(1) << i;
        if (tile.tasks[i].priority) n.high |= UINT64_C(1) << i;
    }
    if (!tile.tasks.empty()) n.last_pick = arena_.make<Cycle>(tile.tasks.size());
    std::fill_n(n.last_pick, tile.tasks.size(), kMinus);
    for (size_t q = 0; q < 8; ++q) {
        if (tile.iq[q].initialised) {
            InQueue& in = *(n.iq[q] = arena_.make<InQueue>());
            in.color = tile.iq[q].color, in.priority = tile.iq[q].priority;
            in.blocked = 0;
            in.feeds_task = tile.data_task[q] >= 0;
            if (Color* color = in.color >= 0 ? n.color(in.color) : nullptr; color && color->iq < 0)
                color->iq = static_cast<int32_t>(q);
        }
        if (tile.oq[q].initialised) {
            OutQueue& out = *(n.oq[q] = arena_.make<OutQueue>());
            out.initialised = true;
            out.color = tile.oq[q].color, out.priority = tile.oq[q].priority;
            n.oqs = static_cast<uint8_t>(n.oqs | 1u << q);
        }
    }
    if (n.active & ~n.blocked) n.wake_element(0);
}

std::string Engine::placed(uint32_t pe, const Refused& r) const {
    const auto width = static_cast<uint32_t>(program_.width);
    return std::string(r.what()) + " at PE (" + std::to_string(pe % width) + ", " + std::to_string(pe / width) + ")";
}

// All that is refused in a cycle is found, whatever the order; the first of it ends the run.
void Engine::fail(int phase, uint32_t pe, Cycle t, const Refused& r) {
    Failure f{t, phase, pe, placed(pe, r), r.line};
    if (!failure || f < *failure) failure = std::move(f);
}

int Engine::launch(int function, std::span<const uint64_t> args, Cycle now) {
    const Launch launch{function, {args.begin(), args.end()}};
    auto& launches = element_.launches;
    auto at = std::find(launches.begin(), launches.end(), launch);  // the same launch on many PEs has one number
    if (at == launches.end()) at = launches.insert(launches.end(), launch);
    const auto number = static_cast<int32_t>(at - launches.begin());
    int count = 0;
    auto tell = [&](Node& n) {
        n.launches.push_back(number);
        n.wake_element(now);
    };
    shared_.each_of(strip_, [&](uint32_t pe) {
        const int32_t tile = program_.tile_map[pe];
        if (tile < 0) return;
        for (const Function& f : program_.tiles[static_cast<size_t>(tile)].functions) {
            if (f.number != function) continue;
            if (memo_) {
                catch_up(pes_[pe], now - 1);
                open(pes_[pe], pes_[pe].base);
                tell(open_node_);
                settle_in(pes_[pe], now);
                wake_known(pe, pes_[pe]);
            } else {
                tell(nodes_[pe]);
                wake(pe, nodes_[pe]);
            }
            ++open_;
            ++count;
        }
    });
    return count;
}

void Engine::wake(uint32_t pe, Node& n) {
    const Cycle next = n.next();
    if (next >= n.queued) return;
    n.queued = next;
    queue_.push(next, pe);
}

// What the visits after this one will touch, in three steps, because each place is found in the one before.
void Engine::look_ahead(const std::vector<uint32_t>& bucket, size_t i) {
    if (i + 6 < bucket.size()) fetch(&nodes_[bucket[i + 6]], sizeof(Node));
    if (i + 4 < bucket.size()) {
        const Node& n = nodes_[bucket[i + 4]];
        fetch(n.colors, n.num_colors * sizeof(Color));
        fetch(cells(n), 192);
    }
    if (i + 2 >= bucket.size()) return;
    const Node& n = nodes_[bucket[i + 2]];
    fetch_stages(n, now_);
    for (int port = 0; n.router_wake <= now_ && port < 4; ++port)  // to whom it may speak
        if (n.edges >> port & 1) __builtin_prefetch(&nodes_[heard_by(bucket[i + 2], port)].colors);
}

// What the PE's router and element have to do in cycle T; what they say is in `says_`. Returns how many launches ended.
int Engine::make_visit(uint32_t pe, Node& n, Cycle T, uint8_t* cells) {
    says_.clear();
    const bool routes = n.router_wake <= T;
    if (routes && values_) values_->fill_filtered(n, T);
    if (routes) n.router_wake = kForever, router_.serve(n, T, says_);
    if (!memo_ && shared_.strips == 1)
        for (const Told& t : says_) fetch(nodes_[heard_by(pe, t.port)].colors, sizeof(Color));
    if (n.element_wake > T + (routes && n.dirty ? 3 : 0)) return 0;
    n.element_wake = kForever;
    element_.pe = pe;
    return element_.step(n, T, cells);
}

void Engine::visit(uint32_t pe, Cycle T) {
    Node& n = nodes_[pe];
    if (n.queued == T) n.queued = kForever;
    if (n.next() > T) return wake(pe, n);
    ++figures.steps;
    try {
        open_ -= make_visit(pe, n, T, cells(n));
        wake(pe, n);
    } catch (const Refused& r) {
        return fail(0, pe, T, r);
    }
    for (Told& t : says_) deliver(pe, t.port, std::move(t.message));
}

void Engine::hear(uint32_t pe, const Message& m, Cycle T) {
    Node& n = nodes_[pe];
    try {
        router_.hear(n, m, T);
    } catch (const Refused& r) {
        return fail(1, pe, T, r);
    }
    wake(pe, n);
}

bool Engine::at_rest(const Node& n) const {
    if (n.tile < 0) return true;
    if (!n.launches.empty() || (mains_.in_task(n) && !(n.live >> kMainOp & 1))) return false;
    for (uint32_t rest = n.live; rest; rest &= rest - 1)
        if (!n.thread[static_cast<size_t>(std::countr_zero(rest))]->endless) return false;
    return true;
}

// Cycle behind the last thing that happens at the PE, of what is known now.
Cycle Engine::last_fact(const Node& n) const {
    Cycle end = n.end;
    if (n.tile >= 0 && mains_.in_task(n))  // it waits for ever, behind what it did last
        if (const Cycle t = mains_.main(n.control).next_issue; t > kMinus) end = std::max(end, n.base + t);
    for (uint32_t rest = n.live; rest; rest &= rest - 1) {  // the cost of the last beat of an op that waits for ever
        const Thread& t = *n.thread[static_cast<size_t>(std::countr_zero(rest))];
        const Seq& beats = n.beats(t);
        if (const Cycle last = beats.last(); last > kMinus && t.words > 0)
            end = std::max(end, last + t.cost_of(beats.end() - t.base - 1));
    }
    auto look = [&](const Seq& s) {
        if (s.last() > kMinus) end = std::max(end, s.last() + 1);
    };
    for (int i = 0; i < n.num_colors; ++i)
        for (const LinkFifo* f : n.colors[i].fifo)
            if (f) look(f->a), look(f->d), end = std::max(end, f->granted + 1);
    for (int i = 0; i < n.num_colors; ++i)
        for (int port = 0; n.colors[i].sinks && port < 5; ++port)
            if (const Cycle t = n.colors[i].sinks[port].link.sent.last(); t > kMinus)
                end = std::max(end, t + (port == kPortRamp ? arch_.ramp_in : arch_.hop) + 1);
    for (const InQueue* q : n.iq)
        if (q) look(q->b);
    for (const OutQueue* q : n.oq)
        if (q) look(q->b);
    return end;
}

void Engine::step(Cycle t) {
    if (memo_) return step_known(t);
    now_ = t;
    const auto& bucket = queue_.bucket(t);
    for (size_t i = 0; i < bucket.size(); ++i) {
        if (far_) look_ahead(bucket, i);
        visit(bucket[i], t);
    }
    queue_.clear(t);
    for (const Spoken& s : spoken_) hear(s.pe, s.message, t);
    spoken_.clear();
}

void Engine::look_after() {
    old_memo_.reset();
    if (memo_) judge_memo();
    far_ = pe_bytes() > kCacheBytes;  // unpacked PEs take more
}

bool Engine::at_end(Cycle& end) {
    bool rest = true;
    if (memo_) {
        count_uses();
        rest = rest_of_known();
    } else {
        shared_.each_of(strip_, [&](uint32_t pe) {
            rest = rest && at_rest(nodes_[pe]);
            end_ = std::max(end_, last_fact(nodes_[pe]));
            if (values_ && shared_.strips == 1) values_->advance(nodes_[pe], kForever);
        });
    }
    end = end_;
    return rest;
}

// Scalar state of a PE: `bytes` bytes from `address`; with values all of its memory, at the end of a run (`settled`).
// False if they are not known.
bool Engine::read(uint32_t pe, int32_t address, int32_t bytes, uint8_t* out, bool settled) {
    const int32_t tile = program_.tile_map[pe];
    if (tile < 0) return values_ && (std::fill_n(out, bytes, uint8_t{0}), true);
    if (values_ && settled) return values_->read(nodes_[pe], address, {out, static_cast<size_t>(bytes)}), true;
    const Main& m = mains_.main(memo_ ? (*memo_)[pes_[pe].at].control : nodes_[pe].control);
    const uint8_t* memory = (memo_ ? cells(pes_[pe]) : cells(nodes_[pe])) + 8 * m.regs.size();
    for (int i = 0; i < bytes; ++i) {
        const int at = control_[static_cast<size_t>(tile)].find(address + i, address + i + 1);
        if (at < 0 || m.unknown[static_cast<size_t>(at)]) return false;
        out[i] = memory[at];
    }
    return true;
}

// The host writes bytes, with or without saying their values. How many are held; the others are array data.
int Engine::write(uint32_t pe, int32_t address, std::span<const uint8_t> values, bool known) {
    const int32_t tile = program_.tile_map[pe];
    if (tile < 0) return 0;
    if (values_ && known) values_->write(nodes_[pe], address, values);
    const Main& m = mains_.main(memo_ ? (*memo_)[pes_[pe].at].control : nodes_[pe].control);
    uint8_t* memory = (memo_ ? cells(pes_[pe]) : cells(nodes_[pe])) + 8 * m.regs.size();
    written_.clear();
    bool changed = false;
    const ControlBytes& control = control_[static_cast<size_t>(tile)];
    const int32_t end = address + static_cast<int32_t>(values.size());
    for (size_t k = 0; k < control.ranges.size(); ++k) {
        const auto [low, high] = control.ranges[k];
        for (int32_t byte = std::max(low, address); byte < std::min(high, end); ++byte) {
            const int at = control.offset[k] + byte - low;
            memory[at] = known ? values[static_cast<size_t>(byte - address)] : 0;
            written_.push_back(at);
            changed = changed || m.unknown[static_cast<size_t>(at)] == known;
        }
    }
    written_to_ = written_to_ || !written_.empty();
    if (changed) {
        Node& n = memo_ ? open(pes_[pe], pes_[pe].base) : nodes_[pe];
        mains_.change_once(n, n.base, [&](Main& main, Cycle) {
            for (const int i : written_) main.unknown[static_cast<size_t>(i)] = !known;
        });
        if (memo_) settle_in(pes_[pe], pes_[pe].base);
    }
    if (memo_) wake_known(pe, pes_[pe]);  // the values may choose another chain
    return static_cast<int>(written_.size());
}

}  // namespace wafersim::stream
