// The engine while visits are looked up: PEs are situations, and a visit or a message that has occurred before leads to
// the situation behind it. What has not is made once on the PE itself, unpacked.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "stream/engine.hpp"

namespace wafersim::stream {
namespace {

// A visit that is made and kept costs four times one that is only made, one looked up a tenth: so many lookups are
// judged together, more on a large wafer, whose start is new everywhere; three in ten new are too many, three times
// running.
constexpr uint64_t kJudged = 20000, kJudgedPerPe = 8;
constexpr int kPoor = 3;

}  // namespace

void Engine::start_looking_up() {
    memo_ = std::make_unique<Memo>();
    pes_.resize(num_pes());
    std::vector<int64_t> rank(program_.tiles.size(), 0);
    std::vector<uint32_t> initial;
    for (size_t t = 0; t < program_.tiles.size(); ++t) initial.push_back(mains_.initial(static_cast<int32_t>(t)));
    size_t bytes = 0;
    for (const int32_t t : program_.tile_map)
        if (t >= 0) bytes += mains_.cell_bytes(t);
    cells_.resize(bytes);
    bytes = 0;
    for (uint32_t pe = 0; pe < pes_.size(); ++pe) {
        Pe& p = pes_[pe];
        const int32_t tile = program_.tile_map[pe];
        place(pe, clear_open());
        if (tile >= 0) {
            open_node_.control = initial[static_cast<size_t>(tile)];
            p.cells = static_cast<uint32_t>(bytes / 8);
            bytes += mains_.cell_bytes(tile);
            mains_.initial_cells(tile, rank[static_cast<size_t>(tile)]++, cells(p));
        }
        settle_in(p, 0);
        wake_known(pe, p);
    }
}

Node& Engine::clear_open() {
    end_of_life(open_node_);
    arena_.rewind();
    return open_node_ = Node{};
}

Node& Engine::open(const Pe& p, Cycle base) {
    snapshots_.restore(memo_->bytes_of(p.at), base, clear_open(), arena_);
    return open_node_;
}

uint32_t Engine::close(Cycle T, Cycle& fact) {
    Node& n = open_node_;
    const Snapshots::Taken taken = snapshots_.take(n, T);
    fact = taken.fact;
    Memo::Situation s;
    if (n.next() < kForever) s.wake = n.next() - T;
    s.horizon = taken.horizon;
    s.control = n.control;
    s.tile = n.tile;
    return memo_->find(taken.bytes, s);
}

void Engine::settle_in(Pe& p, Cycle T) {
    Cycle fact = kMinus;
    p.at = close(T, fact);
    p.base = T;
    if (fact > kMinus) end_ = std::max(end_, T + fact);
}

void Engine::wake_known(uint32_t pe, Pe& p) {
    const Cycle wake = (*memo_)[p.at].wake;
    if (wake >= kForever || p.base + wake >= p.queued) return;
    p.queued = p.base + wake;
    queue_.push(p.queued, pe);
}

void Engine::visit_known(uint32_t pe, Cycle T) {
    Pe& p = pes_[pe];
    if (p.queued == T) p.queued = kForever;
    const Memo::Situation& s = (*memo_)[p.at];
    if (s.wake >= kForever || p.base + s.wake > T) return wake_known(pe, p);
    ++figures.steps;
    ++memo_->lookups;
    uint8_t* cells = this->cells(p);
    const size_t num_cells = s.tile >= 0 ? cell_bytes_[static_cast<size_t>(s.tile)] : 0;
    const Memo::Visit* found = memo_->play(p.at, T, mains_, cells, num_cells);
    if (found) {
        loop_.words += found->words, loop_.leaps += found->leaps;
        loop_.coarse.beyond += found->beyond, loop_.coarse.most = std::max(loop_.coarse.most, found->most);
    } else {
        found = &visit_unknown(pe, T, cells);
    }
    const Memo::Visit& v = *found;  // nothing below adds a visit
    p.at = v.to;
    p.base = T;
    open_ -= v.done;
    if (v.end > kMinus) end_ = std::max(end_, T + v.end);
    wake_known(pe, p);
    for (int32_t i = 0; i < v.num_said; ++i) {
        const Memo::Said said = memo_->said(v)[i];
        hear_known(heard_by(pe, said.port), said.message, T);
    }
}

// What has not occurred before: made on the PE itself, and kept.
const Memo::Visit& Engine::visit_unknown(uint32_t pe, Cycle T, uint8_t* cells) {
    ++memo_->misses;
    Pe& p = pes_[pe];
    Node& n = open(p, p.base);
    Memo::Visit v;
    const uint64_t words = loop_.words, leaps = loop_.leaps, beyond = loop_.coarse.beyond;
    const int64_t most = std::exchange(loop_.coarse.most, 0);
    element_.script.begin();
    try {
        v.done = make_visit(pe, n, T, cells);
    } catch (const Refused& r) {
        refuse(pe, r);
    }
    element_.script.on = false;
    v.words = loop_.words - words, v.leaps = loop_.leaps - leaps, v.beyond = loop_.coarse.beyond - beyond;
    v.most = loop_.coarse.most;
    loop_.coarse.most = std::max(most, v.most);
    said_.clear();
    for (const Told& t : says_) said_.push_back({t.port, memo_->message(t.message)});
    if (n.end > kMinus) v.end = n.end - T;
    Cycle fact = kMinus;
    v.to = close(T, fact);
    v.end = std::max(v.end, fact);
    return memo_->add(p.at, v, element_.script.steps, said_, mains_);
}

void Engine::hear_known(uint32_t pe, uint32_t message, Cycle T) {
    ++figures.hears;
    ++memo_->lookups;
    Pe& p = pes_[pe];
    const Cycle dt = std::min(T - p.base, (*memo_)[p.at].horizon);
    Memo::Heard& h = memo_->heard(p.at, message, dt);
    if (h.to == Memo::kNowhere) {
        ++memo_->misses;
        Node& n = open(p, T - dt);
        try {
            router_.hear(n, memo_->message(message), T);
        } catch (const Refused& r) {
            refuse(pe, r);
        }
        Cycle fact = kMinus;
        h.to = close(T, fact);
        h.fact = static_cast<int32_t>(std::max<Cycle>(fact, INT32_MIN));
    }
    p.at = h.to;
    p.base = T;
    if (h.fact > INT32_MIN) end_ = std::max(end_, T + h.fact);
    wake_known(pe, p);
}

void Engine::look_ahead_known(const std::vector<uint32_t>& bucket, size_t i) const {
    if (i + 8 < bucket.size()) __builtin_prefetch(&pes_[bucket[i + 8]]);
    if (i + 4 >= bucket.size()) return;
    const Pe& p = pes_[bucket[i + 4]];
    __builtin_prefetch(&(*memo_)[p.at]);
    const uint8_t* cells = cells_.data() + 8 * static_cast<size_t>(p.cells);
    __builtin_prefetch(cells), __builtin_prefetch(cells + 64);
    for (int port = 0; port < 4; ++port) {  // to whom it may speak
        const auto other = static_cast<int64_t>(bucket[i + 4]) + neighbor_[port];
        if (other >= 0 && other < static_cast<int64_t>(pes_.size()))
            __builtin_prefetch(&pes_[static_cast<size_t>(other)]);
    }
}

// Whether all PEs are at rest; `end_` gets the last thing that happened at any of them.
bool Engine::rest_of_known() {
    std::unordered_map<uint32_t, std::pair<bool, Cycle>> known;
    bool rest = true;
    for (const Pe& p : pes_) {
        const auto [at, fresh] = known.try_emplace(p.at);
        if (fresh) {
            const Node& n = open(p, 0);
            at->second = {at_rest(n), last_fact(n)};
        }
        rest = rest && at->second.first;
        if (at->second.second > kMinus) end_ = std::max(end_, p.base + at->second.second);
    }
    return rest;
}

// Now and then: does it still fit, and is it worth it?
void Engine::judge_memo() {
    if (memo_->bytes() > most_memo_bytes_) renew_memo();
    const uint64_t lookups = memo_->lookups - judged_lookups_, misses = memo_->misses - judged_misses_;
    if (lookups < std::max(kJudged, kJudgedPerPe * num_pes())) return;
    judged_lookups_ = memo_->lookups, judged_misses_ = memo_->misses;
    poor_ = 10 * misses > 3 * lookups ? poor_ + 1 : 0;
    if (poor_ >= kPoor) forget_situations();
}

// Keeps the situations that PEs are in.
void Engine::renew_memo() {
    ++figures.renewals;
    auto fresh = std::make_unique<Memo>();
    fresh->lookups = memo_->lookups, fresh->misses = memo_->misses;
    std::unordered_map<uint32_t, uint32_t> to;
    for (Pe& p : pes_) {
        const auto [at, first] = to.try_emplace(p.at, 0);
        if (first) {
            Memo::Situation s = (*memo_)[p.at];
            s.visits = 0;
            at->second = fresh->find(memo_->bytes_of(p.at), s);
        }
        p.at = at->second;
    }
    memo_ = std::move(fresh);
    most_memo_bytes_ = std::max(most_memo_bytes_, 2 * memo_->bytes());  // else it would be full again at once
}

void Engine::forget_situations() {
    if (!memo_) return;
    clear_open();
    nodes_.resize(num_pes());
    for (uint32_t pe = 0; pe < nodes_.size(); ++pe) {
        const Pe& p = pes_[pe];
        Node& n = nodes_[pe];
        snapshots_.restore(memo_->bytes_of(p.at), p.base, n, arena_);
        n.cells = p.cells;
        n.queued = p.queued;
    }
    memo_.reset();
    pes_.clear();
    pes_.shrink_to_fit();
}

}  // namespace wafersim::stream
