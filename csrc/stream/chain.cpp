// Chains of quiet visits: which there are, and which one the values of a PE choose.
#include "stream/memo.hpp"

namespace wafersim::stream {
namespace {

// A chain spares events, but its tape must not grow without end, nor the number of those that are tried in vain.
constexpr uint64_t kMostVisits = 32;
constexpr size_t kMostTerms = 128;
constexpr int kMostChains = 48;

}  // namespace

// A tape that does what `a` and `b` do (-1: nothing), one after the other.
int32_t Memo::join(int32_t a, int32_t b) {
    if (a < 0 || b < 0) return std::max(a, b);
    const auto key = static_cast<uint64_t>(a) << 32 | static_cast<uint64_t>(b);
    const auto [it, fresh] = joined_.try_emplace(key, kNoTape);
    if (!fresh) return it->second;
    Tape tape;
    const TapePart parts[] = {{&tapes_[static_cast<size_t>(a)]}, {&tapes_[static_cast<size_t>(b)]}};
    if (!compose(parts, tape)) return kNoTape;
    if (tape.terms.size() > kMostTerms) return kNoTape;
    return it->second = tape.empty() ? -1 : keep_tape(std::move(tape));
}

int32_t Memo::choose_chain(uint32_t from, const uint8_t* cells) {
    int32_t i = situations_[from].chains;
    for (; i; i = chain(i).next) {
        const Chain& c = chain(i);
        if (c.usable && (!c.guarded || matches(tapes_[static_cast<size_t>(c.tape)], cells, values_))) break;
    }
    return i;
}

void Memo::lengthen(uint32_t from, int32_t shorter, int32_t visit, int32_t behind) {
    int32_t last = lengthen(from, shorter, visit);
    std::vector<int32_t> rest;
    for (; behind; behind = chain(behind).shorter) rest.push_back(chain(behind).last);
    for (; last && chain(last).usable && !rest.empty(); rest.pop_back()) last = lengthen(from, last, rest.back());
}

int32_t Memo::lengthen(uint32_t from, int32_t shorter, int32_t i) {
    Situation& s = situations_[from];
    for (int32_t k = s.chains; k; k = chain(k).next)
        if (chain(k).shorter == shorter && chain(k).last == i) return k;
    if (num_chains_[from] >= kMostChains) return 0;
    const Visit& v = visit(i);
    Chain c;
    if (shorter) c = chain(shorter);
    c.dt = shorter ? c.due : s.wake;
    c.shorter = shorter;
    c.last = i;
    c.shared = kNotAsked;
    c.to = v.to;
    const Cycle wake = situations_[v.to].wake;
    c.due = wake < kForever ? c.dt + wake : kForever;
    c.work.add(v.work, c.dt);
    const bool fits = c.work.visits <= kMostVisits && !v.num_steps;
    c.tape = fits ? join(c.tape, v.tape) : kNoTape;
    c.usable = c.tape != kNoTape;
    c.guarded = c.usable && c.tape >= 0 && tapes_[static_cast<size_t>(c.tape)].guarded();
    c.next = s.chains;  // before the shorter ones, which these values would choose, too
    s.chains = static_cast<int32_t>(chains_.size());
    ++num_chains_[from];
    chains_.push_back(c);
    return s.chains;
}

void Memo::write(const Chain& c, uint8_t* cells) {
    if (c.tape >= 0) commit(tapes_[static_cast<size_t>(c.tape)], values_, cells);
}

}  // namespace wafersim::stream
