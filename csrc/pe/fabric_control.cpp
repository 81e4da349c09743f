// Fabric control by instructions and through configuration words (docs/semantics.md, sections 3 and 6).
#include <algorithm>
#include <utility>

#include "pe/config_words.hpp"
#include "pe/core.hpp"

namespace wafersim {
namespace {

constexpr int kCounterWords = 4;            // control, then the counter's three words
constexpr uint32_t kQueueMedium = 1u << 8;  // of an input queue's word

uint32_t switch_word(ColorState& cs) {
    if (cs.route->switch_word < 0) {
        cs.route->switch_word = switch_bits(cs.route->in, cs.route->out, cs.num_positions);
    }
    return static_cast<uint32_t>(cs.route->switch_word);
}

int derive_positions(ColorState& cs, uint32_t position) {
    cs.num_positions = static_cast<uint8_t>(switch_positions(cs.route->in, cs.route->out, cs.route->switch_word));
    return static_cast<int>(std::min<uint32_t>(position, cs.num_positions - 1u));
}

}  // namespace

void Core::exec_fabric(Pe& p, const Instr& in, Cycle t) {
    auto reg = [&](int32_t r) -> uint64_t { return p.regs[static_cast<size_t>(r)]; };
    const int color = in.a >= 0 && (in.op == Op::kRouteSet || in.op == Op::kTeardownExit)
                          ? static_cast<int>(reg(in.a) & 0xffff)
                          : in.imm;
    const Cycle next = t + arch_.value(ArchInt::kCostConfig);
    uint64_t result = 0;
    const bool per_color = in.op <= Op::kFilterSet || in.op == Op::kFilterGet;
    ColorState* cs = per_color && color >= 0 && color < kMaxColors ? fabric_.color(p.id, color) : nullptr;
    if (per_color && in.op != Op::kRouteSet && (!cs || !cs->has_route)) {
        fail(p, t, "fabric control of color " + std::to_string(color) + ", which has no route here", color, in.line);
        p.dead = true;
        return;
    }
    if (cs && (in.op == Op::kSwitchSet || in.op == Op::kTeardownExit || in.op == Op::kFilterSet))
        fabric_.apply_pending(*cs);
    switch (in.op) {
        case Op::kRouteSet:
            if (color < 0 || color >= kMaxColors) {
                fail(p, t, "a route is set for color " + std::to_string(color) + "; colors are 0 to 23", -1, in.line);
                p.dead = true;
                return;
            }
            fabric_.set_route(p.id, color, program_.routes[static_cast<size_t>(in.imm2)], t);
            break;
        case Op::kSwitchSet: {
            const uint64_t position = in.a < 0 ? static_cast<uint64_t>(in.imm2) : reg(in.a);
            fabric_.set_position(
                *cs, static_cast<int>(std::min<uint64_t>(position, static_cast<uint64_t>(cs->num_positions - 1))));
            break;
        }
        case Op::kSwitchGet:
            result = cs->position;
            break;
        case Op::kTeardownExit:
            cs->teardown = false;
            break;
        case Op::kTeardownGet:
            result = cs->teardown;
            break;
        case Op::kTeardownPending:
            result = std::exchange(p.queues->teardown_pending, 0);
            break;
        case Op::kFilterSet: {
            const auto v = static_cast<int32_t>(reg(in.a) & 0xffff);
            switch (static_cast<FilterField>(in.imm2)) {
                case FilterField::kCounter:
                    cs->route->counter = v;
                    break;
                case FilterField::kLimit1:
                    cs->route->limit1 = v;
                    break;
                case FilterField::kMax:
                    cs->route->max = v;
                    break;
                case FilterField::kMin:
                    cs->route->min = v;
                    break;
                case FilterField::kActive:
                    cs->filter = v == 0 ? FilterKind::kNone : cs->route->filter_kind;
                    break;
            }
            break;
        }
        case Op::kFilterGet: {
            const auto field = static_cast<FilterField>(in.imm2);
            const int32_t value = field == FilterField::kCounter  ? cs->route->counter
                                  : field == FilterField::kLimit1 ? cs->route->limit1
                                  : field == FilterField::kMax    ? cs->route->max
                                  : field == FilterField::kMin    ? cs->route->min
                                                                  : cs->filter != FilterKind::kNone;
            result = static_cast<uint64_t>(value);
            break;
        }
        case Op::kQueueGet:
        case Op::kQueueFlush:
        case Op::kQueueExit:
        case Op::kQueueBind: {
            const auto q = static_cast<size_t>(in.imm);
            auto apply = [&](auto& queue, int capacity) {
                if (in.op == Op::kQueueGet) {
                    switch (static_cast<QueueField>(in.imm2)) {
                        case QueueField::kEmpty:
                            result = queue.ring.empty();
                            break;
                        case QueueField::kFull:
                            result = queue.ring.count() >= capacity;
                            break;
                        case QueueField::kDepth:
                            result = static_cast<uint64_t>(queue.ring.count());
                            break;
                        case QueueField::kFlushed:
                            result = queue.flushed;
                            break;
                    }
                } else if (in.op == Op::kQueueFlush) {
                    queue.flush_pending = true;
                    queue.flushed = false;
                    p.queues->flush_watch = true;
                    ces_.wake(p.id, t + 1);
                } else if (in.op == Op::kQueueExit) {
                    queue.flushed = false;
                } else {
                    queue.color = static_cast<int16_t>(in.a < 0 ? in.imm2 : static_cast<int32_t>(reg(in.a) & 0x1f));
                    p.queues->bind_colors(arch_.num_iq);
                }
            };
            if (in.type)
                apply(p.queues->oq[q], arch_.oq_depth[q]);
            else
                apply(p.queues->iq[q], arch_.iq_capacity(static_cast<int>(q)));
            break;
        }
        default:
            break;
    }
    fabric_.route_changed(p.id, t);
    if (in.dst >= 0) {  // only those that give a result have one
        p.regs[static_cast<size_t>(in.dst)] = result;
        p.reg_ready[static_cast<size_t>(in.dst)] = next;
    }
    p.next_issue = p.next_vector = next;
    mark(next);
    ++p.pc;
}

// Number of the 16-bit word of a block of configuration words that an address names; -1: none.
int Core::config_word(ArchInt base, int words, int32_t address) const {
    const int64_t from = arch_.value(base), offset = address - from;
    return from >= 0 && offset >= 0 && offset < 2 * words ? static_cast<int>(offset / 2) : -1;
}

bool Core::touches_configuration(const Pe& p, const Instr& in) const {
    const uint64_t a = in.a < 0 ? 0 : p.regs[static_cast<size_t>(in.a)];
    const auto address =
        static_cast<int32_t>(static_cast<uint16_t>(a + static_cast<uint64_t>(static_cast<int64_t>(in.imm))));
    if (address < arch_.sram_bytes) return false;
    return config_word(ArchInt::kColorConfigBase, kMaxColors, address) >= 0 ||
           config_word(ArchInt::kSwitchConfigBase, kMaxColors, address) >= 0 ||
           config_word(ArchInt::kCounterConfigBase, kCounterWords, address) >= 0 ||
           config_word(ArchInt::kQueueConfigBase, arch_.num_iq, address) >= 0;
}

bool Core::odd_configuration(Pe& p, int32_t address, Cycle t) {
    if (address % 2 == 0) return false;
    fail(p, t, "configuration address " + std::to_string(address) + " is odd; configuration words have even addresses");
    p.dead = true;
    return true;
}

int64_t Core::counter(const Pe& p, Cycle t) {
    return (p.tsc_enabled ? t - p.tsc_offset : p.tsc_frozen) & ((INT64_C(1) << 48) - 1);
}

// A word of the cycle counter: 0 its control, 1 to 3 its value from the low word up.
uint64_t Core::load_counter(const Pe& p, int word, Cycle t) {
    if (word == 0) return p.tsc_enabled;
    return static_cast<uint64_t>(counter(p, t)) >> 16 * (word - 1) & 0xffff;
}

void Core::store_counter(Pe& p, int word, uint32_t value, Cycle t) {
    int64_t now = counter(p, t);
    if (word > 0) {
        const int shift = 16 * (word - 1);
        now = (now & ~(INT64_C(0xffff) << shift)) | static_cast<int64_t>(value & 0xffff) << shift;
    } else {
        p.tsc_enabled = (value & 0xffff) != 0;
    }
    p.tsc_offset = t - now;
    p.tsc_frozen = now;
}

// The word of an input queue: bit 8 gives the operations that read it the middle priority of microthreads.
void Core::store_queue_word(Pe& p, int number, uint32_t value) {
    InputQueue& queue = p.queues->iq[static_cast<size_t>(number)];
    const bool was = queue.config_word & kQueueMedium, is = value & kQueueMedium;
    queue.config_word = static_cast<uint16_t>(value);
    if (was == is) return;
    queue.priority = static_cast<int16_t>(is ? Priority::kUtMedium : Priority::kUtLow);
    for (int thread = 0; thread < kMainThread; ++thread) {
        LiveOp* op = p.op(thread);
        if (op && op->set.priority < 0) op->priority = queue_priority(p, *op);
    }
}

uint64_t Core::load_configuration(Pe& p, int32_t address, Cycle t) {
    const int64_t color_base = arch_.value(ArchInt::kColorConfigBase),
                  switch_base = arch_.value(ArchInt::kSwitchConfigBase);
    if (odd_configuration(p, address, t)) return 0;
    if (const int word = config_word(ArchInt::kCounterConfigBase, kCounterWords, address); word >= 0)
        return load_counter(p, word, t);
    if (const int word = config_word(ArchInt::kQueueConfigBase, arch_.num_iq, address); word >= 0)
        return p.queues->iq[static_cast<size_t>(word)].config_word;
    const bool is_color = address >= color_base && address < color_base + 2 * kMaxColors;
    const int64_t offset = address - (is_color ? color_base : switch_base);
    ColorState* cs = fabric_.color(p.id, static_cast<int>(offset / 2));
    if (!cs || !cs->has_route) return 0;
    if (is_color)
        return mask_to_config(cs->route->in[0]) << 5 | mask_to_config(cs->route->out[0]) |
               static_cast<uint32_t>(cs->teardown) << 14 | static_cast<uint32_t>(cs->pop_mode) << 12 |
               static_cast<uint32_t>(cs->swap_x) << 11 | static_cast<uint32_t>(cs->swap_y) << 10;
    return switch_word(*cs) | static_cast<uint32_t>(cs->ring_mode) << 12 | static_cast<uint32_t>(cs->position) << 13;
}

void Core::store_configuration(Pe& p, int32_t address, uint32_t value, Cycle t) {
    const int64_t color_base = arch_.value(ArchInt::kColorConfigBase),
                  switch_base = arch_.value(ArchInt::kSwitchConfigBase);
    if (odd_configuration(p, address, t)) return;
    if (const int word = config_word(ArchInt::kCounterConfigBase, kCounterWords, address); word >= 0)
        return store_counter(p, word, value, t);
    if (const int word = config_word(ArchInt::kQueueConfigBase, arch_.num_iq, address); word >= 0)
        return store_queue_word(p, word, value);
    const bool is_color = address >= color_base && address < color_base + 2 * kMaxColors;
    const int64_t offset = address - (is_color ? color_base : switch_base);
    const int color = static_cast<int>(offset / 2);
    ColorState* cs = fabric_.color(p.id, color);
    if (!cs || !cs->has_route) {
        fabric_.set_route(p.id, color, RouteClass{}, t);
        cs = fabric_.color(p.id, color);
    }
    fabric_.apply_pending(*cs);
    if (is_color) {
        if (static_cast<bool>(value >> 11 & 1) != cs->swap_x || static_cast<bool>(value >> 10 & 1) != cs->swap_y) {
            fail(p, t, "the color swap of color " + std::to_string(color) + " cannot be changed at run time", color);
            p.dead = true;
            return;
        }
        switch_word(*cs);  // read off before position 0 changes
        fabric_.settle(*cs);
        cs->route->in[0] = static_cast<uint8_t>(config_to_mask(value >> 5 & 31));
        cs->route->out[0] = static_cast<uint8_t>(config_to_mask(value & 31));
        cs->pop_mode = static_cast<PopMode>(value >> 12 & 3);
        cs->teardown = value >> 14 & 1;
        fabric_.set_position(*cs, derive_positions(*cs, cs->position));
    } else {
        fabric_.settle(*cs);
        cs->route->switch_word = static_cast<int32_t>(value & 0xfff);
        cs->ring_mode = value >> 12 & 1;
        fabric_.set_position(*cs, derive_positions(*cs, value >> 13 & 3));
    }
    fabric_.route_changed(p.id, t);
}

}  // namespace wafersim
