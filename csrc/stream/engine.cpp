#include "stream/engine.hpp"

#include <algorithm>
#include <bit>
#include <chrono>

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

std::vector<int32_t> owners(const Tables& tables, size_t num_code) {
    std::vector<int32_t> owner(num_code, -1);
    for (int64_t i = 0; i < tables.tiles.rows; ++i) {
        const int32_t* row = tables.tiles.row(i);
        const int32_t first = row[static_cast<int>(TileCol::kCodeFirst)], n = row[static_cast<int>(TileCol::kNumCode)];
        std::fill_n(owner.begin() + first, n, static_cast<int32_t>(i));
    }
    return owner;
}

std::vector<Array> read_arrays(const Tables& tables, int32_t sram_bytes) {
    std::vector<Array> arrays;
    for (int64_t i = 0; i < tables.arrays.rows; ++i) {
        const int32_t* row = tables.arrays.row(i);
        auto at = [&](ArrayCol column) { return row[static_cast<int>(column)]; };
        const int32_t tile = at(ArrayCol::kTile), address = at(ArrayCol::kAddress), bytes = at(ArrayCol::kBytes);
        if (tile < 0 || tile >= tables.tiles.rows || address < 0 || bytes < 0 || address > sram_bytes - bytes)
            throw ProgramFault("table 'arrays', row " + std::to_string(i) + ": tile " + std::to_string(tile) +
                               ", address " + std::to_string(address) + ", bytes " + std::to_string(bytes) +
                               "; a tile that exists and bytes inside of SRAM wanted");
        arrays.push_back({tile, address, bytes, (at(ArrayCol::kFlags) & static_cast<int>(ArrayFlag::kData)) != 0});
    }
    return arrays;
}

// Whether something is kept beside the PEs' state: what they print, clocks that are not the cycle, words for the host.
bool any_marks(const Program& program) {
    return std::any_of(program.routes.begin(), program.routes.end(), [](const RouteClass& r) { return r.sink != 0; }) ||
           std::any_of(program.code.begin(), program.code.end(),
                       [](const Instr& in) { return in.op == Op::kPrint || in.op == Op::kTscControl; });
}

}  // namespace

Engine::Engine(const Tables& tables, std::span<const int64_t> arch, std::span<const int32_t> vops, bool values)
    : arch_(arch, vops),
      program_(tables, arch_.sram_bytes),
      control_(find_control_bytes(program_, arch_.sram_bytes, owners(tables, program_.code.size()),
                                  read_arrays(tables, arch_.sram_bytes))),
      local_(program_, arch_, control_),
      mains_(program_, arch_, local_, control_),
      router_(program_, arch_, loop_, arena_),
      element_(program_, arch_, local_, mains_, router_, loop_, arena_),
      snapshots_(program_, arch_, mains_),
      neighbor_{-program_.width, 1, program_.width, -1} {
    check_supported();
    for (size_t t = 0; t < program_.tiles.size(); ++t) cell_bytes_.push_back(mains_.cell_bytes(static_cast<int>(t)));
    start_looking_up();
    if (values || any_marks(program_)) forget_situations();
    if (values) {
        values_ = std::make_unique<Values>(program_, arch_, nodes_, cells_.data());
        element_.values = values_.get();
        router_.values = true;
        local_.data = &values_->tapes;
    }
}

Engine::~Engine() {
    for (Node& n : nodes_) end_of_life(n);
    end_of_life(open_node_);
}

void Engine::check_supported() const {
    for (const RouteClass& r : program_.routes) {
        if (r.swap_x || r.swap_y) throw Refused("color swap");
    }
    for (const Tile& tile : program_.tiles) {
        if (!tile.fifos.empty()) throw Refused("FIFOs");
    }
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

void Engine::refuse(uint32_t pe, const Refused& r) const {
    const auto width = static_cast<uint32_t>(program_.width);
    throw Refused(
        std::string(r.what()) + " at PE (" + std::to_string(pe % width) + ", " + std::to_string(pe / width) + ")",
        r.line);
}

int Engine::launch(int function, std::span<const uint64_t> args) {
    const Launch launch{function, {args.begin(), args.end()}};
    auto& launches = element_.launches;
    auto at = std::find(launches.begin(), launches.end(), launch);  // the same launch on many PEs has one number
    if (at == launches.end()) at = launches.insert(launches.end(), launch);
    const auto number = static_cast<int32_t>(at - launches.begin());
    int count = 0;
    auto tell = [&](Node& n) {
        n.launches.push_back(number);
        n.wake_element(now_);
    };
    for (uint32_t pe = 0; pe < num_pes(); ++pe) {
        const int32_t tile = program_.tile_map[pe];
        if (tile < 0) continue;
        for (const Function& f : program_.tiles[static_cast<size_t>(tile)].functions) {
            if (f.number != function) continue;
            if (memo_) {
                catch_up(pes_[pe], now_);
                open(pes_[pe], pes_[pe].base);
                tell(open_node_);
                settle_in(pes_[pe], now_);
                wake_known(pe, pes_[pe]);
            } else {
                tell(nodes_[pe]);
                wake(pe, nodes_[pe]);
            }
            ++open_;
            ++count;
        }
    }
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
    if (routes) n.router_wake = kForever, router_.serve(n, T, says_);
    if (!memo_)
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
        for (const Told& t : says_) {
            ++figures.hears;
            const uint32_t other = heard_by(pe, t.port);
            Node& o = nodes_[other];
            router_.hear(o, t.message, T);
            wake(other, o);
        }
    } catch (const Refused& r) {
        refuse(pe, r);
    }
}

bool Engine::at_rest(const Node& n) const {
    return n.tile < 0 || (!mains_.in_task(n) && !n.live && n.launches.empty());
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

Status Engine::run(const Limits& limits, const std::function<bool()>& interrupted) {
    const auto began = std::chrono::steady_clock::now();
    const Cycle start = now_;
    settled_ = false;
    const uint64_t events = this->events();
    uint64_t look = events + 20000;
    bool far = pe_bytes() > kCacheBytes;
    for (;;) {
        Cycle t = queue_.next(now_);
        const bool done = t >= kForever;
        if (done) t = memo_ ? last_waiting() : kMinus;
        if (limits.max_cycles >= 0 && t >= start + limits.max_cycles)
            return now_ = start + limits.max_cycles, Status::kLimit;
        if (limits.pause_at >= 0 && t >= limits.pause_at)
            return now_ = std::max(now_, limits.pause_at), Status::kPaused;
        if (done) break;
        now_ = t;
        auto& bucket = queue_.bucket(t);
        for (size_t i = 0; i < bucket.size(); ++i) {
            if (memo_) {
                if (far) look_ahead_known(bucket, i, t);
                visit_known(bucket[i], t);
            } else {
                if (far) look_ahead(bucket, i);
                visit(bucket[i], t);
            }
        }
        queue_.clear(t);
        if (this->events() < look) continue;
        look = this->events() + 20000;
        if (memo_) {
            judge_memo();
            far = pe_bytes() > kCacheBytes;  // unpacked PEs take more
        }
        if (limits.max_events && static_cast<int64_t>(this->events() - events) >= limits.max_events)
            return now_ = t + 1, Status::kLimit;
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        if (limits.max_seconds > 0 && seconds > limits.max_seconds) return now_ = t + 1, Status::kLimit;
        if (interrupted && interrupted()) return now_ = t + 1, Status::kInterrupted;
    }
    bool rest = open_ == 0;
    if (memo_) rest = rest_of_known() && rest;
    for (const Node& n : nodes_) {
        rest = rest && at_rest(n);
        end_ = std::max(end_, last_fact(n));
    }
    now_ = end_ = std::max(end_, start);
    settled_ = true;
    for (Node& n : nodes_)
        if (values_) values_->advance(n, kForever);
    return rest ? Status::kFinished : Status::kStuck;
}

bool Engine::read(uint32_t pe, int32_t address, int32_t bytes, uint8_t* out) {
    const int32_t tile = program_.tile_map[pe];
    if (tile < 0) return values_ && (std::fill_n(out, bytes, uint8_t{0}), true);
    if (memo_) catch_up_now(pe);
    if (values_ && settled_) return values_->read(nodes_[pe], address, {out, static_cast<size_t>(bytes)}), true;
    const Main& m = mains_.main(memo_ ? (*memo_)[pes_[pe].at].control : nodes_[pe].control);
    const uint8_t* memory = (memo_ ? cells(pes_[pe]) : cells(nodes_[pe])) + 8 * m.regs.size();
    for (int i = 0; i < bytes; ++i) {
        const int at = control_[static_cast<size_t>(tile)].find(address + i, address + i + 1);
        if (at < 0 || m.unknown[static_cast<size_t>(at)]) return false;
        out[i] = memory[at];
    }
    return true;
}

std::vector<Print> Engine::prints() const {
    std::vector<Print> out = element_.prints;
    std::stable_sort(out.begin(), out.end(), [](const Print& a, const Print& b) {
        return a.cycle != b.cycle ? a.cycle < b.cycle : a.pe < b.pe;
    });
    return out;
}

void Engine::feed(uint32_t pe, int port, int color, const HostWords& words) {
    if (words.payloads.empty()) return;
    forget_situations();
    Node& n = nodes_[pe];
    RunRef run;
    if (values_) {
        run = RunRef(new Run);
        run->pe = pe;
        run->filled = static_cast<int64_t>(words.payloads.size());
        run->word.reset(new uint32_t[words.payloads.size()]);
        std::copy(words.payloads.begin(), words.payloads.end(), run->word.get());
    }
    try {
        if (port == kPortRamp)
            element_.feed(n, color, words, run, now_);
        else
            router_.feed(n, port, color, words, run, now_);
    } catch (const Refused& r) {
        refuse(pe, r);
    }
    wake(pe, n);
}

int64_t Engine::arrived(uint32_t pe, int port, int color) const {
    return memo_ ? 0 : router_.arrived(nodes_[pe], port, color, now_);
}

void Engine::collect(uint32_t pe, int port, int color, int64_t count, HostWords& words) {
    if (count == 0) return;
    if (!values_ || !settled_) throw Refused("values of words for the host, without values or before the end of a run");
    router_.collect(nodes_[pe], port, color, count, words);
}

int Engine::write(uint32_t pe, int32_t address, std::span<const uint8_t> values, bool known) {
    const int32_t tile = program_.tile_map[pe];
    if (tile < 0) return 0;
    if (memo_) catch_up_now(pe);
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
