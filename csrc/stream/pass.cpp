// Shortcuts in the engine: what is looked up for a PE, from when it hears something until it waits for something else,
// in one piece where the same has happened before.
#include <algorithm>
#include <climits>
#include <cstring>
#include <span>
#include <utility>

#include "stream/engine.hpp"

namespace wafersim::stream {
namespace {

// A pass that is followed and kept costs twice one that is only followed, one by a shortcut a tenth: so many are judged
// together, more on a large wafer, where all is learned anew behind a renewed memo; half of them new are too many,
// three times running.
constexpr uint64_t kJudged = 20000, kJudgedPerPe = 8;
constexpr int kPoor = 3;
constexpr uint64_t kRest = 4;  // times as many lookups without any, then again; twice as many if they are poor still
// What a pass will touch is fetched so many passes before it: the PE, the slot that its key leads to, the shortcut.
constexpr size_t kPeAhead = 32, kSlotAhead = 16, kShortcutAhead = 8, kRestAhead = 4, kPartialAhead = 2;
constexpr size_t kPartOfMemo = 2;  // of a memo's memory, beside it: shortcuts, at most half of it, and classes

}  // namespace

// All values of the PE into its cells.
void Engine::own_values(Pe& p) {
    if (p.values == Classes::kNone) return;
    classes_->put(p.values, cells(p));
    leave_class(p);
}

void Engine::leave_class(Pe& p) {
    p.layout = classes_->layout_in(p.values);
    p.values = Classes::kNone;
}

// What differs from PE to PE when the first run begins, or one behind values that the host has written, is not shared.
void Engine::start_shortcuts() {
    shortcuts_on_ = true;
    judged_passes_ = figures.passes, followed_ = 0;
    poor_passes_ = 0, rest_ = kRest;
    if (!classes_) {
        classes_ = std::make_unique<Classes>(cell_bytes_);
        shortcuts_ =
            Shortcuts(most_memo_bytes_ / kPartOfMemo / 2 / (sizeof(Shortcuts::Shortcut) + sizeof(Shortcuts::Rest)));
    }
    if (!std::exchange(written_to_, false)) return;
    std::vector<const uint8_t*> first(program_.tiles.size());
    shared_.each_of(strip_, [&](uint32_t pe) {
        if (program_.tile_map[pe] < 0) return;
        const auto tile = static_cast<size_t>(program_.tile_map[pe]);
        const uint8_t* own = cells(pes_[pe]);
        if (!first[tile]) first[tile] = own;
        classes_->own_what_differs(static_cast<int32_t>(tile), first[tile], own,
                                   8 * static_cast<size_t>(program_.tiles[tile].num_regs));
    });
    shared_.each_of(strip_, [&](uint32_t pe) { pes_[pe].layout = 0; });
}

void Engine::copy_own(Pe& p, int32_t tile) {
    if (tile >= 0 && cell_bytes_[static_cast<size_t>(tile)])
        std::memcpy(&p.own, cells(p) + classes_->first_own(tile), sizeof p.own);
}

void Engine::stop_shortcuts() {
    resume_ = UINT64_MAX;
    if (!shortcuts_on_) return;
    clear_shortcuts();
    shortcuts_on_ = false;
}

void Engine::clear_shortcuts() {
    if (!shortcuts_on_) return;
    figures.shortcut_bytes = std::max<uint64_t>(figures.shortcut_bytes, shortcut_bytes());
    count_uses();
    shortcuts_.clear();
    partials_.clear();
    shared_.each_of(strip_, [&](uint32_t pe) { own_values(pes_[pe]); });
    classes_->clear();
}

// Of a shortcut, what is not counted with every use.
void Engine::count_work(int32_t i) {
    const auto uses = static_cast<uint64_t>(shortcuts_.uses(i));
    if (!uses) return;
    const auto& [work, waited] = shortcuts_.work(i);
    loop_.words += uses * work.words, loop_.leaps += uses * work.leaps;
    loop_.coarse.beyond += uses * work.beyond, loop_.coarse.most = std::max(loop_.coarse.most, work.most);
    figures.waited += uses * waited;
}

void Engine::count_uses() {
    for (int32_t i = 1; i < shortcuts_.size(); ++i) count_work(i), shortcuts_.counted(i);
}

size_t Engine::shortcut_bytes() const {
    return shortcuts_.bytes() + partials_.bytes() + classes_->bytes();
}

// Are they worth it, and do they fit? Where chains still grow most shortcuts are new: that passes without them, too.
void Engine::judge_shortcuts() {
    if (!shortcuts_on_ && lookups() >= resume_) shortcuts_on_ = true, poor_passes_ = 0;
    if (!shortcuts_on_) return;
    const size_t most = most_memo_bytes_ / kPartOfMemo;
    if (shortcut_bytes() > most) clear_shortcuts();
    if (shortcuts_.crowded()) {
        figures.shortcut_bytes = std::max<uint64_t>(figures.shortcut_bytes, shortcut_bytes());
        for (int32_t i = 1; i < shortcuts_.size(); ++i) count_work(i);
        shortcuts_.keep_used();
    }
    const uint64_t judged = figures.passes - judged_passes_;
    if (judged < std::max<uint64_t>(kJudged, kJudgedPerPe * num_own_)) return;
    const bool poor = 2 * followed_ > judged;
    judged_passes_ = figures.passes;
    followed_ = 0;
    poor_passes_ = poor ? poor_passes_ + 1 : 0;
    if (!poor) rest_ = kRest;
    if (poor_passes_ < kPoor) return;
    stop_shortcuts();
    resume_ = lookups() + rest_ * judged;
    rest_ *= 2;
}

// What is said to a PE in a cycle is looked at in the next one, together with the visit that it causes there; of
// several messages in one cycle all but the last one at once.
void Engine::tell(uint32_t pe, uint32_t message, Cycle T) {
    Pe& p = pes_[pe];
    if (p.heard) {
        pass(pe, (p.heard - 1) | Shortcuts::kOnly, T, 0);
        p.heard = message + 1;
        return;
    }
    p.heard = message + 1;
    fresh_.push_back({pe});
    Shortcuts::Key key;
    if (!far_ || !passing() || !p.values || !key_of(p, message, T, key)) return;
    fresh_.back().hash = key.hash();
    shortcuts_.fetch_slot(fresh_.back().hash);
}

void Engine::hear_fresh() {
    for (const Fresh& fresh : fresh_) {
        Pe& p = pes_[fresh.pe];
        if (hear_known(fresh.pe, std::exchange(p.heard, 0) - 1, now_)) put_in_queue(fresh.pe, p);
    }
    fresh_.clear();
}

// What the tape comes to for the PEs of a class.
const Partials::Entry& Engine::partial_of(int32_t tape, uint32_t values) {
    if (const Partials::Entry* known = partials_.find(tape, values)) return *known;
    Partials::Entry e{.tape = tape, .values = values};
    const Partial::Outcome outcome = partial_.evaluate(memo_->tape(tape), *classes_, values);
    if (outcome == Partial::Outcome::kHolds) {
        e.holds = true;
        e.after = classes_->find(classes_->tile(values), classes_->layout_of(partial_.mask), partial_.after.data());
        e.guarded = partial_.rest.guarded(), e.writes = !partial_.rest.writes.empty();
        e.rest = partial_.rest.empty() ? -1 : memo_->keep_tape(std::move(partial_.rest));
        const int32_t own = classes_->first_own(classes_->tile(values));
        if (e.guarded && memo_->tape(e.rest).guards_code.only_reads(own)) {
            e.near = own;
            e.ranges = memo_->tape(e.rest).guards_code.ranges(own);
        }
    }
    return partials_.add(e);
}

bool Engine::holds(const Pe& p, const Partials::Entry& e) {
    if (e.ranges.count != HalfRanges::kNone) return e.ranges.hold(p.own);
    if (e.near < 0) return memo_->holds(e.rest, cells(p));
    return memo_->tape(e.rest).guards_code.check(reinterpret_cast<const uint8_t*>(&p.own), e.near);
}

// Whether the values of the PE are as its tape wants them; if so they become what it makes of them.
bool Engine::fits(Pe& p, int32_t i) {
    Shortcuts::Shortcut& s = shortcuts_[i];
    if (s.any_values) return true;
    if (s.values != p.values) ask_class(i, p.values);
    if (s.fails || (s.in_range && !s.range.holds(p.own, s.shift))) return false;
    if (s.guarded && !holds(p, shortcuts_.rest(i).partial)) return false;
    if (s.writes) return write(p, shortcuts_.rest(i).partial), true;
    p.values = s.after;
    return true;
}

// What the tape of a shortcut comes to for another class than the last one.
void Engine::ask_class(int32_t i, uint32_t values) {
    Partials::Entry& e = shortcuts_.rest(i).partial;
    e = partial_of(e.tape, values);
    Shortcuts::Shortcut& s = shortcuts_[i];
    s.values = values, s.after = e.after;
    s.fails = !e.holds;
    s.in_range = e.guarded && e.ranges.count == 1;
    s.guarded = e.guarded && !s.in_range;
    s.writes = e.writes;
    s.range = e.ranges.range[0], s.shift = e.ranges.bits[0] & 63;
}

// What its tape makes of the values of the PE.
void Engine::write(Pe& p, const Partials::Entry& e) {
    if (e.writes) {
        memo_->write(e.rest, cells(p));
        copy_own(p, classes_->tile(p.values));
    }
    p.values = e.after;
}

// The shortcut for the PE, whose values fit it then (`found`), or one to be made anew; 0: none.
int32_t Engine::find_shortcut(Pe& p, const Shortcuts::Key& key, bool& found) {
    int32_t i = shortcuts_.find(key);
    for (; i; i = shortcuts_.rest(i).next) {
        const Shortcuts::Shortcut& s = shortcuts_[i];
        if (s.left == 0) {
            if (memo_->num_chains(s.to) != shortcuts_.rest(i).num_chains) break;  // it is made anew
            shortcuts_.look_later(i);
        }
        if ((found = fits(p, i))) break;
    }
    return i;
}

// The visits of the PE's chain up to cycle T; false if they cannot be made on its class.
bool Engine::catch_up_shared(Pe& p, Cycle T) {
    const int32_t whole = p.chain;
    if (const int32_t i = waited(p, T)) {
        Memo::Chain& c = memo_->chain(i);
        if (c.shared == Memo::kNotAsked)
            c.shared = c.tape < 0 ? -1 : memo_->tape_of({{c.tape, false, true}}, dead(c.to));
        if (c.shared == Memo::kNoTape) return false;
        if (c.shared >= 0) {
            const Partials::Entry& e = partial_of(c.shared, p.values);
            if (!e.holds) return false;
            write(p, e);
        }
        account(c.work, p.base);
        figures.waited += c.work.visits;
        p.at = c.to;
        p.base += c.dt;
    }
    if (counting_) waiting_ -= memo_->chain(whole).work.visits;
    p.chain = 0;
    p.reach = static_cast<int32_t>(std::min<Cycle>((*memo_)[p.at].horizon, kNoReach));
    return true;
}

// A PE has heard a message in the cycle before this one, T, or is visited in this one; or it has heard one of several
// in this one. `guess`: a shortcut that may be for it, 0: none.
inline void Engine::pass(uint32_t pe, uint32_t message, Cycle T, int32_t guess) {
    note(pe, T);
    Pe& p = pes_[pe];
    Shortcuts::Key key;
    if (!passing() || !key_of(p, message, T, key)) return follow(pe, message, T), void();
    if (p.values == Classes::kNone) find_class(p);
    ++figures.passes;
    if (!guess || shortcuts_[guess].key != key) guess = shortcuts_.find(key);
    if (guess && shortcuts_[guess].left && fits(p, guess)) [[likely]]
        return take(pe, p, guess, T);
    pass_by_table(pe, p, key, message, T);
}

// By any with its key.
void Engine::pass_by_table(uint32_t pe, Pe& p, Shortcuts::Key key, uint32_t message, Cycle T) {
    bool found = false;
    int32_t i = find_shortcut(p, key, found);
    if (!i && p.chain && !shortcuts_.often(key) && catch_up_shared(p, T)) {
        if (!key_of(p, message, T, key)) return follow(pe, message, T), void();
        i = find_shortcut(p, key, found);
    }
    if (found) return take(pe, p, i, T);
    make_shortcut(pe, p, key, i, message, T);
}

// The shortcut `i` anew, or one more, 0.
void Engine::make_shortcut(uint32_t pe, Pe& p, const Shortcuts::Key& key, int32_t i, uint32_t message, Cycle T) {
    Shortcuts::Shortcut s;
    Shortcuts::Rest rest;
    const uint64_t misses = memo_->misses;
    begin_following(p);
    const int32_t visit = follow(pe, message, T);
    end_following(p);
    followed_ += misses == memo_->misses;  // not the first time that it occurs
    if (visit < 0 || !describe(p, visit, T, s, rest)) return;
    s.key = key;
    rest.work = shortcuts_.number_of({trail_.work, trail_.waited});
    if (!i) return shortcuts_.add(s, rest);
    count_work(i);
    rest.next = shortcuts_.rest(i).next;
    shortcuts_[i] = s, shortcuts_.rest(i) = rest;
}

// The registers of the PE that code will write before it reads them: they are kept as 0, so that classes are few.
const std::vector<int32_t>& Engine::dead(uint32_t situation) {
    static const std::vector<int32_t> none;
    const Memo::Situation& s = (*memo_)[situation];
    if (s.tile < 0) return none;
    if (s.control >= dead_.size()) dead_.resize(s.control + 1);
    auto& [asked, registers] = dead_[s.control];
    if (std::exchange(asked, true)) return registers;
    for (int32_t r = 0; r < program_.tiles[static_cast<size_t>(s.tile)].num_regs; ++r)
        if (!mains_.live(s.control, r)) registers.push_back(r);
    return registers;
}

void Engine::find_class(Pe& p) {
    for (const int32_t r : dead(p.at)) std::fill_n(cells(p) + 8 * r, 8, uint8_t{0});
    const int32_t tile = (*memo_)[p.at].tile;
    p.values = classes_->find(tile, p.layout ? p.layout : classes_->layout(tile), cells(p));
    copy_own(p, tile);
}

// Few of the values of a PE are its own: the others need not be brought to where it lies and back.
void Engine::begin_following(Pe& p) {
    classes_->join(p.values, cells(p), scratch_);
    leave_class(p);
    followed_pe_ = &p;
}

void Engine::end_following(Pe& p) {
    find_class(p);
    followed_pe_ = nullptr;
    classes_->put_own(p.values, scratch_.data(), cells(p));
}

inline void Engine::take(uint32_t pe, Pe& p, int32_t i, Cycle T) {
    Shortcuts::Shortcut& s = shortcuts_[i];
    if (s.chain_end > kNoEnd) end_ = std::max(end_, p.base + s.chain_end);
    if (s.end > Shortcuts::kNoEnd) end_ = std::max(end_, T + s.end);
    if (counting_ && p.chain) waiting_ -= memo_->chain(p.chain).work.visits;
    p.at = s.to, p.chain = s.to_chain, p.reach = s.reach;
    p.base = T + s.late;
    p.due = s.due < kNoReach ? p.base + s.due : kForever;
    if (counting_ && p.chain) waiting_ += memo_->chain(p.chain).work.visits;
    --s.left, ++figures.taken;
    figures.steps += s.visits;
    if (s.rare) take_rare(i, T);
    put_in_queue(pe, p);
    if (!s.num_said) return;
    deliver_known(pe, s.port0, s.said[0]);
    if (s.num_said == 1) return;
    deliver_known(pe, s.port1, s.said[1]);
    static_assert(Shortcuts::kSaid == 2);
    if (s.num_said > Shortcuts::kSaid) say(pe, shortcuts_.rest(i).visit, Shortcuts::kSaid);
}

// What there is no room for in most shortcuts.
void Engine::take_rare(int32_t i, Cycle T) {
    open_ -= shortcuts_.rest(i).done;
    const Memo::Work& work = shortcuts_.work(i).work;
    if (work.end > kMinus) end_ = std::max(end_, T + work.end);
    if (work.visits > Shortcuts::kMostVisits) figures.steps += work.visits;
}

void Engine::say(uint32_t pe, int32_t visit, int from) {
    const Memo::Visit& v = memo_->visit(visit);
    for (int32_t i = from; i < v.num_said; ++i) {
        const Memo::Said said = memo_->said(v)[i];
        deliver_known(pe, said.port, said.message);
    }
}

// Without a shortcut. The visit that was made, 0: none, -1: something was refused.
int32_t Engine::follow(uint32_t pe, uint32_t message, Cycle T) {
    Pe& p = pes_[pe];
    own_values(p);
    trail_.whole = true;
    trail_.parts.clear();
    trail_.chain_end = kMinus;
    trail_.work = {};
    trail_.waited = 0;
    trail_begin_ = T;
    if (message != Shortcuts::kNoMessage && !hear_known(pe, message & ~Shortcuts::kOnly, T)) return -1;
    int32_t visit = 0;
    if (message == Shortcuts::kNoMessage || p.due <= now_) {
        visit = visit_known(pe, now_);
        if (!visit) return -1;
    }
    put_in_queue(pe, p);
    if (visit) say(pe, visit, 0);
    return visit;
}

// What was followed, as a shortcut; false if there can be none.
bool Engine::describe(const Pe& p, int32_t visit, Cycle T, Shortcuts::Shortcut& s, Shortcuts::Rest& rest) {
    if (!trail_.whole || (p.due < kForever && p.due - p.base >= kNoReach)) return false;
    if (p.base - T > 1 || trail_.chain_end > kNoReach) return false;
    rest.partial.tape = memo_->tape_of(trail_.parts, dead(p.at));
    if (rest.partial.tape == Memo::kNoTape) return false;
    s.any_values = rest.partial.tape < 0;
    s.to = p.at, s.to_chain = p.chain, s.reach = p.reach;
    s.due = p.due < kForever ? static_cast<int32_t>(p.due - p.base) : kNoReach;
    s.late = p.base > T;
    rest.num_chains = static_cast<uint8_t>(memo_->num_chains(p.at));
    if (trail_.chain_end > kNoEnd) s.chain_end = static_cast<int32_t>(trail_.chain_end);
    const Memo::Work& work = trail_.work;
    if (work.visits <= Shortcuts::kMostVisits)
        s.visits = static_cast<uint32_t>(work.visits) & Shortcuts::kMostVisits;
    else
        s.rare = true;
    if (work.end > Shortcuts::kNoEnd && work.end <= INT16_MAX)
        s.end = static_cast<int16_t>(work.end);
    else
        s.rare |= work.end > kMinus;
    if (!visit) return true;
    const Memo::Visit& v = memo_->visit(visit);
    rest.visit = visit;
    rest.done = static_cast<int8_t>(v.done);
    s.rare |= v.done != 0;
    s.num_said = static_cast<uint32_t>(std::min(v.num_said, Shortcuts::kSaid + 1)) & 3;
    const Memo::Said* said = memo_->said(v);
    for (int i = 0; i < std::min(v.num_said, Shortcuts::kSaid); ++i) s.said[i] = said[i].message;
    if (v.num_said > 0) s.port0 = said[0].port & 3;
    if (v.num_said > 1) s.port1 = said[1].port & 3;
    return true;
}

// What few passes need of a shortcut that has been fetched.
void Engine::fetch_rest(uint32_t pe, int32_t guess) const {
    const Shortcuts::Shortcut& s = shortcuts_[guess];
    if (!guess || !(s.guarded || s.writes || s.rare || s.left == 0 || asks_class(s, pe))) return;
    __builtin_prefetch(&shortcuts_.rest(guess));
    if (s.writes) __builtin_prefetch(cells(pes_[pe]));
}

bool Engine::asks_class(const Shortcuts::Shortcut& s, uint32_t pe) const {
    return !s.any_values && s.values != pes_[pe].values;
}

void Engine::fetch_partial(uint32_t pe, int32_t guess) const {
    if (guess && asks_class(shortcuts_[guess], pe))
        partials_.fetch(shortcuts_.rest(guess).partial.tape, pes_[pe].values);
}

void Engine::step_known(Cycle t) {
    const Cycle before = std::exchange(now_, t);
    for (size_t i = 0; i < fresh_.size(); ++i) {
        if (far_) {
            if (const size_t k = i + kShortcutAhead; k < fresh_.size() && fresh_[k].hash)
                fresh_[k].guess = shortcuts_.fetch(fresh_[k].hash);
            if (const size_t k = i + kRestAhead; k < fresh_.size()) fetch_rest(fresh_[k].pe, fresh_[k].guess);
            if (const size_t k = i + kPartialAhead; k < fresh_.size()) fetch_partial(fresh_[k].pe, fresh_[k].guess);
        }
        const Fresh& f = fresh_[i];
        pass(f.pe, std::exchange(pes_[f.pe].heard, 0) - 1, before, f.guess);
    }
    fresh_.clear();
    visit_bucket(t);
    queue_.clear(t);
    if (far_)  // what the next cycle begins with
        for (const std::vector<uint32_t>& next = queue_.soon(t + 1);
             const uint32_t pe : std::span(next).first(std::min(next.size(), kPeAhead)))
            __builtin_prefetch(&pes_[pe]);
    for (size_t i = 0; i < spoken_known_.size(); ++i) tell(spoken_known_[i].pe, spoken_known_[i].message, t);
    spoken_known_.clear();
}

// The PEs whose next visit may be in cycle t.
void Engine::visit_bucket(Cycle t) {
    const auto& bucket = queue_.bucket(t);
    std::array<uint64_t, kSlotAhead> hashes{};  // of the keys of those that come next, 0: none
    std::array<int32_t, kSlotAhead> guesses{};
    auto fetch_slot = [&](size_t i) {
        hashes[i % kSlotAhead] = 0;
        if (i >= bucket.size()) return;
        const Pe& p = pes_[bucket[i]];
        Shortcuts::Key key;
        if (p.due > t || !passing() || !p.values || !key_of(p, Shortcuts::kNoMessage, t, key)) return;
        hashes[i % kSlotAhead] = key.hash();
        shortcuts_.fetch_slot(key.hash());
    };
    auto fetch = [&](size_t i) {
        const uint64_t hash = hashes[i % kSlotAhead];
        guesses[i % kSlotAhead] = hash ? shortcuts_.fetch(hash) : 0;
    };
    if (far_) {
        for (size_t i = 0; i + 1 < kSlotAhead; ++i) fetch_slot(i);
        for (size_t i = 0; i + 1 < kShortcutAhead; ++i) fetch(i);
    }
    for (size_t i = 0; i < bucket.size(); ++i) {
        if (far_) {
            if (const size_t k = i + kPeAhead; k < bucket.size()) __builtin_prefetch(&pes_[bucket[k]]);
            fetch_slot(i + kSlotAhead - 1);
            fetch(i + kShortcutAhead - 1);
            if (const size_t k = i + kRestAhead - 1; k < bucket.size()) fetch_rest(bucket[k], guesses[k % kSlotAhead]);
            if (const size_t k = i + kPartialAhead - 1; k < bucket.size())
                fetch_partial(bucket[k], guesses[k % kSlotAhead]);
        }
        Pe& p = pes_[bucket[i]];
        if (p.queued != t) continue;  // it has been put in the queue for an earlier cycle since
        p.queued = kForever;
        if (p.due > t)
            put_in_queue(bucket[i], p);
        else
            pass(bucket[i], Shortcuts::kNoMessage, t, guesses[i % kSlotAhead]);
    }
}

}  // namespace wafersim::stream
