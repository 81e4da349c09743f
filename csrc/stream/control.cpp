// Instructions of the main thread that reach beyond the PE's own state: control of the fabric, configuration words,
// clocks.
#include <algorithm>
#include <bit>
#include <utility>

#include "pe/random.hpp"
#include "stream/element.hpp"

namespace wafersim::stream {
namespace {

const char* name_of(Op op) {
    switch (op) {
        case Op::kQueueGet:
        case Op::kQueueFlush:
        case Op::kQueueBind:
        case Op::kQueueExit:
            return "queue control";
        case Op::kPerfGet:
            return "PERF_GET";
        default:
            return "this instruction";
    }
}

constexpr size_t kMostPrints = 1000000;  // as at fidelity wavelet

uint64_t filter_field(const Filter& f, FilterField field) {
    switch (field) {
        case FilterField::kCounter:
            return static_cast<uint64_t>(f.is.counter);
        case FilterField::kLimit1:
            return static_cast<uint64_t>(f.limit1);
        case FilterField::kMax:
            return static_cast<uint64_t>(f.is.max);
        case FilterField::kMin:
            return static_cast<uint64_t>(f.min);
        default:
            return f.is.on != FilterKind::kNone;
    }
}

void set_filter_field(Filter& f, FilterField field, int32_t value) {
    switch (field) {
        case FilterField::kCounter:
            f.is.counter = value;
            break;
        case FilterField::kLimit1:
            f.limit1 = value;
            break;
        case FilterField::kMax:
            f.is.max = value;
            break;
        case FilterField::kMin:
            f.min = value;
            break;
        default:
            f.is.on = value == 0 ? FilterKind::kNone : f.kind;
    }
}

// A value that such an instruction reads, as a change of the main thread's situation (`Mains::change`).
constexpr uint64_t kRead = 24, kFree = 25;

}  // namespace

// Control of a color; the value that it reads.
uint64_t Element::control_color(Node& n, const Instr& in, Cycle T) {
    const bool reads = in.op == Op::kSwitchGet || in.op == Op::kTeardownGet || in.op == Op::kFilterGet;
    bool known = true;
    uint64_t given = in.a >= 0 ? reg(n, in.a, known) : 0;
    if (!known && !values) refuse(in, "fabric control that depends on array data");
    const bool by_register = in.a >= 0 && (in.op == Op::kRouteSet || in.op == Op::kTeardownExit);
    Color* found = n.color(by_register ? static_cast<int>(given & 0xffff) : in.imm);
    if (!found) refuse(in, "fabric control of a color without a route");
    Color& c = *found;
    router_.settle(c, reads ? T : T + 1);
    if (in.op == Op::kTeardownExit && !c.teardown) return 0;
    switch (in.op) {
        case Op::kRouteSet: {
            const RouteClass &r = router_.routes[in.imm2], &was = router_.routes.of(c);
            if (r.swap_x != was.swap_x || r.swap_y != was.swap_y) refuse(in, "a route that changes a color swap");
            c.route = in.imm2;
            c.position = r.initial;
            c.teardown = r.teardown;
            router_.load_filter(c);
            break;
        }
        case Op::kFilterSet:
        case Op::kFilterGet:
            if (!c.filter) c.filter = arena_.make<Filter>();
            Router::settle_filter(c, T + 1);
            if (in.op == Op::kFilterGet) return filter_field(*c.filter, static_cast<FilterField>(in.imm2));
            set_filter_field(*c.filter, static_cast<FilterField>(in.imm2), static_cast<int32_t>(given & 0xffff));
            break;
        case Op::kSwitchSet: {
            const uint64_t to = in.a >= 0 ? given : static_cast<uint64_t>(in.imm2);
            const auto last = static_cast<uint64_t>(router_.routes.of(c).num_positions - 1);
            c.position = static_cast<int32_t>(std::min(to, last));
            break;
        }
        case Op::kSwitchGet:
            return static_cast<uint64_t>(c.position);
        case Op::kTeardownGet:
            return c.teardown;
        default:
            c.teardown = false;
            break;  // TEARDOWN_EXIT
    }
    c.changed = T;
    if (Router::waiting(c, T)) n.wake_router(T + 1);
    return 0;
}

// A LOAD or STORE above SRAM; what it loads. `clock`: the part of the counter that it is, if it is one.
uint64_t Element::configuration(Node& n, const Instr& in, Cycle T, int& clock) {
    const auto address = static_cast<int32_t>(config_address(n, in)), color_base = base_of(ArchInt::kColorConfigBase),
               switch_base = base_of(ArchInt::kSwitchConfigBase), counter_base = base_of(ArchInt::kCounterConfigBase);
    auto word_of = [&](int32_t base, int words) {
        return base >= 0 && address >= base && address < base + 2 * words && address % 2 == 0 ? (address - base) / 2
                                                                                              : -1;
    };
    const bool loads = in.op == Op::kLoad;
    if (const int word = word_of(counter_base, 4); loads && word >= 0) {
        clock = word;
        const auto on = tsc_.find(pe);
        if (word == 0) return on == tsc_.end() || on->second.enabled;
        return clock_value(tsc(T), word);
    }
    const int at = word_of(color_base, kMaxColors), number = at >= 0 ? at : word_of(switch_base, kMaxColors);
    if (number < 0) refuse(in, "a configuration word of another kind than those of colors");
    Color* c = n.color(number);
    if (!c && loads) return 0;
    if (!c) refuse(in, "a configuration word that makes a route");
    router_.settle(*c, loads ? T : T + 1);
    if (loads) return at >= 0 ? router_.routes.color_word(*c) : router_.routes.switch_word(*c);
    bool known = true;
    const auto word = static_cast<uint32_t>(reg(n, in.b, known));
    if (!known && !values) refuse(in, "a configuration word that depends on array data");
    if (at >= 0)
        router_.routes.store_color_word(*c, word);
    else
        router_.routes.store_switch_word(*c, word);
    c->changed = T;
    if (Router::waiting(*c, T)) n.wake_router(T + 1);
    return 0;
}

// The address of a LOAD or STORE, -1 if it lies in SRAM or is array data.
int32_t Element::config_address(const Node& n, const Instr& in) const {
    uint64_t base = 0;
    if (in.a >= 0) {
        if (!main(n).regs[static_cast<size_t>(in.a)].known) return -1;
        std::memcpy(&base, cells_ + 8 * in.a, 8);
    }
    const auto address = static_cast<uint16_t>(base + static_cast<uint64_t>(static_cast<int64_t>(in.imm)));
    const bool inside = address < arch_.sram_bytes;
    if (in.a >= 0 && inside)
        script.add({Step::Kind::kInside, 0, in.a, static_cast<uint64_t>(static_cast<int64_t>(in.imm))});
    else if (in.a >= 0)
        script.add({Step::Kind::kRegister, 8, in.a, base});
    return inside ? -1 : address;
}

// The start of an asynchronous receive by a main thread that is alone and ahead of the cycle: nothing can come between.
bool Element::plan_receive(Node& n, const Instr& in, Cycle at) {
    const Main& m = main(n);
    if (!local_.settings_of(m, in).async || local_.vector_length(m, in) <= 0) return false;
    if (const Dsd* d = local_.dsr(m, in.dst); !d || d->kind != DsdKind::kMem) return false;
    for (const int32_t e : {in.a, in.b, in.c})  // one that gives its queue a color does so in its cycle
        if (const Dsd* d = local_.dsr(m, e); d && d->kind == DsdKind::kFabin && d->color >= 0)
            if (const InQueue* q = n.iq[static_cast<size_t>(d->queue)]; q && q->color != d->color) return false;
    start(n, in, std::max(at, n.slot_free));
    n.ahead = n.slot_free;
    dirty_ = true;
    return true;
}

// The instruction of a main thread that is alone and ahead of the cycle, if it can be judged now: a receive, or control
// of a color in teardown, which only this main thread can end. Its effect on the router is planned for cycle `at`.
bool Element::plan(Node& n, Cycle at) {
    const Instr& in = mains_.instruction(n);
    if (in.op == Op::kVop) return plan_receive(n, in, at);
    if ((in.op != Op::kTeardownGet && in.op != Op::kTeardownExit && in.op != Op::kRouteSet) || in.a >= 0) return false;
    Color* c = n.color(in.imm);
    if (!c || c->pending != SwitchCommand::kNop || c->filter) return false;
    if (in.op == Op::kRouteSet) {
        const RouteClass &r = router_.routes[in.imm2], &was = router_.routes.of(*c);
        if (r.filter != FilterKind::kNone || r.swap_x != was.swap_x || r.swap_y != was.swap_y) return false;
    }
    const bool planned = c->planned < kForever;
    if (!(planned ? c->planned_teardown : c->teardown)) return false;
    const Cycle next = arch_.value(ArchInt::kCostConfig);
    if (in.op == Op::kTeardownGet) {
        read_result(n, at, in.dst, 1, next);
    } else {
        if (!planned) c->planned_route = -1;
        if (in.op == Op::kRouteSet) c->planned_route = in.imm2;
        c->planned_teardown = in.op == Op::kRouteSet && program_.routes[static_cast<size_t>(in.imm2)].teardown;
        c->planned = at;
        if (Router::waiting(*c, at)) n.wake_router(at + 1);
    }
    pass(n, at, next);
    n.ahead = std::max(mains_.ready_from(n, at + 1), at + 1);
    return true;
}

// What the cycle counter shows in cycle T.
Cycle Element::tsc(Cycle T) const {
    const auto at = tsc_.find(pe);
    if (at == tsc_.end()) return T;
    return at->second.enabled ? T - at->second.offset : at->second.frozen;
}

void Element::control_tsc(int32_t what, Cycle T) {
    Tsc& t = tsc_[pe];
    if (what == 0 && t.enabled) t.frozen = T - t.offset, t.enabled = false;
    if (what == 1 && !t.enabled) t.offset = T - t.frozen, t.enabled = true;
    if (what == 2) t.offset = T, t.frozen = 0;
}

// The next number of the PE's generator.
uint64_t Element::random() {
    const auto width = static_cast<uint32_t>(program_.width);
    const auto [at, fresh] = random_.try_emplace(pe, 0);
    if (fresh) at->second = first_random(seed, pe % width, pe / width);
    return next_random(at->second) & 0xffff;
}

// `clock`: the part of the cycle (`clock_value`) that the value is, 0: none.
void Element::read_result(Node& n, Cycle T, int32_t result, uint64_t value, Cycle latency, int clock) {
    set_reg(result, value);
    if (clock && result >= 0 && script.on)
        script.steps.back() = {Step::Kind::kClock, static_cast<int8_t>(clock), result, 0};
    if (result >= 0)
        mains_.change(n, T, kRead | static_cast<uint64_t>(result) << 8,
                      [&](Main& m, Cycle now) { m.regs[static_cast<size_t>(result)] = {0, now + latency, true}; });
}

// PRINT or ASSERT: as soon as its registers are ready and the unit is free, in no time and no slot.
Element::Next Element::free(Node& n, const Instr& in, Cycle T, Cycle from) {
    if (const Cycle at = std::max(from, n.slot_free); T < at) {
        n.wake_element(at);
        renew(n, T);
        return Next::kStop;
    }
    const bool prints_it = in.op == Op::kPrint;
    bool known = true;
    Print line{T, pe, in.imm, {}, {in.a, prints_it ? in.b : -1, prints_it ? in.c : -1}};
    for (size_t i = 0; i < 3; ++i)
        if (line.regs[i] >= 0) line.values[i] = reg(n, line.regs[i], known);
    if (!known && !values) refuse(in, prints_it ? "a print of array data" : "an assertion on array data");
    if (prints_it && prints.size() < kMostPrints) prints.push_back(line);
    if (!prints_it && line.values[0] == 0) refuse(in, "an assertion that fails");
    mains_.change(n, T, kFree, [](Main& m, Cycle now) {
        m.next_issue = std::max(m.next_issue, now);
        m.next_vector = std::max(m.next_vector, now);
        ++m.pc;
    });
    return Next::kAgain;
}

// One instruction that is not local, issued in cycle T.
void Element::execute(Node& n, Cycle T) {
    const Instr& in = mains_.instruction(n);
    ArchInt cost = ArchInt::kCostConfig;
    uint64_t value = 0;
    int32_t result = -1;
    int clock = 0;
    switch (in.op) {
        case Op::kVop:
            return start(n, in, T);
        case Op::kTimestamp:
            cost = ArchInt::kCostTimestamp;
            clock = -1;
            value = clock_value(tsc(T), clock);
            result = in.dst;
            break;
        case Op::kTscControl:
            cost = ArchInt::kCostTimestamp;
            control_tsc(in.imm, T);
            break;
        case Op::kRouteSet:
        case Op::kSwitchSet:
        case Op::kTeardownExit:
            control_color(n, in, T);
            break;
        case Op::kFilterSet:
            control_color(n, in, T);
            break;
        case Op::kFilterGet:
        case Op::kSwitchGet:
        case Op::kTeardownGet:
            value = control_color(n, in, T);
            result = in.dst;
            break;
        case Op::kLoad:
        case Op::kStore:
            value = configuration(n, in, T, clock);
            result = in.op == Op::kLoad ? in.dst : -1;
            break;
        case Op::kBlock:
        case Op::kUnblock: {
            bool known = true;
            const uint64_t ut = in.a < 0 ? static_cast<uint64_t>(in.imm) : reg(n, in.a, known) & 0xffff;
            if (!known && !values) refuse(in, "a microthread number that depends on array data");
            if (ut < 8) {
                if (in.op == Op::kBlock) look_at_fifos(n, static_cast<int>(ut), T);
                const auto bit = static_cast<uint8_t>(1u << ut);
                n.blocked_uts = static_cast<uint8_t>(in.op == Op::kBlock ? n.blocked_uts | bit : n.blocked_uts & ~bit);
            }
            dirty_ = true;
            cost = ArchInt::kCostTaskControl;
            break;
        }
        case Op::kFifoSet:
            set_fifo(n, in, T);
            cost = ArchInt::kCostDsdSet;
            break;
        case Op::kTeardownPending:
            for (int i = 0; i < n.num_colors; ++i) {
                router_.settle(n.colors[i], T);
                if (std::exchange(n.colors[i].torn, false)) value |= UINT64_C(1) << n.colors[i].color;
            }
            result = in.dst;
            break;
        case Op::kRandom:
            cost = ArchInt::kCostRandom;
            value = random();
            result = in.dst;
            break;
        default:
            refuse(in, std::string("fidelity stream does not execute ") + name_of(in.op));
    }
    const Cycle next = arch_.value(cost);
    read_result(n, T, result, value, next, clock);
    pass(n, T, next);
}

}  // namespace wafersim::stream
