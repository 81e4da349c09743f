#include "stream/automaton.hpp"

#include <algorithm>

namespace wafersim::stream {

Automaton::Automaton(const Program& program, const Arch& arch, const std::vector<int32_t>& code_owner,
                     const std::vector<Array>& arrays)
    : program_(program),
      arch_(arch),
      control_(find_control_bytes(program, arch.sram_bytes, code_owner, arrays)),
      local_(program, arch, control_),
      router_(program, arch, loop_),
      element_(program, arch, local_, router_, loop_),
      transitions_(1) {
    keep_ = 2 * std::max({arch.hop, arch.ramp_out, arch.ramp_in + 1, arch.fabric_write}) + 6;
    for (const VopCost& v : arch.vop) keep_ = std::max<Cycle>(keep_, v.beat_cycles + 2 * arch.conflict_cycles + 4);
    check_supported();
}

void Automaton::check_supported() const {
    if (arch_.ramp_pace_num != arch_.ramp_pace_den)
        throw Refused("a ramp pace other than 1 (its accumulator never resets)");
    for (const RouteClass& r : program_.routes) {
        if (r.filter != FilterKind::kNone) throw Refused("input filters");
        if (r.swap_x || r.swap_y) throw Refused("color swap");
        if (r.sink) throw Refused("routes that lead to the host (SINK)");
    }
    for (const Tile& tile : program_.tiles) {
        for (const Task& task : tile.tasks)
            if (task.kind != TaskKind::kLocal) throw Refused("data tasks and control tasks");
        if (!tile.fifos.empty()) throw Refused("FIFOs");
    }
}

size_t Automaton::cell_bytes(int tile) const {
    const auto t = static_cast<size_t>(tile);
    return (static_cast<size_t>(8 * program_.tiles[t].num_regs + control_[t].bytes) + 7) & ~size_t{7};
}

void Automaton::initial_cells(int index, int64_t rank, uint8_t* cells) const {
    const Tile& tile = program_.tiles[static_cast<size_t>(index)];
    const ControlBytes& control = control_[static_cast<size_t>(index)];
    for (size_t k = 0; k < control.ranges.size(); ++k)
        for (int32_t a = control.ranges[k].first; a < control.ranges[k].second; ++a) {
            uint8_t& at = cells[8 * tile.num_regs + control.offset[k] + a - control.ranges[k].first];
            if (a < tile.image_bytes) at = program_.image[static_cast<size_t>(tile.image_offset + a)];
            for (const ParamBlock& b : tile.params)
                if (a >= b.address && a < b.address + b.bytes)
                    at = program_.param_values[static_cast<size_t>(b.offset + rank * b.bytes + a - b.address)];
        }
}

uint32_t Automaton::initial(uint32_t pe) {
    node_ = {};
    const auto width = static_cast<uint32_t>(program_.width);
    const size_t num_pes = program_.tile_map.size();
    const uint32_t x = pe % width, y = pe / width;
    node_.edges = (y > 0 ? 1u : 0u) | (x + 1 < width ? 2u : 0u) |
                  (y + 1 < static_cast<uint32_t>(program_.height) ? 4u : 0u) | (x > 0 ? 8u : 0u);
    for (size_t k = 0; k < program_.colors.size(); ++k) {
        const int32_t r = program_.route_map[k * num_pes + pe];
        if (r < 0) continue;
        Color c;
        c.color = program_.colors[k];
        c.route = r;
        c.position = program_.routes[static_cast<size_t>(r)].initial;
        c.teardown = program_.routes[static_cast<size_t>(r)].teardown;
        node_.colors.push_back(c);
    }
    Main& m = node_.main;
    m.tile = program_.tile_map[pe];
    if (m.tile >= 0) {
        const Tile& tile = program_.tiles[static_cast<size_t>(m.tile)];
        m.regs.resize(static_cast<size_t>(tile.num_regs));
        for (const Dsd& d : tile.dsds) m.slots.push_back(local_.intern(d));
        m.dsrs.assign(static_cast<size_t>(tile.num_dsrs[0] + tile.num_dsrs[1] + tile.num_dsrs[2]),
                      Dsr{local_.intern(Dsd{}), kMinus});
        for (const auto& init : tile.dsr_init) {
            Dsd d = tile.dsds[static_cast<size_t>(init.dsd)];
            d.settings = init.settings;
            m.dsrs[static_cast<size_t>(local_.dsr_index(m, init.dsr))].dsd = local_.intern(d);
        }
        m.unknown.assign(static_cast<size_t>(control_[static_cast<size_t>(m.tile)].bytes), 0);
        for (size_t i = 0; i < tile.tasks.size(); ++i) {
            if (tile.tasks[i].active) m.active |= UINT64_C(1) << i;
            if (tile.tasks[i].blocked) m.blocked |= UINT64_C(1) << i;
        }
        node_.last_pick.assign(tile.tasks.size(), kMinus);
        for (size_t q = 0; q < 8; ++q) {
            InQueue& in = node_.iq[q];
            in.used = tile.iq[q].initialised;
            in.color = tile.iq[q].color, in.priority = tile.iq[q].priority;
            if (in.used) in.blocked = 0;
            if (Color* c = in.used && in.color >= 0 ? node_.color(in.color) : nullptr; c && c->iq < 0)
                c->iq = static_cast<int32_t>(q);
            OutQueue& out = node_.oq[q];
            out.used = out.initialised = tile.oq[q].initialised;
            out.color = tile.oq[q].color, out.priority = tile.oq[q].priority;
        }
        if (m.active & ~m.blocked) node_.wake_element(0);
    }
    return intern(-1);
}

uint32_t Automaton::launched(uint32_t state, Cycle dt, const Launch& launch, Cycle& shift) {
    unpack(states_.bytes(state), node_);
    element_.launches.push_back(launch);
    // The same launch on many PEs has one number.
    for (size_t i = 0; i + 1 < element_.launches.size(); ++i)
        if (element_.launches[i].function == launch.function && element_.launches[i].args == launch.args) {
            element_.launches.pop_back();
            break;
        }
    int32_t number = -1;
    for (size_t i = 0; i < element_.launches.size(); ++i)
        if (element_.launches[i].function == launch.function && element_.launches[i].args == launch.args)
            number = static_cast<int32_t>(i);
    node_.launches.push_back(number);
    dt = std::min(dt, info_[state].horizon + keep_ + 1);
    node_.wake_element(dt);
    shift = dt - 1;
    return intern(dt - 1);
}

uint32_t Automaton::told_by_host(uint32_t state, const std::vector<int>& at, bool known) {
    unpack(states_.bytes(state), node_);
    bool changed = false;
    for (const int i : at) {
        uint8_t& unknown = node_.main.unknown[static_cast<size_t>(i)];
        changed = changed || unknown == known;
        unknown = !known;
    }
    return changed ? intern(0) : state;
}

void Automaton::load(uint32_t state, Cycle base, const uint8_t* cells) {
    unpack(states_.bytes(state), node_);
    says_.clear();
    Main& m = node_.main;
    for (size_t r = 0; r < m.regs.size(); ++r)
        if (m.regs[r].known) std::memcpy(&m.regs[r].value, cells + 8 * r, 8);
    for (size_t i = 0; i < m.memory.size(); ++i)
        if (!m.unknown[i]) m.memory[i] = cells[8 * m.regs.size() + i];
    local_.recorder.begin(m.regs.size(), base);
}

uint32_t Automaton::intern(Cycle T) {
    canonicalize(node_, T, T - keep_, arch_.vector_raw);
    packed_.clear();
    Info info;
    pack(node_, T, packed_, info.horizon);
    bool fresh = false;
    const uint32_t id = states_.intern(packed_, fresh);
    if (!fresh) return id;
    info.next = node_.next() >= kForever ? kForever : node_.next() - T;
    info.at_rest = !node_.main.in_task && !node_.live && node_.launches.empty();
    info.end = last_fact(kForever) - T;
    info_.push_back(info);
    return id;
}

// Cycle behind the last word that passes before `T`, or behind the end of the last cost.
Cycle Automaton::last_fact(Cycle T) const {
    Cycle end = node_.main.end;
    auto look = [&](const Seq& s) {
        if (const int64_t n = s.count_before(T); n > s.first()) end = std::max(end, s.at(n - 1).t + 1);
    };
    for (const Color& c : node_.colors)
        for (const LinkFifo& f : c.fifo) look(f.a), look(f.d);
    for (const InQueue& q : node_.iq) look(q.b);
    for (const OutQueue& q : node_.oq) look(q.b);
    return end;
}

// The state after the event in cycle T, and everything else that the event did, as a new transition.
uint32_t Automaton::record(Cycle T) {
    if (node_.main.tile >= 0) element_.sync(node_, T);
    for (Color& c : node_.colors) router_.settle(c, T);
    Transition t;
    t.end = last_fact(T + 1) - T;
    t.done = static_cast<uint16_t>(node_.done);
    t.first_told = static_cast<uint32_t>(told_.size());
    t.num_told = static_cast<uint16_t>(says_.size());
    for (Told& told : says_) {
        packed_.clear();
        pack(told.message, packed_);
        bool fresh = false;
        told_.push_back({messages_.intern(packed_, fresh), told.port});
    }
    if (Tape tape = local_.recorder.finish(); !tape.empty()) {
        t.tape = static_cast<int32_t>(tapes_.size());
        tape_bytes_ += sizeof tape + tape.terms.capacity() * sizeof(Term) + tape.writes.capacity() * sizeof(CellWrite);
        tapes_.push_back(std::move(tape));
    }
    t.to = intern(T);
    transitions_.push_back(t);
    figures.late = loop_.late;
    figures.words = loop_.words;
    figures.leaps = loop_.leaps;
    return static_cast<uint32_t>(transitions_.size()) - 1;
}

const Transition* Automaton::match(uint32_t first, Cycle base, uint8_t* cells) {
    for (uint32_t t = first; t; t = transitions_[t].variant) {
        const Transition& tr = transitions_[t];
        if (tr.tape < 0) return &tr;
        ++figures.guard_tries;
        const Tape& tape = tapes_[static_cast<size_t>(tr.tape)];
        if (!matches(tape, cells, base, values_)) continue;
        commit(tape, values_, cells);
        return &tr;
    }
    return nullptr;
}

const Transition& Automaton::step(uint32_t state, Cycle base, uint8_t* cells) {
    ++figures.steps;
    if (const Transition* t = match(info_[state].step, base, cells)) return *t;
    ++figures.step_misses;
    load(state, base, cells);
    const Cycle T = info_[state].next;
    auto due = [&](std::vector<Cycle>& wakes) { return std::erase_if(wakes, [&](Cycle t) { return t <= T; }) > 0; };
    if (due(node_.router_wakes)) router_.serve(node_, T, says_);
    if (due(node_.element_wakes)) element_.step(node_, T);
    const uint32_t made = record(T);
    transitions_[made].variant = info_[state].step;
    info_[state].step = made;
    return *match(made, base, cells);
}

const Transition& Automaton::hear(uint32_t state, Cycle dt, uint32_t message, Cycle base, uint8_t* cells) {
    ++figures.hears;
    dt = std::min(dt, info_[state].horizon + keep_ + 1);
    uint32_t first = events_(state, message, dt);
    if (const Transition* t = match(first, base, cells)) return *t;
    ++figures.hear_misses;
    load(state, base, cells);
    unpack(messages_.bytes(message), message_);
    router_.hear(node_, message_, dt);
    const uint32_t made = record(dt);
    transitions_[made].variant = first;
    events_(state, message, dt) = made;
    return *match(made, base, cells);
}

size_t Automaton::bytes() const {
    return states_.memory() + messages_.memory() + events_.memory() + info_.capacity() * sizeof(Info) +
           transitions_.capacity() * sizeof(Transition) + told_.capacity() * sizeof(TellRef) + tape_bytes_;
}

void Automaton::renew(const std::vector<uint32_t*>& states) {
    ++figures.renewals;
    Interner kept;
    std::vector<Info> infos;
    for (uint32_t* state : states) {
        packed_.assign(reinterpret_cast<const char*>(states_.bytes(*state)), states_.length(*state));
        bool fresh = false;
        const uint32_t id = kept.intern(packed_, fresh);
        if (fresh) {
            infos.push_back(info_[*state]);
            infos.back().step = 0;
        }
        *state = id;
    }
    states_ = std::move(kept);
    info_ = std::move(infos);
    messages_ = {};
    events_ = {};
    transitions_ = std::vector<Transition>(1);
    tapes_ = {};
    told_ = {};
    tape_bytes_ = 0;
}

}  // namespace wafersim::stream
