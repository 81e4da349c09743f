#include "stream/engine.hpp"

#include <chrono>
#include <cstring>
#include <map>

namespace wafersim::stream {
namespace {

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

}  // namespace

Engine::Engine(const Tables& tables, std::span<const int64_t> arch, std::span<const int32_t> vops)
    : arch_(arch, vops),
      program_(tables, arch_.sram_bytes),
      automaton_(program_, arch_, owners(tables, program_.code.size()), read_arrays(tables, arch_.sram_bytes)),
      neighbor_{-program_.width, 1, program_.width, -1} {
    const size_t num_pes = program_.tile_map.size();
    slots_.resize(num_pes);
    std::vector<int64_t> rank(program_.tiles.size(), 0);
    size_t bytes = 0;
    for (size_t pe = 0; pe < num_pes; ++pe)
        if (const int32_t t = program_.tile_map[pe]; t >= 0)
            slots_[pe].cells = static_cast<uint32_t>(bytes / 8), bytes += automaton_.cell_bytes(t);
    cells_.resize(bytes);
    // PEs with the same tile, routes and edges begin in the same state.
    std::map<std::vector<int32_t>, uint32_t> known;
    std::vector<int32_t> key(program_.colors.size() + 2);
    for (size_t pe = 0; pe < num_pes; ++pe) {
        const int32_t t = program_.tile_map[pe];
        const auto x = static_cast<int32_t>(pe) % program_.width, y = static_cast<int32_t>(pe) / program_.width;
        key[0] = t;
        key[1] = (x == 0) + 2 * (x + 1 == program_.width) + 4 * (y == 0) + 8 * (y + 1 == program_.height);
        for (size_t k = 0; k < program_.colors.size(); ++k) key[2 + k] = program_.route_map[k * num_pes + pe];
        const auto [it, fresh] = known.try_emplace(key, 0);
        if (fresh) it->second = automaton_.initial(static_cast<uint32_t>(pe));
        slots_[pe].state = it->second;
        slots_[pe].base = -1;
        if (t >= 0) automaton_.initial_cells(t, rank[static_cast<size_t>(t)]++, cells(slots_[pe]));
        wake(static_cast<uint32_t>(pe), slots_[pe]);
    }
}

void Engine::refuse(uint32_t pe, const Refused& r) const {
    const auto width = static_cast<uint32_t>(program_.width);
    throw Refused(
        std::string(r.what()) + " at PE (" + std::to_string(pe % width) + ", " + std::to_string(pe / width) + ")",
        r.line);
}

int Engine::launch(int function, std::span<const uint64_t> args) {
    const Launch launch{function, {args.begin(), args.end()}};
    int count = 0;
    for (uint32_t pe = 0; pe < slots_.size(); ++pe) {
        const int32_t t = program_.tile_map[pe];
        if (t < 0) continue;
        for (const Function& f : program_.tiles[static_cast<size_t>(t)].functions) {
            if (f.number != function) continue;
            Slot& s = slots_[pe];
            Cycle shift = 0;
            s.state = automaton_.launched(s.state, now_ - s.base, launch, shift);
            s.base = now_ - 1;
            wake(pe, s);
            ++open_;
            ++count;
        }
    }
    return count;
}

void Engine::wake(uint32_t pe, Slot& s) {
    const Cycle next = automaton_.next(s.state);
    if (next >= kForever || s.base + next == s.queued) return;
    s.queued = s.base + next;
    queue_.push(s.queued, pe);
}

void Engine::enter(uint32_t pe, Slot& s, const Transition& t, Cycle T) {
    s.state = t.to;
    s.base = T;
    end_ = std::max(end_, T + t.end);
    open_ -= t.done;
    wake(pe, s);
}

void Engine::visit(uint32_t pe, Cycle T) {
    Slot& s = slots_[pe];
    if (s.queued == T) s.queued = -1;
    if (s.base + automaton_.next(s.state) != T) return;
    try {
        const Transition t = automaton_.step(s.state, s.base, cells(s));
        enter(pe, s, t, T);
        for (int i = 0; i < t.num_told; ++i) {
            const TellRef tell = automaton_.told(t)[i];
            const auto other = static_cast<uint32_t>(static_cast<int32_t>(pe) + neighbor_[tell.port]);
            Slot& o = slots_[other];
            enter(other, o, Transition(automaton_.hear(o.state, T - o.base, tell.message, o.base, cells(o))), T);
        }
    } catch (const Refused& r) {
        refuse(pe, r);
    }
}

void Engine::settle_live(uint32_t pe, Cycle T) {
    Slot& s = slots_[pe];
    Node& n = *nodes_[pe];
    automaton_.after_live(n, T);
    end_ = std::max(end_, n.main.end);
    open_ -= n.done;
    n.done = 0;
    const Cycle next = n.next();
    if (next >= kForever || next == s.queued) return;
    s.queued = next;
    queue_.push(next, pe);
}

void Engine::visit_live(uint32_t pe, Cycle T) {
    Slot& s = slots_[pe];
    if (s.queued == T) s.queued = -1;
    if (nodes_[pe]->next() > T) return;
    try {
        automaton_.step_live(*nodes_[pe], T);
        says_.swap(automaton_.says());
        settle_live(pe, T);
        for (const Told& t : says_) {
            const auto other = static_cast<uint32_t>(static_cast<int32_t>(pe) + neighbor_[t.port]);
            automaton_.hear_live(*nodes_[other], t.message, T);
            settle_live(other, T);
        }
    } catch (const Refused& r) {
        refuse(pe, r);
    }
}

void Engine::limit_tables() {
    if (automaton_.bytes() < most_table_bytes_) return;
    std::vector<uint32_t*> states;
    for (Slot& s : slots_) states.push_back(&s.state);
    automaton_.renew(states);
    unknown_.clear();
    most_table_bytes_ = std::max(kTableBytes, 2 * automaton_.bytes());  // what is in use cannot be forgotten
}

Status Engine::run(const Limits& limits, const std::function<bool()>& interrupted) {
    const auto began = std::chrono::steady_clock::now();
    const Cycle start = now_;
    const uint64_t events = this->events();
    uint64_t look = events + 20000;
    nodes_.resize(slots_.size());
    for (uint32_t pe = 0; pe < slots_.size(); ++pe) {
        nodes_[pe] = std::make_unique<Node>();
        automaton_.begin_live(slots_[pe].state, slots_[pe].base, cells(slots_[pe]), *nodes_[pe]);
    }
    for (;;) {
        const Cycle t = queue_.next(now_);
        if (t >= kForever) break;
        if (limits.max_cycles >= 0 && t - start >= limits.max_cycles)
            return now_ = start + limits.max_cycles, Status::kLimit;
        if (limits.pause_at >= 0 && t >= limits.pause_at)
            return now_ = std::max(now_, limits.pause_at), Status::kPaused;
        now_ = t;
        auto& bucket = queue_.bucket(t);
        for (size_t i = 0; i < bucket.size(); ++i) {
            if (i + 4 < bucket.size()) __builtin_prefetch(&slots_[bucket[i + 4]]);
            visit_live(bucket[i], t);
        }
        queue_.clear(t);
        if (this->events() < look) continue;
        look = this->events() + 20000;
        limit_tables();
        if (limits.max_events && static_cast<int64_t>(this->events() - events) >= limits.max_events)
            return now_ = t + 1, Status::kLimit;
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        if (limits.max_seconds > 0 && seconds > limits.max_seconds) return now_ = t + 1, Status::kLimit;
        if (interrupted && interrupted()) return now_ = t + 1, Status::kInterrupted;
    }
    bool rest = open_ == 0;
    for (uint32_t pe = 0; pe < slots_.size(); ++pe) {
        const Node& n = *nodes_[pe];
        rest = rest && !n.main.in_task && !n.live && n.launches.empty();
        end_ = std::max(end_, n.main.end);
        Slot& s = slots_[pe];
        uint8_t* c = cells(s);
        for (size_t r = 0; r < n.main.regs.size(); ++r) std::memcpy(c + 8 * r, &n.main.regs[r].value, 8);
        for (size_t r = 0; r < n.main.memory.size(); ++r) c[8 * n.main.regs.size() + r] = n.main.memory[r];
    }
    now_ = end_ = std::max(end_, start);
    return rest ? Status::kFinished : Status::kStuck;
}

bool Engine::read(uint32_t pe, int32_t address, int32_t bytes, uint8_t* out) {
    const int32_t tile = program_.tile_map[pe];
    if (tile < 0) return false;
    const Slot& s = slots_[pe];
    const auto [it, fresh] = unknown_.try_emplace(s.state);
    if (fresh) {
        Node n;
        automaton_.inspect(s.state, n);
        it->second = n.main.unknown;
    }
    const uint8_t* memory = cells(s) + 8 * program_.tiles[static_cast<size_t>(tile)].num_regs;
    for (int i = 0; i < bytes; ++i) {
        const int at = automaton_.control(tile).find(address + i, address + i + 1);
        if (at < 0 || it->second[static_cast<size_t>(at)]) return false;
        out[i] = memory[at];
    }
    return true;
}

int Engine::write(uint32_t pe, int32_t address, std::span<const uint8_t> values, bool known) {
    const int32_t tile = program_.tile_map[pe];
    if (tile < 0) return 0;
    Slot& s = slots_[pe];
    uint8_t* memory = cells(s) + 8 * program_.tiles[static_cast<size_t>(tile)].num_regs;
    written_.clear();
    for (size_t i = 0; i < values.size(); ++i) {
        const auto byte = address + static_cast<int32_t>(i);
        const int at = automaton_.control(tile).find(byte, byte + 1);
        if (at < 0) continue;
        memory[at] = known ? values[i] : 0;
        written_.push_back(at);
    }
    if (!written_.empty()) s.state = automaton_.told_by_host(s.state, written_, known);
    return static_cast<int>(written_.size());
}

}  // namespace wafersim::stream
