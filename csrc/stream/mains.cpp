#include "stream/mains.hpp"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace wafersim::stream {
namespace {

void move(Cycle& t, Cycle base) {
    t = t <= base ? kMinus : t >= kForever ? kForever : t - base;
}

// The one form of what the code sees, times counted from `base`: what is past can hold nobody up any more.
void to_form(Main& m, Cycle base, int vector_raw) {
    if (!m.in_task) m.map = {}, m.pc = 0, m.calls.clear(), m.next_issue = m.next_vector = kMinus;
    for (Cycle* t : {&m.next_issue, &m.next_vector, &m.free_at}) move(*t, base);
    for (Reg& r : m.regs) move(r.ready, base), r.value = 0;
    for (Dsr& d : m.dsrs) move(d.ready, base);
    std::erase_if(m.recent, [&](const Recent& r) { return r.start + vector_raw <= base; });
    for (Recent& r : m.recent) r.start -= base;
    std::sort(m.recent.begin(), m.recent.end(), [](const Recent& a, const Recent& b) {
        return std::tie(a.start, a.low, a.high) < std::tie(b.start, b.low, b.high);
    });
    std::fill(m.memory.begin(), m.memory.end(), 0);
    m.active = m.blocked = m.cleared = m.high = m.lowered = 0;
    m.last_issue = m.end = kMinus;
    m.completes = kForever, m.activate = m.unblock = -1;
}

void key_of(const Main& m, std::string& key) {
    key.clear();
    auto put = [&](auto v) { key.append(reinterpret_cast<const char*>(&v), sizeof v); };
    put(m.tile), put(m.priority), put(m.in_task), put(m.pc), put(m.next_issue), put(m.next_vector), put(m.free_at);
    put(m.calls.size());
    for (const int32_t c : m.calls) put(c);
    for (const int32_t s : m.slots) put(s);
    for (const int32_t l : m.lengths) put(l);
    for (const Reg& r : m.regs) put(r.ready), put(r.known);
    for (const Dsr& d : m.dsrs) put(d.dsd), put(d.ready);
    key.append(reinterpret_cast<const char*>(m.unknown.data()), m.unknown.size());
    for (const Recent& r : m.recent) put(r.start), put(r.low), put(r.high);
    const Mapping& map = m.map;
    put(map.phase);
    if (map.phase == Mapping::Phase::kNone) return;
    put(map.save), put(map.pc), put(map.depth), put(map.activate), put(map.unblock), put(map.scalar), put(map.done),
        put(map.length);
    for (const int32_t o : map.operand) put(o);
}

Cycle horizon_of(const Main& m, int vector_raw) {
    Cycle h = 0;
    auto look = [&](Cycle t) {
        if (t > kMinus && t < kForever) h = std::max(h, t);
    };
    for (const Cycle t : {m.next_issue, m.next_vector, m.free_at}) look(t);
    for (const Reg& r : m.regs) look(r.ready);
    for (const Dsr& d : m.dsrs) look(d.ready);
    for (const Recent& r : m.recent) look(r.start + vector_raw);
    return h;
}

}  // namespace

Mains::Mains(const Program& program, const Arch& arch, Local& local, const std::vector<ControlBytes>& control)
    : program_(program), arch_(arch), local_(local), liveness_(program), control_(control), stretches_(1) {}

size_t Mains::cell_bytes(int tile) const {
    const auto t = static_cast<size_t>(tile);
    return (static_cast<size_t>(8 * program_.tiles[t].num_regs + control_[t].bytes) + 7) & ~size_t{7};
}

void Mains::initial_cells(int index, int64_t rank, uint8_t* cells) const {
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

uint32_t Mains::initial(int32_t index) {
    Main m;
    m.tile = index;
    const Tile& tile = program_.tiles[static_cast<size_t>(index)];
    m.regs.resize(static_cast<size_t>(tile.num_regs));
    for (const Dsd& d : tile.dsds) m.slots.push_back(local_.intern(d));
    m.lengths.resize(2 * tile.fifos.size());
    m.dsrs.assign(static_cast<size_t>(tile.num_dsrs[0] + tile.num_dsrs[1] + tile.num_dsrs[2]),
                  Dsr{local_.intern(Dsd{}), kMinus});
    for (const auto& init : tile.dsr_init) {
        Dsd d = tile.dsds[static_cast<size_t>(init.dsd)];
        d.settings = init.settings;
        m.dsrs[static_cast<size_t>(local_.dsr_index(m, init.dsr))].dsd = local_.intern(d);
    }
    m.unknown.assign(static_cast<size_t>(control_[static_cast<size_t>(index)].bytes), 0);
    m.memory = m.unknown;
    return intern(m, 0);
}

uint32_t Mains::intern(Main& m, Cycle base) {
    to_form(m, base, arch_.vector_raw);
    std::string key;
    key_of(m, key);
    const auto [it, fresh] = ids_.try_emplace(std::move(key), static_cast<uint32_t>(places_.size()));
    if (!fresh) return it->second;
    auto p = std::make_unique<Place>();
    p->horizon = horizon_of(m, arch_.vector_raw);
    p->main = std::move(m);
    p->vector = p->main.in_task && local_.is_vector(p->main);
    bytes_ += sizeof(Place) + 2 * it->first.size() + p->main.regs.size() * sizeof(Reg) + 64;
    places_.push_back(std::move(p));
    return it->second;
}

Cycle Mains::ready_from(const Node& n, Cycle t) const {
    const Cycle from = local_.ready_from(main(n.control), t - n.base);
    return from <= kMinus ? kMinus : from + n.base;
}

const Stretch* Mains::match(int32_t first, const uint8_t* cells) {
    for (int32_t i = first; i; i = stretches_[static_cast<size_t>(i)].variant) {
        const Stretch& s = stretches_[static_cast<size_t>(i)];
        if (s.tape < 0 || matches(tapes_[static_cast<size_t>(s.tape)], cells, values_)) return &s;
    }
    return nullptr;
}

const Stretch& Mains::find(const Node& n, Cycle floor, Cycle limit, bool scalar_only, const uint8_t* cells) {
    ++runs;
    Place& p = *places_[n.control];
    const Cycle dt = std::min(floor - n.base, p.horizon);
    const bool often = dt == p.horizon && limit >= kForever;
    int32_t* first = !often ? &runs_[RunKey{n.control, dt, limit >= kForever ? kForever : limit - floor, scalar_only}]
                     : scalar_only ? &p.beside
                                   : &p.alone;
    if (const Stretch* s = match(*first, cells)) return *s;
    const int32_t made = record(n, dt, limit >= kForever ? kForever : dt + limit - floor, scalar_only, cells);
    stretches_[static_cast<size_t>(made)].variant = *first;
    *first = made;
    return *match(made, cells);
}

int32_t Mains::record(const Node& n, Cycle dt, Cycle limit, bool scalar_only, const uint8_t* cells) {
    ++recorded;
    Main m = main(n.control);
    for (size_t r = 0; r < m.regs.size(); ++r)
        if (m.regs[r].known) std::memcpy(&m.regs[r].value, cells + 8 * r, 8);
    for (size_t i = 0; i < m.memory.size(); ++i)
        if (!m.unknown[i]) m.memory[i] = cells[8 * m.regs.size() + i];
    local_.recorder.begin(m.regs.size());
    if (local_.data) local_.data->begin();
    local_.done = 0;
    Stretch s;
    s.count = local_.run(m, dt, limit, dt, scalar_only);
    s.done = local_.done;
    local_.done = 0;
    if (s.count) {
        const Cycle after = m.last_issue + 1;
        s.stop = (m.in_task ? std::max(local_.ready_from(m, after), after) : m.free_at) - dt;
        s.last_issue = m.last_issue - dt;
        s.end = m.end - dt;
        s.in_task = m.in_task;
        s.slot_free = after - dt;
        if (m.in_task && m.next_vector < m.next_issue) s.slot_free = std::max(s.slot_free, m.next_vector - dt);
        if (m.completes < kForever) s.completes = m.completes - dt, s.activate = m.activate, s.unblock = m.unblock;
        s.active = m.active, s.blocked = m.blocked, s.cleared = m.cleared, s.high = m.high, s.lowered = m.lowered;
        const Cycle base = m.last_issue;
        for (size_t r = 0; r < m.regs.size(); ++r)
            if (!liveness_.live(m.in_task ? m.pc : -1, static_cast<int32_t>(r)))
                local_.recorder.drop_register(static_cast<int32_t>(r));
        if (Tape tape = local_.recorder.finish(); !tape.empty()) {
            s.tape = static_cast<int32_t>(tapes_.size());
            bytes_ += sizeof tape + tape.terms.size() * sizeof(Term) + tape.writes.size() * sizeof(CellWrite);
            tapes_.push_back(std::move(tape));
        }
        if (local_.data) s.data = local_.data->finish(m);
        s.to = intern(m, base);
    } else {
        s.to = n.control;
    }
    bytes_ += sizeof s;
    stretches_.push_back(s);
    return static_cast<int32_t>(stretches_.size()) - 1;
}

void Mains::evaluate(const Stretch& s, const uint8_t* cells) {
    if (s.count && s.tape >= 0) tapes_[static_cast<size_t>(s.tape)].writes_code.run(cells, values_);
}

void Mains::enter(Node& n, const Stretch& s, Cycle floor, uint8_t* cells) const {
    if (!s.count) return;
    if (s.tape >= 0) tapes_[static_cast<size_t>(s.tape)].writes_code.store(values_, cells);
    n.control = s.to;
    n.base = n.last_issue = floor + s.last_issue;
    n.end = std::max(n.end, floor + s.end);
    n.active |= s.active;
    n.blocked = (n.blocked & ~s.cleared) | s.blocked;
    n.high = (n.high & ~s.lowered) | s.high;
    if (s.completes < kForever) n.completions.push_back({floor + s.completes, -1, s.activate, s.unblock});
}

}  // namespace wafersim::stream
