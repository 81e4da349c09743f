// Routers of the stream prototype: all colors of a PE are served together, because they share its output ports.
#include <bit>

#include "engine.hpp"

namespace wafersim::stream {
namespace {

uint32_t command_field(uint32_t payload) { return (payload >> 22 & 0xffu) | (payload & 0xffffu) << 8; }

struct Target {
    int port = 0;
    Fifo* fifo = nullptr;
    InQueue* iq = nullptr;
    Seq* into() const { return fifo ? &fifo->a : &iq->a; }
};

// One FIFO being served: its words up to the next special one, then that one.
struct Service {
    Color* color;
    Fifo* fifo;
    int port, num = 0;
    Target to[5];
    bool special = false;
    int64_t from = 0;         // first word of this part
    Seq before;               // prediction before this service
};

}  // namespace

Color* Engine::color(uint32_t id, int c) {
    for (auto& s : colors_[id])
        if (s->color == c) return s.get();
    return nullptr;
}

Fifo* Engine::link(uint32_t id, int c, int port) {
    Color* s = color(id, c);
    if (!s) refuse(id, "a word meets no route on color " + std::to_string(c));
    auto& f = s->fifo[static_cast<size_t>(port)];
    if (!f) f = std::make_unique<Fifo>();
    return f.get();
}

void Engine::router(uint32_t id, Cycle T) {
    ++figures.router_events;
    Pe* pe = index_[id] < 0 ? nullptr : &pes_[static_cast<size_t>(index_[id])];
    const int32_t x = static_cast<int32_t>(id % static_cast<uint32_t>(width_)), y = static_cast<int32_t>(id / static_cast<uint32_t>(width_));
    auto neighbor = [&](int port) {
        const int32_t nx = x + kDx[port], ny = y + kDy[port];
        if (nx < 0 || ny < 0 || nx >= width_ || ny >= height_) refuse(id, "a word leaves the fabric");
        return static_cast<uint32_t>(ny * width_ + nx);
    };
    static thread_local Service services[24];
    static thread_local Server servers[24];
    int n = 0;
    // Targets of all colors forget their predictions; each remembers what it was.
    struct Changed {
        Seq* into;
        Seq before;
        int port;
        Color* color;
    };
    static thread_local std::vector<Changed> changed;
    changed.clear();
    auto forget = [&](const Target& t, Color* c) {
        for (const Changed& ch : changed)
            if (ch.into == t.into()) return;
        changed.push_back({t.into(), {}, t.port, c});
        changed.back().into->truncate(T, &changed.back().before);
        if (t.fifo) std::erase_if(t.fifo->specials, [&](const Special& s) { return s.k >= t.fifo->a.end(); });
    };
    for (auto& c : colors_[id]) c->settle(T);
    // Outputs that any FIFO of the color may have predicted under an earlier route.
    for (auto& c : colors_[id]) {
        bool any = false;
        for (const auto& f : c->fifo) any = any || (f && std::max(f->a.end(), f->d.end()) > f->d.count_before(T));
        if (!any) continue;
        for (int port = 0; port < 4; ++port) {
            const int32_t nx = x + kDx[port], ny = y + kDy[port];
            if (nx < 0 || ny < 0 || nx >= width_ || ny >= height_) continue;
            Color* other = color(static_cast<uint32_t>(ny * width_ + nx), c->color);
            if (other && other->fifo[static_cast<size_t>(opposite(port))]) forget({port, other->fifo[static_cast<size_t>(opposite(port))].get(), nullptr}, c.get());
        }
        if (c->iq >= 0) forget({kPortRamp, nullptr, pe->iq[static_cast<size_t>(c->iq)].get()}, c.get());
    }
    auto build = [&](Server& s, Service& v, uint32_t outputs, int64_t k, int64_t k_end) {
        Color& c = *v.color;
        Fifo& f = *v.fifo;
        v.num = 0;
        v.from = k;
        s.k = k;
        s.k_end = k_end;
        s.mask = outputs;
        s.num_con = 0;
        s.add({&f.a, 0, v.port == kPortRamp ? arch_.ramp_out : arch_.hop, ConKind::kData, INT64_MAX});
        for (uint32_t rest = outputs; rest; rest &= rest - 1) {
            const int port = std::countr_zero(rest);
            Target t;
            t.port = port;
            if (port == kPortRamp) {
                if (c.iq < 0) refuse(id, "color " + std::to_string(c.color) + " reaches a ramp where no input queue has it");
                t.iq = pe->iq[static_cast<size_t>(c.iq)].get();
                forget(t, &c);
                const int capacity = arch_.iq_capacity(c.iq);
                s.add({&t.iq->b, t.iq->a.end() - k - capacity, 1, ConKind::kCredit, t.iq->blocked});
                s.add({&f.d, -capacity, arch_.ramp_in + 1, ConKind::kSelf, INT64_MAX});
            } else {
                t.fifo = link(neighbor(port), c.color, opposite(port));
                forget(t, &c);
                s.add({&t.fifo->d, t.fifo->a.end() - k - arch_.link_buffer, arch_.hop, ConKind::kCredit, t.fifo->blocked});
                s.add({&f.d, -arch_.link_buffer, 2 * arch_.hop, ConKind::kSelf, INT64_MAX});
            }
            v.to[v.num++] = t;
        }
    };
    auto next_part = [&](Server& s, Service& v) {  // the word at k is special, or words up to the next special one
        Fifo& f = *v.fifo;
        const uint32_t out = v.color->route->out[static_cast<size_t>(v.color->position)];
        const int64_t k = s.k;
        int64_t end = INT64_MAX;
        for (const Special& sp : f.specials)
            if (sp.k >= k) end = std::min(end, sp.k);
        if (end > k) {
            v.special = false;
            build(s, v, out, k, std::min(end, f.a.end()));
            return;
        }
        const Special* sp = nullptr;
        for (const Special& q : f.specials)
            if (q.k == k) sp = &q;
        v.special = true;
        uint32_t outputs = out;
        if (!sp->advance) {
            if (command_field(sp->payload) >> 2 & 1) outputs &= ~(1u << kPortRamp);
            else if (outputs >> kPortRamp & 1) refuse(id, "a control wavelet for a compute element");
            if (v.color->route->pop_mode != PopMode::kNever) refuse(id, "pop modes");
        }
        build(s, v, outputs, k, std::min(k + 1, f.a.end()));
    };
    auto deliver = [&](Service& v, int64_t to) {
        for (int i = 0; i < v.num; ++i) {
            Seq* into = v.to[i].into();
            if (v.special && v.to[i].fifo && to > v.from) {
                for (const Special& sp : v.fifo->specials)
                    if (sp.k == v.from && !sp.advance) v.to[i].fifo->specials.push_back({into->end(), sp.payload, false});
            }
            into->append_range(v.fifo->d, v.from, to);
        }
    };
    for (auto& cp : colors_[id]) {
        Color& c = *cp;
        int active = 0;
        for (int port = 0; port < 5; ++port) {
            Fifo* f = c.fifo[static_cast<size_t>(port)].get();
            if (!f) continue;
            if (f->a.end() == f->d.count_before(T) && f->d.end() == f->a.end() && f->blocked == INT64_MAX) continue;
            Service& v = services[n];
            Server& s = servers[n];
            v.color = &c, v.fifo = f, v.port = port, v.num = 0, v.special = false, v.from = 0;
            f->d.truncate(T, &v.before);
            s = {};
            s.id = n;
            s.k = f->d.end();
            s.k_end = s.k;
            s.tie = c.color * 8 + port;
            s.last = std::max<Cycle>(f->d.last(), -1);
            s.out[0] = &f->d;
            s.flag_con[0] = 0;
            const auto position = static_cast<size_t>(c.position);
            s.floor = std::max(f->d.last() + 1, c.changed + 1);
            s.min_next = std::max(T, f->d.last() + 1);
            if (!c.teardown && (c.route->in[position] >> port & 1) && c.route->out[position] && f->a.end() > s.k) {
                if (++active > 1) refuse(id, "two inputs of one color at the same time");
                next_part(s, v);
            }
            ++n;
        }
    }
    loop_.words = loop_.leaps = 0;
    loop_.busy = kMinus;
    if (colors_[id].size() > 1)
        for (const auto& c : colors_[id])
            for (const auto& f : c->fifo)
                if (f) loop_.busy = std::max(loop_.busy, f->d.at(f->d.count_before(T) - 1).t);
    loop_.run(servers, n, T, 0, [&](Server& s, Cycle) {
        Service& v = services[s.id];
        deliver(v, s.k);
        v.from = s.k;
        if (v.special || s.k >= v.fifo->a.end()) return;  // behind a special word the route may be another one
        next_part(s, v);
    });
    figures.words += loop_.words;
    figures.leaps += loop_.leaps;
    for (int i = 0; i < n; ++i) {
        Service& v = services[i];
        Fifo& f = *v.fifo;
        if (servers[i].k < servers[i].k_end) deliver(v, servers[i].k);
        const int64_t was_blocked = f.blocked;
        f.blocked = f.d.end() < f.a.end() ? f.d.end() : INT64_MAX;
        figures.max_segments = std::max<uint64_t>(figures.max_segments, f.d.num_segments());
        // Special words: their effect follows the grant, or is looked at again then.
        for (size_t j = 0; j < f.specials.size(); ++j) {
            const Special sp = f.specials[j];
            const Seq::Value at = f.d.at(sp.k);
            if (!at.known) continue;
            if (at.t > T) {
                routers_.wake(id, at.t);
                continue;
            }
            f.specials.erase(f.specials.begin() + static_cast<ptrdiff_t>(j--));
            const auto command = sp.advance ? SwitchCommand::kAdvance : static_cast<SwitchCommand>(command_field(sp.payload) & 3);
            Color& c = *v.color;
            c.changed = T;
            c.pending = command;
            if (command == SwitchCommand::kTeardown && pe) pe->completions.push_back({T + 1, -1, kTeardownTask, -1}), wake_ce(*pe, T + 1);
            routers_.wake(id, T + 1);
        }
        // Upstream: only what it may see as credit.
        Difference diff = difference(v.before, f.d, f.d.count_before(T), true);
        if (was_blocked != f.blocked) {
            const int64_t k = std::min(was_blocked, f.blocked);
            if (diff.k < 0 || k < diff.k) diff = {k, kForever};
        }
        if (diff.k >= 0) {
            const Seq::Value a = f.a.at(diff.k);
            Cycle t = std::min(diff.t, a.known ? a.t + (v.port == kPortRamp ? arch_.ramp_out : arch_.hop) : diff.t);
            t = std::max(t >= kForever ? T : t, T);
            // Only if the sender has words that this credit concerns.
            if (v.port == kPortRamp) {
                bool more = f.a.end() > diff.k + arch_.ramp_buffer;
                for (const auto& q : pe->oq) more = more || (q && q->ramp == &f && q->pushed > f.a.end());
                if (more) wake_ce(*pe, t + arch_.ramp_out);
            } else {
                bool more = f.a.end() > diff.k + arch_.link_buffer;
                const uint32_t up = neighbor(v.port);
                if (const Color* c = color(up, v.color->color))
                    for (const auto& g : c->fifo) more = more || (g && g->blocked < INT64_MAX);
                if (more) routers_.wake(up, t + arch_.hop);
            }
        }
    }
    for (const Changed& ch : changed) {
        const Difference diff = difference(ch.before, *ch.into, ch.into->count_before(T), false);
        if (diff.k < 0) continue;
        const Cycle t = std::max(diff.t, T);
        if (ch.port == kPortRamp) {
            if (diff.k < pe->iq[static_cast<size_t>(ch.color->iq)]->cover) wake_ce(*pe, t + arch_.ramp_in);
        } else {
            routers_.wake(neighbor(ch.port), t + arch_.hop);
        }
    }
}

}  // namespace wafersim::stream
