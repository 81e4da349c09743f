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

void Engine::lay_out_cells() {
    size_t bytes = 0;
    for (uint32_t pe = 0; pe < shared_.num_pes(); ++pe) {
        const int32_t tile = program_.tile_map[pe];
        if (tile < 0) continue;
        pes_[pe].cells = static_cast<uint32_t>(bytes / 8);
        bytes += cell_bytes_[static_cast<size_t>(tile)];
    }
    cells_.resize(bytes);
}

void Engine::start_looking_up() {
    memo_ = std::make_unique<Memo>();
    std::vector<int64_t> rank(program_.tiles.size(), 0);
    std::vector<uint32_t> initial;
    for (size_t t = 0; t < program_.tiles.size(); ++t) initial.push_back(mains_.initial(static_cast<int32_t>(t)));
    for (uint32_t pe = 0; pe < shared_.num_pes(); ++pe) {
        const int32_t tile = program_.tile_map[pe];
        const int64_t r = tile < 0 ? 0 : rank[static_cast<size_t>(tile)]++;
        if (shared_.strip_of(pe) != strip_) continue;
        Pe& p = pes_[pe];
        place(pe, clear_open());
        if (tile >= 0) {
            open_node_.control = initial[static_cast<size_t>(tile)];
            mains_.initial_cells(tile, r, cells(p));
            cell_bytes_own_ += cell_bytes_[static_cast<size_t>(tile)];
        }
        ++num_own_;
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

// What the PE does next, in the situation that it is in now.
void Engine::wake_known(uint32_t pe, Pe& p) {
    choose(p);
    put_in_queue(pe, p);
}

void Engine::choose(Pe& p) {
    const Memo::Situation& s = (*memo_)[p.at];
    p.chain = 0;
    if (waits_ && s.chains) {
        own_values(p);
        p.chain = memo_->choose_chain(p.at, cells(p));
    }
    Cycle due = s.wake, reach = s.horizon;
    if (p.chain) {
        const Memo::Chain& c = memo_->chain(p.chain);
        if (counting_) waiting_ += c.work.visits;
        if (c.guarded) trail_.parts.push_back({c.tape, true, false});
        due = c.due;
        reach = (*memo_)[c.to].horizon < kForever ? c.dt + (*memo_)[c.to].horizon : kForever;
    }
    p.due = due < kForever ? p.base + due : kForever;
    p.reach = static_cast<int32_t>(std::min<Cycle>(reach, kNoReach));
}

void Engine::account(const Memo::Work& w, Cycle T) {
    if (w.end > kMinus) end_ = std::max(end_, T + w.end);
    figures.steps += w.visits;
    loop_.words += w.words, loop_.leaps += w.leaps;
    loop_.coarse.beyond += w.beyond, loop_.coarse.most = std::max(loop_.coarse.most, w.most);
}

// The part of the PE's chain up to cycle T; 0: none of its visits.
int32_t Engine::waited(const Pe& p, Cycle T) const {
    int32_t i = p.chain;
    while (i && memo_->chain(i).dt > T - p.base) i = memo_->chain(i).shorter;
    return i;
}

// The visits of the PE's chain up to cycle T; it is given up.
void Engine::catch_up(Pe& p, Cycle T) {
    const int32_t i = waited(p, T), whole = std::exchange(p.chain, 0);
    if (counting_ && whole) waiting_ -= memo_->chain(whole).work.visits;
    if (!i) return;
    const Memo::Chain& c = memo_->chain(i);
    own_values(p);
    memo_->write(c, cells(p));
    account(c.work, p.base);
    figures.waited += c.work.visits;
    if (c.tape >= 0) trail_.parts.push_back({c.tape, false, true});
    trail_.chain_end = c.work.end;
    trail_.waited = c.work.visits;
    trail_.work.add(c.work, 0), trail_.work.end = kMinus;
    p.at = c.to;
    p.base += c.dt;
}

void Engine::begin(bool counting) {
    counting_ = counting;
    waits_ = true;
    waiting_ = 0;
    if (!memo_) return;
    start_shortcuts();
    if (counting)
        shared_.each_of(strip_, [&](uint32_t pe) {
            if (const int32_t i = pes_[pe].chain) waiting_ += memo_->chain(i).work.visits;
        });
}

void Engine::stop(Cycle now, bool waits) {
    hear_fresh();
    now_ = now;
    waits_ = waits;
    if (!memo_) return;
    stop_shortcuts();
    shared_.each_of(strip_, [&](uint32_t pe) {
        if (!pes_[pe].chain) return;
        catch_up(pes_[pe], now - 1);
        wake_known(pe, pes_[pe]);
    });
}

// What it says is left to say; 0 if it is refused.
int32_t Engine::visit_known(uint32_t pe, Cycle T) {
    Pe& p = pes_[pe];
    const uint32_t from = p.at;
    const int32_t chain = p.chain, tile = (*memo_)[from].tile;
    catch_up(p, T);
    own_values(p);
    uint8_t* cells = this->cells(p);
    const size_t num_cells = tile >= 0 ? cell_bytes_[static_cast<size_t>(tile)] : 0;
    int32_t found = memo_->play(p.at, T, mains_, cells, num_cells);
    const bool fresh = !found;
    if (fresh) found = visit_unknown(pe, T, cells);
    if (!found) return 0;
    const Memo::Visit& v = memo_->visit(found);
    account(v.work, T);
    trail_.work.add(v.work, T - trail_begin_);
    trail_.whole = trail_.whole && !v.num_steps && !(fresh && v.quiet);  // chains grow when it occurs again
    if (v.tape >= 0) trail_.parts.push_back({v.tape});
    p.at = v.to;
    p.base = T;
    open_ -= v.done;
    const bool quiet = v.quiet;
    choose(p);
    if (quiet && !fresh) memo_->lengthen(from, chain, found, p.chain);
    return found;
}

// What has not occurred before: made on the PE itself, and kept; 0 if it is refused.
int32_t Engine::visit_unknown(uint32_t pe, Cycle T, uint8_t* cells) {
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
        return fail(0, pe, T, r), 0;
    }
    element_.script.on = false;
    v.work.visits = 1;
    v.work.words = std::exchange(loop_.words, words) - words;
    v.work.leaps = std::exchange(loop_.leaps, leaps) - leaps;
    v.work.beyond = std::exchange(loop_.coarse.beyond, beyond) - beyond;
    v.work.most = std::exchange(loop_.coarse.most, most);
    said_.clear();
    for (const Told& t : says_) said_.push_back({t.port, memo_->message(t.message)});
    if (n.end > kMinus) v.work.end = n.end - T;
    Cycle fact = kMinus;
    v.to = close(T, fact);
    v.work.end = std::max(v.work.end, fact);
    return memo_->add(p.at, v, element_.script.steps, said_, mains_);
}

// False if it is refused. The PE is not in the queue for what it does next.
bool Engine::hear_known(uint32_t pe, uint32_t message, Cycle T) {
    Pe& p = pes_[pe];
    if (p.chain) catch_up(p, T);
    const Cycle dt = std::min(T - p.base, (*memo_)[p.at].horizon);
    Memo::Heard& h = memo_->heard(p.at, message, dt);
    if (h.to == Memo::kNowhere) {
        ++memo_->misses;
        Node& n = open(p, T - dt);
        try {
            router_.hear(n, memo_->message(message), T);
        } catch (const Refused& r) {
            return fail(1, pe, T, r), false;
        }
        Cycle fact = kMinus;
        h.to = close(T, fact);
        h.fact = static_cast<int32_t>(std::max<Cycle>(fact, INT32_MIN));
    }
    p.at = h.to;
    p.base = T;
    if (h.fact > INT32_MIN) {
        end_ = std::max(end_, T + h.fact);
        trail_.work.end = std::max<Cycle>(trail_.work.end, T - trail_begin_ + h.fact);
    }
    choose(p);
    return true;
}

// The last visit that still waits in a chain.
Cycle Engine::last_waiting() const {
    Cycle last = kMinus;
    if (!memo_) return last;
    shared_.each_of(strip_, [&](uint32_t pe) {
        const Pe& p = pes_[pe];
        if (p.chain) last = std::max(last, p.base + memo_->chain(p.chain).dt);
    });
    return last;
}

// Whether all PEs are at rest; `end_` gets the last thing that happened at any of them.
bool Engine::rest_of_known() {
    std::unordered_map<uint32_t, std::pair<bool, Cycle>> known;
    bool rest = true;
    shared_.each_of(strip_, [&](uint32_t pe) {
        Pe& p = pes_[pe];
        catch_up(p, kForever);
        const auto [at, fresh] = known.try_emplace(p.at);
        if (fresh) {
            const Node& n = open(p, 0);
            at->second = {at_rest(n), last_fact(n)};
        }
        rest = rest && at->second.first;
        if (at->second.second > kMinus) end_ = std::max(end_, p.base + at->second.second);
    });
    return rest;
}

// Now and then: does it still fit, and is it worth it?
void Engine::judge_memo() {
    judge_shortcuts();
    if (memo_->bytes() > most_memo_bytes_) renew_memo();
    const uint64_t lookups = this->lookups() - judged_lookups_, misses = memo_->misses - judged_misses_;
    if (lookups < std::max(kJudged / static_cast<uint64_t>(shared_.strips), kJudgedPerPe * num_own_)) return;
    judged_lookups_ = this->lookups(), judged_misses_ = memo_->misses;
    poor_ = 10 * misses > 3 * lookups ? poor_ + 1 : 0;
    if (poor_ >= kPoor) forget_situations();
}

// Keeps the situations that PEs are in.
void Engine::renew_memo() {
    ++figures.renewals;
    hear_fresh();
    shared_.each_of(strip_, [&](uint32_t pe) {
        Pe& p = pes_[pe];
        if (!p.values || !p.chain || !catch_up_shared(p, now_)) catch_up(p, now_);
    });
    clear_shortcuts();
    auto fresh = std::make_unique<Memo>();
    fresh->misses = memo_->misses;
    std::unordered_map<uint32_t, uint32_t> to;
    shared_.each_of(strip_, [&](uint32_t pe) {
        Pe& p = pes_[pe];
        const auto [at, first] = to.try_emplace(p.at, 0);
        if (first) {
            Memo::Situation s = (*memo_)[p.at];
            s.visits = s.chains = 0;
            at->second = fresh->find(memo_->bytes_of(p.at), s);
        }
        p.at = at->second;
    });
    keep_foreign(*fresh);
    change_memo(std::move(fresh));
    shared_.each_of(strip_, [&](uint32_t pe) { wake_known(pe, pes_[pe]); });
    most_memo_bytes_ = std::max(most_memo_bytes_, 2 * memo_->bytes());  // else it would be full again at once
}

void Engine::forget_situations() {
    if (!memo_) return;
    hear_fresh();
    stop_shortcuts();
    clear_open();
    nodes_ = shared_.nodes();
    shared_.each_of(strip_, [&](uint32_t pe) {
        Pe& p = pes_[pe];
        catch_up(p, now_);
        Node& n = *new (&nodes_[pe]) Node();
        snapshots_.restore(memo_->bytes_of(p.at), p.base, n, arena_);
        n.cells = p.cells;
        n.queued = p.queued;
        wake(pe, n);
    });
    change_memo(nullptr);
}

}  // namespace wafersim::stream
