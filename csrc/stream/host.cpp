// Words from the host and to it (docs/semantics.md, section 9). What it feeds to a port at the fabric's edge stands in
// a router beyond it; what it feeds to a RAMP, in a place beside the output queues; what comes to it, in the sinks.
#include <algorithm>

#include "stream/element.hpp"
#include "stream/snapshot.hpp"

namespace wafersim::stream {

void DropHostLinks::operator()(HostLinks* links) const {
    for (auto& n : links->beyond)
        if (n) end_of_life(*n);
    delete links;
}

void Router::add_words(LinkFifo& f, int64_t first, const HostWords& words, const RunRef& run) {
    for (size_t i = 0; i < words.control.size(); ++i)
        if (words.control[i]) f.specials.push_back({first + static_cast<int64_t>(i), words.payloads[i], false});
    if (!run.get()) return;
    if (!f.words) f.words = std::make_unique<Words>();
    f.words->append(first, static_cast<int64_t>(words.payloads.size()), run, 0);
}

void Router::feed(Node& n, int port, int color, const HostWords& words, const RunRef& run, Cycle T) {
    if (!n.host) n.host.reset(new HostLinks);
    auto& place = n.host->beyond[static_cast<size_t>(port)];
    if (!place) {
        place = std::make_unique<Node>();
        place->tile = kHostTile;
        place->edges = static_cast<uint8_t>(1u << opposite(port));
        place->colors = arena_.make<Color>(kMaxColors);
    }
    Color* c = place->color(color);
    if (!c) {
        c = place->colors + place->num_colors++;
        c->color = color;
        c->route = routes.straight(opposite(port));
    }
    c->changed = T - 1;  // nothing of this could have left before
    LinkFifo& f = fifo(*c, kPortRamp);
    const int64_t first = f.a.end();
    f.a.append_past(static_cast<int64_t>(words.payloads.size()));
    add_words(f, first, words, run);
    place->wake_router(T);
    n.wake_router(T);
}

// What the routers of the host do in cycle T; the PE's own one has been served.
void Router::serve_host(Node& n, Cycle T, std::vector<Told>& told) {
    std::erase_if(told, [&](const Told& t) {
        const auto& beyond = n.host->beyond[static_cast<size_t>(t.port)];
        if (n.edges >> t.port & 1 || !beyond) return false;
        hear(*beyond, t.message, T);
        return true;
    });
    std::vector<Told> said;
    for (auto& beyond : n.host->beyond) {
        if (!beyond) continue;
        if (beyond->router_wake <= T) {
            beyond->router_wake = kForever;
            said.clear();
            serve_own(*beyond, T, said);
            for (const Told& t : said) hear(n, t.message, T);
        }
        n.wake_router(beyond->router_wake);
    }
}

int64_t Router::arrived(const Node& n, int port, int color, Cycle T) const {
    for (int i = 0; i < n.num_colors; ++i) {
        const Color& c = n.colors[i];
        if (c.color != color || !c.sinks) continue;
        const Sink& s = c.sinks[port];
        return s.link.sent.count_before(T - (port == kPortRamp ? arch_.ramp_in : arch_.hop) + 1) - s.taken;
    }
    return 0;
}

void Router::collect(Node& n, int port, int color, int64_t count, HostWords& words) {
    if (count == 0) return;
    Sink& s = n.color(color)->sinks[port];
    OutLink& link = s.link;
    if (!link.words) link.words = std::make_unique<Words>();
    const Cycle latency = port == kPortRamp ? arch_.ramp_in : arch_.hop;
    size_t piece = 0, special = 0;  // both in the order of words
    for (int64_t k = s.taken; k < s.taken + count; ++k) {
        const auto& pieces = link.words->pieces();
        while (piece < pieces.size() && pieces[piece].first + pieces[piece].n <= k) ++piece;
        while (special < link.specials.size() && link.specials[special].k < k) ++special;
        const bool control = special < link.specials.size() && link.specials[special].k == k;
        const Words::Piece* p = piece < pieces.size() ? &pieces[piece] : nullptr;
        const int64_t at = p ? p->offset + k - p->first : 0;
        if (!control && (!p || at < p->offset || p->run->filled <= at))
            throw Refused("internal: a word without a value");
        words.payloads.push_back(control ? link.specials[special].payload : p->run->word[static_cast<size_t>(at)]);
        words.control.push_back(control);
        words.cycles.push_back(link.sent.at(k).t + latency);
    }
    s.taken += count;
    std::erase_if(link.specials, [&](const Special& control) { return control.k < s.taken; });
    if (link.words) link.words->forget(s.taken);
    if (s.taken < link.sent.end()) link.sent.forget_before(link.sent.at(s.taken).t);
}

// The host's words for a RAMP take their turns with the output queues.
void Element::feed(Node& n, int color, const HostWords& words, const RunRef& run, Cycle T) {
    if (router_.ramp_color(n, color) != color) throw Refused("a color fed to a RAMP that a swap changes there");
    LinkFifo& ramp = router_.ramp_of(n, color);
    OutQueue* q = nullptr;
    for (OutQueue* other : n.oq)
        if (other && (other->mixed ? other->mixed->colors >> color & 1 : other->ramp_color == color)) q = other;
    if (q && q->fed <= kMinus) throw Refused("a color that the host feeds to a RAMP and the PE sends");
    for (size_t i = n.oq.size(); !q && i-- > 0;) {
        bool named = n.oq[i] != nullptr;
        for (const Dsd& d : tile(n).dsds)
            named = named || (d.kind == DsdKind::kFabout && d.queue == static_cast<int>(i));
        if (named) continue;
        q = n.oq[i] = arena_.make<OutQueue>();
        n.oqs = static_cast<uint8_t>(n.oqs | 1u << i);
        q->ramp_color = color, q->ramp = &ramp, q->pushed = ramp.a.end();
        q->b.append_past(q->pushed);
    }
    if (!q) throw Refused("more output queues and colors that the host feeds to a RAMP than eight");
    q->fed = T;
    Router::add_words(ramp, q->pushed, words, run);
    q->pushed += static_cast<int64_t>(words.payloads.size());
    q->b.append_past(static_cast<int64_t>(words.payloads.size()));
    n.dirty = true;
    n.wake_element(T);
}

}  // namespace wafersim::stream
