#include "stream/router.hpp"

#include <algorithm>
#include <bit>

#include "fabric/fabric.hpp"

namespace wafersim::stream {
Cycle keep_of(const Arch& arch);

Router::Router(const Program& program, const Arch& arch, Loop& loop, Arena& arena)
    : routes(program), arch_(arch), loop_(loop), arena_(arena), keep_(keep_of(arch)) {}

void Router::settle(Color& c, Cycle now) const {
    if (c.planned < now) {
        if (c.planned_route >= 0) c.route = c.planned_route, c.position = route(c).initial;
        c.teardown = c.planned_teardown;
        c.changed = c.planned;
        c.planned = kForever;
    }
    if (c.pending == SwitchCommand::kNop || c.changed >= now) return;
    if (c.pending == SwitchCommand::kTeardown)
        c.teardown = c.torn = true;
    else if (c.pending == SwitchCommand::kReset)
        c.position = 0;
    else if (c.position + 1 < route(c).num_positions)
        ++c.position;
    else if (route(c).ring)
        c.position = 0;
    c.pending = SwitchCommand::kNop;
}

void Router::load_filter(Color& c) {
    const RouteClass& r = route(c);
    if (!c.filter && r.filter != FilterKind::kNone) c.filter = arena_.make<Filter>();
    if (c.filter) c.filter->load(r);
}

void Router::settle_filter(Color& c, Cycle now) {
    Filter& filter = *c.filter;
    size_t done = 0;
    for (Filter::Part& part : filter.log) {
        const int64_t to = std::clamp(part.fifo->d.count_before(now), part.from, part.to);
        filter.advance(filter.is, to - part.from);
        part.from = to;
        if (to < part.to) break;
        ++done;
    }
    filter.log.erase(filter.log.begin(), filter.log.begin() + static_cast<ptrdiff_t>(done));
}

LinkFifo& Router::ramp_of(Node& n, int color) {
    Color* c = n.color(color);
    if (!c) throw Refused("a word meets no route on color " + std::to_string(color));
    return fifo(*c, kPortRamp);
}

int Router::ramp_color(Node& n, int color) const {
    const Color* c = n.color(color);
    return c && route(*c).swap_x && route(*c).swap_y ? color ^ 1 : color;
}

// Whether words of the color are still to leave after cycle T.
bool Router::waiting(const Color& c, Cycle T) {
    for (const LinkFifo* f : c.fifo)
        if (f && std::max(f->a.end(), f->d.end()) > f->d.count_before(T + 1)) return true;
    return false;
}

// Targets of all colors forget their predictions; each remembers what it was.
void Router::forget(const Target& t, Color* c) {
    Seq* into = t.into();
    for (int i = 0; i < num_changed_; ++i)
        if (changed_[i].target.into() == into) return;
    Changed& ch = changed_[num_changed_++];
    ch.target = t, ch.color = c;
    if (!t.host) into->forget_before(now_ - keep_);
    into->truncate(now_, &ch.before);
    ch.specials_before.clear();
    if (!t.specials().empty()) {  // an input queue keeps them until a task takes them, the host until it reads them
        const int64_t known = t.link && !t.host ? into->count_before(now_) : 0;
        std::erase_if(t.specials(), [&](const Special& s) {
            if (s.k >= into->end()) ch.specials_before.push_back(s);
            return s.k >= into->end() || s.k < known;
        });
    }
    if (values) ch.words_before = {};
    if (t.words()) t.words()->cut(into->end(), &ch.words_before);
}

// Outputs that any FIFO of the color may have predicted under an earlier route.
void Router::forget_outputs(Node& n) {
    for (int i = 0; i < n.num_colors; ++i) {
        Color& c = n.colors[i];
        bool any = false;
        for (const LinkFifo* f : c.fifo) any = any || (f && std::max(f->a.end(), f->d.end()) > f->d.count_before(now_));
        if (!any) continue;
        for (int port = 0; port < 4; ++port)
            if (OutLink* o = c.out[static_cast<size_t>(port)]; o && o->sent.last() >= now_)
                forget({port, o, nullptr, false}, &c);
        for (int port = 0; c.sinks && port < 5; ++port)
            if (OutLink& o = c.sinks[port].link; o.sent.last() >= now_) forget({port, &o, nullptr, true}, &c);
        if (c.iq < 0) continue;
        if (InQueue* q = n.iq[static_cast<size_t>(c.iq)]; q->a.last() >= now_)
            forget({kPortRamp, nullptr, q, false}, &c);
    }
}

// The size of a buffer downstream holds words up behind those that another FIFO of the color has sent there lately.
void Router::add_others(Server& s, const Color& c, const Seq& into, int64_t off, int32_t add) const {
    if (into.last() + add < now_ || std::count(c.fifo.begin(), c.fifo.end(), nullptr) >= 4) return;
    s.add({&into, off, add, ConKind::kCredit, kNever});
}

// The size of a buffer downstream holds words up behind those that the FIFO has sent there itself. Of the words before
// this part, whose outputs may have been other ones, those count that stand at the end of `into` as well.
void Router::add_own(Server& s, const Color& c, const Seq& d, const Seq& into, int64_t k, int capacity,
                     int32_t add) const {
    int64_t first = k - capacity;
    if (d.last() + add >= now_) {
        const int64_t most = std::min(capacity, add);  // words pass a cycle apart: older ones hold nobody up
        int64_t same = 0;
        while (same < most) {
            const Seq::Value own = d.at(k - same - 1), sent = into.at(into.end() - same - 1);
            if (!own.known || own.t <= kMinus) same = most;
            if (same == most || !sent.known || sent.t != own.t) break;
            ++same;
        }
        if (same < most) first = k - same;
    }
    s.add({&d, -capacity, add, ConKind::kSelf, first});
    const int64_t off = into.end() - k - capacity;
    if (first > k - capacity && into.last() + add >= now_)
        s.add({&into, off, add, ConKind::kCredit, kNever});
    else
        add_others(s, c, into, off, add);
}

void Router::build(Server& s, Service& v, uint32_t outputs, int64_t k, int64_t k_end) {
    Color& c = *v.color;
    LinkFifo& f = *v.fifo;
    v.num = 0;
    v.from = k;
    s.k = k;
    s.k_end = k_end;
    s.mask = outputs;
    s.here = false, s.prev = kMinus;  // what shaped earlier words, of other outputs, shows no period of these
    s.num_con = 0;
    s.add({&f.a, 0, v.port == kPortRamp ? arch_.ramp_out : arch_.hop, ConKind::kData, kNever});
    for (uint32_t rest = outputs; rest; rest &= rest - 1) {
        const int port = std::countr_zero(rest);
        Target t;
        t.port = port;
        if (route(c).sink >> port & 1) {  // there is always room
            t.link = &sink(c, port).link;
            t.host = true;
            forget(t, &c);
        } else if (port == kPortRamp) {
            if (c.iq < 0)
                throw Refused("color " + std::to_string(c.color) + " reaches a ramp where no input queue has it");
            t.iq = node_->iq[static_cast<size_t>(c.iq)];
            forget(t, &c);
            const int capacity = arch_.iq_capacity(c.iq);
            s.add({&t.iq->b, t.iq->a.end() - k - capacity, 1, ConKind::kCredit, t.iq->blocked});
            add_own(s, c, f.d, t.iq->a, k, capacity, arch_.ramp_in + 1);
        } else {
            if (!(node_->edges >> port & 1)) throw Refused("a word leaves the fabric");
            t.link = &out(c, port);
            forget(t, &c);
            s.add({&t.link->credit, t.link->sent.end() - k - arch_.link_buffer, arch_.hop, ConKind::kCredit,
                   t.link->blocked});
            add_own(s, c, f.d, t.link->sent, k, arch_.link_buffer, 2 * arch_.hop);
        }
        v.to[v.num++] = t;
    }
}

// Whether word k passes a filter by its index; the next ones do the same up to `end`. What a word that is still under
// way holds may not be known: it is looked at when it is there.
bool Router::judge(const Service& v, int64_t k, int64_t& end) const {
    if (!values) throw Refused("a filter by the index of wavelets, which is array data");
    const LinkFifo& f = *v.fifo;
    const Filter& filter = *v.color->filter;
    const int latency = v.port == kPortRamp ? arch_.ramp_out : arch_.hop;
    const int64_t here = f.a.count_before(now_ - latency + 1);
    int64_t at = k;
    bool passes = true;
    while (at < end) {
        const Words::Piece* p = f.words->find(at);
        if (!p) throw Refused("internal: a word of no run");
        const int64_t in_run = p->offset + at - p->first;
        const bool alike = p->run->index >= 0;
        if (!alike && at >= here) break;
        if (!alike && p->run->filled <= in_run) throw Refused("internal: a word without a value");
        const auto index =
            alike ? p->run->index : static_cast<int32_t>(p->run->word[static_cast<size_t>(in_run)] >> 16);
        const bool inside = index >= filter.min && index <= filter.ahead.max;
        if (at > k && inside != passes) break;
        passes = inside;
        at += alike ? p->first + p->n - at : 1;
    }
    end = std::min(at, end);
    if (at == k)
        if (const Seq::Value a = f.a.at(k); a.known) node_->wake_router(std::max(now_ + 1, a.t + latency));
    return passes;
}

// The word at s.k if it is special, else the words up to the next special one.
void Router::next_part(Server& s, Service& v) {
    LinkFifo& f = *v.fifo;
    const uint32_t out = route(*v.color).out[static_cast<size_t>(v.color->position)];
    const int64_t k = s.k;
    const Special* special = nullptr;
    int64_t end = kNever;
    for (const Special& sp : f.specials) {
        if (sp.k == k) special = &sp;
        if (sp.k >= k) end = std::min(end, sp.k);
    }
    v.special = special != nullptr;
    v.control = special && !special->advance;
    v.counted = false;
    end = special ? std::min(k + 1, f.a.end()) : std::min(end, f.a.end());
    const RouteClass& r = route(*v.color);
    uint32_t outputs = out;
    bool ramp = outputs >> kPortRamp & 1;
    if (v.control) {
        const int32_t last = r.num_positions - 1;
        v.own_payload = special->payload;
        v.payload = popped_payload(special->payload, r.pop_mode, last > 0 && (r.ring || v.color->position < last));
        if (command_field(special->payload) >> 2 & 1) ramp = false;  // ignored here
    }
    if (ramp && v.color->filter) {
        const Filter& filter = *v.color->filter;
        const bool by_index = filter.ahead.on == FilterKind::kRange && !v.control;
        ramp = by_index ? judge(v, k, end) : filter.passes(v.control);
        v.counted = filter.counts(v.control);
        end = k + filter.alike(v.control, end - k);
    }
    if (!ramp) outputs &= ~(1u << kPortRamp);
    if (ramp && v.color->iq < 0 && !(r.sink >> kPortRamp & 1))  // it waits until a queue has the color
        return build(s, v, outputs & ~(1u << kPortRamp), k, k);
    build(s, v, outputs, k, end);
}

void Router::deliver(Service& v, int64_t to) {
    if (v.counted && to > v.from) {
        Filter& filter = *v.color->filter;
        filter.advance(filter.ahead, to - v.from);
        filter.log.push_back({v.fifo, v.from, to});
    }
    for (int i = 0; i < v.num; ++i) {
        Seq* into = v.to[i].into();
        if (v.control && to > v.from)
            v.to[i].specials().push_back({into->end(), v.to[i].port == kPortRamp ? v.own_payload : v.payload, false});
        if (values) {
            if (!v.to[i].words()) v.to[i].words() = std::make_unique<Words>();
            v.to[i].words()->append_range(into->end(), *v.fifo->words, v.from, to);
        }
        into->append_range(v.fifo->d, v.from, to);
    }
}

void Router::collect(Node& n) {
    num_ = 0;
    const Cycle past = now_ - keep_;
    for (int i = 0; i < n.num_colors; ++i) {
        Color& c = n.colors[i];
        int active = 0;
        if (c.planned < kForever && waiting(c, now_)) node_->wake_router(c.planned + 1);
        for (int port = 0; port < 5; ++port) {
            if (!c.fifo[static_cast<size_t>(port)]) continue;
            LinkFifo& f = *c.fifo[static_cast<size_t>(port)];
            if (f.a.end() == f.d.count_before(now_) && f.d.end() == f.a.end() && f.blocked == kNever) continue;
            if (num_ == 24) throw Refused("more than 24 streams in one router");
            Service& v = services_[num_];
            Server& s = servers_[num_];
            v.color = &c, v.fifo = &f, v.port = port, v.num = 0, v.special = v.control = v.counted = false, v.from = 0;
            f.entered = std::max(f.entered, f.a.forget_before(past));
            if (f.d.size() > 1) f.granted = std::max(f.granted, f.d.forget_before(past));
            f.d.truncate(now_, &v.before);
            if (f.words) f.words->forget(f.d.end());
            s.reset();
            s.id = num_++;
            s.k = s.k_end = f.d.end();
            s.tie = c.color * 8 + port;
            s.last = std::max(f.d.last(), f.granted);
            s.out[s.num_out++] = &f.d;
            s.flag_con[0] = 0;
            s.floor = std::max(f.d.last() + 1, c.changed + 1);
            s.min_next = std::max(now_, f.d.last() + 1);
            const RouteClass& r = route(c);
            const auto position = static_cast<size_t>(c.position);
            s.reach = r.out[position];
            if (!c.teardown && (r.in[position] >> port & 1) && r.out[position] && f.a.end() > s.k) {
                if (++active > 1) throw Refused("two inputs of color " + std::to_string(c.color) + " at the same time");
                next_part(s, v);
            }
        }
    }
}

void Router::serve(Node& n, Cycle T, std::vector<Told>& told) {
    serve_own(n, T, told);
    if (n.host) serve_host(n, T, told);
}

void Router::serve_own(Node& n, Cycle T, std::vector<Told>& told) {
    node_ = &n;
    now_ = T;
    num_changed_ = 0;
    for (int i = 0; i < n.num_colors; ++i) {
        settle(n.colors[i], T);
        if (Filter* filter = n.colors[i].filter) {
            settle_filter(n.colors[i], T);
            filter->ahead = filter->is;
            filter->log.clear();
        }
    }
    forget_outputs(n);
    collect(n);
    loop_.busy = kMinus;
    if (n.num_colors > 1)
        for (int i = 0; i < n.num_colors; ++i)
            for (const LinkFifo* f : n.colors[i].fifo)
                if (f) loop_.busy = std::max(loop_.busy, f->d.last_before(T));
    loop_.run(servers_, num_, T, 0, [&](Server& s, Cycle) {
        Service& v = services_[s.id];
        deliver(v, s.k);
        v.from = s.k;
        if (v.special || s.k >= v.fifo->a.end()) return;  // behind a special word the route may be another one
        next_part(s, v);
    });
    for (int i = 0; i < num_; ++i) {
        Service& v = services_[i];
        if (servers_[i].k < servers_[i].k_end) deliver(v, servers_[i].k);
        act_on_specials(v);
        tell_upstream(v, told);
    }
    for (int i = 0; i < num_changed_; ++i) tell_downstream(changed_[i], told);
}

// Special words: their effect follows the grant, or is looked at again then.
void Router::act_on_specials(Service& v) {
    LinkFifo& f = *v.fifo;
    for (size_t j = 0; j < f.specials.size(); ++j) {
        const Special sp = f.specials[j];
        const Seq::Value at = f.d.at(sp.k);
        if (!at.known) continue;
        if (at.t > now_) {
            node_->wake_router(at.t);
            continue;
        }
        f.specials.erase(f.specials.begin() + static_cast<ptrdiff_t>(j--));
        Color& c = *v.color;
        if (node_->tile == kHostTile) {
            node_->wake_router(now_ + 1);
            continue;
        }
        c.changed = now_;
        c.pending = sp.advance ? SwitchCommand::kAdvance : static_cast<SwitchCommand>(command_field(sp.payload) & 3);
        if (c.pending == SwitchCommand::kTeardown && node_->tile >= 0) {
            node_->completions.push_back({now_ + 1, -1, kTeardownTask, -1});
            node_->dirty = true;
            node_->wake_element(now_ + 1);
        }
        if (waiting(c, now_) || c.pending != SwitchCommand::kTeardown) node_->wake_router(now_ + 1);
    }
}

}  // namespace wafersim::stream
