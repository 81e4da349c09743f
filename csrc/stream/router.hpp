// The router of one PE: all colors are served together, because they share its outputs.
#pragma once
#include <vector>

#include "arch/arch.hpp"
#include "stream/arena.hpp"
#include "stream/routes.hpp"
#include "stream/serve.hpp"
#include "stream/state.hpp"

namespace wafersim::stream {

struct Told {
    int port = 0;  // of the router that speaks
    Message message;
};

class Router {
  public:
    Router(const Program& program, const Arch& arch, Loop& loop, Arena& arena);
    // Serves all stages anew from cycle T on, those of the host beyond it too; what changes for the neighbors goes to
    // `told`.
    void serve(Node& n, Cycle T, std::vector<Told>& told);
    // Words that the host has in cycle T, for a port that looks out of the fabric; their values if there are any.
    void feed(Node& n, int port, int color, const HostWords& words, const RunRef& run, Cycle T);
    // Words that have come to the host by a port in cycle T or before; the first `count` of them are taken.
    int64_t arrived(const Node& n, int port, int color, Cycle T) const;
    void collect(Node& n, int port, int color, int64_t count, HostWords& words);
    // A neighbor says something in cycle T.
    void hear(Node& n, const Message& m, Cycle T);
    void settle(Color& c, Cycle now) const;  // a control wavelet acts behind its grant
    static bool waiting(const Color& c, Cycle T);
    void load_filter(Color& c);                      // that of its route
    static void settle_filter(Color& c, Cycle now);  // counts the words granted before
    LinkFifo& ramp_of(Node& n, int color);
    int ramp_color(Node& n, int color) const;  // that a word sent as `color` has in the router
    Routes routes;
    bool values = false;  // words have values

  private:
    friend class Element;
    static constexpr int kMostTargets = 10 * kMaxColors;
    struct Target {
        int port = 0;
        OutLink* link = nullptr;
        InQueue* iq = nullptr;
        bool host = false;
        Seq* into() const { return link ? &link->sent : &iq->a; }
        std::vector<Special>& specials() const { return link ? link->specials : iq->specials; }
        WordsOf& words() const { return link ? link->words : iq->words; }
    };
    LinkFifo& fifo(Color& c, int port) {
        LinkFifo*& f = c.fifo[static_cast<size_t>(port)];
        if (!f) f = arena_.make<LinkFifo>();
        return *f;
    }
    OutLink& out(Color& c, int port) {
        OutLink*& o = c.out[static_cast<size_t>(port)];
        if (!o) o = arena_.make<OutLink>();
        return *o;
    }
    // One FIFO being served: its words up to the next special one, then that one.
    struct Service {
        Color* color = nullptr;
        LinkFifo* fifo = nullptr;
        int port = 0, num = 0;
        Target to[5];
        bool special = false;
        bool counted = false;                   // its words move the color's filter
        uint32_t payload = 0, own_payload = 0;  // of a control wavelet: as the next router gets it, and as it came
        bool control = false;
        int64_t from = 0;  // first word of this part
        Seq before;        // prediction before this service
    };
    struct Changed {
        Target target;
        Color* color;
        Seq before;
        Words words_before;  // what the times before stood for
        std::vector<Special> specials_before;
    };
    static bool swaps(const RouteClass& r, int port) {
        return port == kPortEast || port == kPortWest ? r.swap_x : port != kPortRamp && r.swap_y;
    }
    Color& arrives(Node& n, const Message& m);
    void serve_own(Node& n, Cycle T, std::vector<Told>& told);
    void serve_host(Node& n, Cycle T, std::vector<Told>& told);
    Sink& sink(Color& c, int port) {
        if (!c.sinks) c.sinks = arena_.make<Sink>(5);
        return c.sinks[port];
    }
    static void add_words(LinkFifo& f, int64_t first, const HostWords& words, const RunRef& run);
    void forget(const Target& t, Color* c);
    void forget_outputs(Node& n);
    void collect(Node& n);
    void add_others(Server& s, const Color& c, const Seq& into, int64_t off, int32_t add) const;
    void add_own(Server& s, const Color& c, const Seq& d, const Seq& into, int64_t k, int capacity, int32_t add) const;
    void build(Server& s, Service& v, uint32_t outputs, int64_t k, int64_t k_end);
    void next_part(Server& s, Service& v);
    bool judge(const Service& v, int64_t k, int64_t& end) const;
    void deliver(Service& v, int64_t to);
    void act_on_specials(Service& v);
    void tell_upstream(Service& v, std::vector<Told>& told);
    void tell_downstream(const Changed& ch, std::vector<Told>& told);
    const RouteClass& route(const Color& c) const { return routes.of(c); }

    const Arch& arch_;
    Loop& loop_;
    Arena& arena_;
    Cycle keep_;
    // Of the service that is going on.
    Node* node_ = nullptr;
    Cycle now_ = 0;
    Service services_[24];
    Server servers_[24];
    int num_ = 0;
    Changed changed_[kMostTargets];
    int num_changed_ = 0;
};

}  // namespace wafersim::stream
