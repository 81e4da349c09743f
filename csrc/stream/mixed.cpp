// Output queues whose words have several colors, or share their color with those of other queues. Which word of the
// ramp's buffer one of theirs becomes is known with its move, so what the words are is handed over with the moves.
#include <algorithm>

#include "stream/element.hpp"

namespace wafersim::stream {

// Before an op of some words starts: whether they are mixed with those of other colors or queues. From then on the
// queue stays so, and all others that send the color.
bool Element::mix_for(Node& n, OutQueue& q, int color, LinkFifo& ramp, int64_t words, Cycle T) {
    bool mixed = q.mixed || (q.ramp_color >= 0 && q.ramp_color != color);
    for (OutQueue* other : n.oq) {
        if (!other || other == &q) continue;
        const bool sends = other->mixed ? other->mixed->colors >> color & 1 : other->ramp_color == color;
        if (!sends) continue;
        if (other->fed > kMinus) throw Refused("a color that the host feeds to a RAMP and the PE sends");
        mix(*other, T);
        mixed = true;
    }
    if (!mixed) return false;
    mix(q, T);
    Mixed& m = *q.mixed;
    m.colors |= 1u << color;
    q.ramp_color = color, q.ramp = &ramp;
    if (values && !ramp.words) ramp.words = std::make_unique<Words>();
    if (m.parts.empty() || m.parts.back().color != color) m.parts.push_back({0, color, &ramp});
    m.parts.back().end = q.pushed + words;
    return true;
}

// Its words so far had one color, and an index in common with the ramp's buffer.
void Element::mix(OutQueue& q, Cycle T) {
    if (q.mixed) return;
    q.mixed = std::make_unique<Mixed>();
    if (values) q.mixed->words = std::make_unique<Words>();
    if (!q.ramp) return;
    Mixed& m = *q.mixed;
    const LinkFifo& ramp = *q.ramp;
    const int64_t known = ramp.a.count_before(T);
    m.d = ramp.a;
    m.granted = ramp.entered;
    m.colors = 1u << q.ramp_color;
    m.parts.push_back({q.pushed, q.ramp_color, q.ramp});
    std::copy_if(ramp.specials.begin(), ramp.specials.end(), std::back_inserter(m.specials),
                 [&](const Special& s) { return s.k >= known; });
    if (values) m.words->append_range(known, *ramp.words, known, q.pushed);
}

// What was predicted to leave it stands in it again.
void Element::forget_mixed(Mixed& m, Cycle T) {
    m.granted = std::max(m.granted, take_back(m.d, -1, -1, T));
    const int64_t known = m.d.end();
    std::erase_if(m.parts, [&](const Mixed::Part& p) { return p.end <= known; });
    std::erase_if(m.specials, [&](const Special& s) { return s.k < known; });
    if (values) m.words->forget(known);
    for (const Mixed::Part& p : m.parts) {
        LinkFifo& ramp = *p.ramp;
        if (std::any_of(mixed_.begin(), mixed_.end(), [&](const MixedRamp& r) { return r.ramp == &ramp; })) continue;
        ramp.entered = std::max(ramp.entered, take_back(ramp.a, 0, -1, T));
        MixedRamp was{&ramp, {}, {}};
        for (const Special& s : ramp.specials)
            if (s.k >= ramp.a.end()) was.specials.push_back(s);
        std::erase_if(ramp.specials, [&](const Special& s) { return s.k >= ramp.a.end(); });
        if (values) ramp.words->cut(ramp.a.end(), &was.words);
        mixed_.push_back(std::move(was));
    }
}

// The words at s.k of one color.
void Element::next_part(Server& s, OutQueue& q) const {
    Mixed& m = *q.mixed;
    const auto part = std::find_if(m.parts.begin(), m.parts.end(), [&](const Mixed::Part& p) { return p.end > s.k; });
    LinkFifo& ramp = *part->ramp;
    s.k_end = part->end;
    s.here = false, s.prev = kMinus;
    s.num_con = s.num_out = 0;
    s.tail = &ramp.a, s.depth = arch_.ramp_buffer;
    s.out[s.num_out++] = &m.d;
    s.out[s.num_out++] = &ramp.a;
    const int64_t off = ramp.a.end() - s.k - s.depth;
    s.add({&q.b, 0, arch_.fabric_write, ConKind::kData, kNever});
    s.add({&ramp.d, off, arch_.ramp_out, ConKind::kCredit, ramp.blocked});
    s.add({&ramp.a, off, 2 * arch_.ramp_out, ConKind::kTail, 0});
}

// What the words are goes with their moves, in the order of these.
void Element::deliver_mixed(Node& n, Cycle T) {
    struct Piece {
        const Mixed* from;
        LinkFifo* ramp;
        int64_t k, end;
    };
    std::vector<Piece> pieces;
    for (const OutQueue* q : n.oq) {
        if (!q || !q->mixed) continue;
        const Mixed& m = *q->mixed;
        int64_t k = m.d.count_before(T);
        for (const Mixed::Part& p : m.parts) {
            const int64_t end = std::min(p.end, m.d.end());
            if (end > k) pieces.push_back({&m, p.ramp, k, end}), k = end;
        }
    }
    while (!pieces.empty()) {
        auto next = [](const Piece& p) { return p.from->d.at(p.k).t; };
        auto first = std::min_element(pieces.begin(), pieces.end(),
                                      [&](const Piece& a, const Piece& b) { return next(a) < next(b); });
        Cycle other = kForever;
        for (const Piece& p : pieces)
            if (&p != &*first && p.ramp == first->ramp) other = std::min(other, next(p));
        const int64_t k = first->k, end = std::min(first->end, first->from->d.count_before(other));
        LinkFifo& ramp = *first->ramp;
        const int64_t at = ramp.a.count_before(next(*first));
        for (const Special& s : first->from->specials)
            if (s.k >= k && s.k < end) ramp.specials.push_back({at + s.k - k, s.payload, s.advance});
        if (values) ramp.words->append_range(at, *first->from->words, k, end);
        first->k = end;
        if (first->k == first->end) pieces.erase(first);
    }
}

// Other words at the same times.
void Element::tell_mixed(Node& n, Cycle T) {
    for (const MixedRamp& was : mixed_) {
        const LinkFifo& ramp = *was.ramp;
        const int64_t known = ramp.a.count_before(T);
        std::vector<Special> specials;
        for (const Special& s : ramp.specials)
            if (s.k >= known) specials.push_back(s);
        if (specials == was.specials && !(values && first_other_word(was.words, *ramp.words, known) >= 0)) continue;
        if (const Seq::Value v = ramp.a.at(known); v.known) n.wake_router(std::max(v.t, T) + arch_.ramp_out);
    }
}

}  // namespace wafersim::stream
