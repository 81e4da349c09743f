// Compute elements of the stream prototype, and the run.
#include "engine.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

namespace wafersim::stream {
namespace {

constexpr int kMainOp = 8;
int kind_of(int32_t encoded) { return encoded < 0 ? 0 : encoded >> 24; }

}  // namespace

void Engine::refuse(uint32_t id, const std::string& what) const {
    throw Refused(what + " at PE (" + std::to_string(id % static_cast<uint32_t>(width_)) + ", " + std::to_string(id / static_cast<uint32_t>(width_)) + ")");
}

Engine::Engine(const Program& program, const Arch& arch, const std::vector<int32_t>& code_owner, const std::vector<std::array<int32_t, 3>>& host_written)
    : program_(program), arch_(arch), local_(program, arch),
      routers_(static_cast<size_t>(program.width) * static_cast<size_t>(program.height)),
      ces_(static_cast<size_t>(program.width) * static_cast<size_t>(program.height)), width_(program.width), height_(program.height) {
    if (arch.ramp_pace_num != arch.ramp_pace_den) throw Refused("a ramp pace other than 1 (the ramp's accumulator never resets)");
    for (const RouteClass& r : program.routes) {
        if (r.filter != FilterKind::kNone) throw Refused("input filters");
        if (r.swap_x || r.swap_y) throw Refused("color swap");
    }
    // Bytes of scalar state, from the code: parameters and absolute addresses.
    control_.resize(program.tiles.size());
    std::vector<std::vector<std::pair<int32_t, int32_t>>> ranges(program.tiles.size());
    for (size_t t = 0; t < program.tiles.size(); ++t) {
        const Tile& tile = program.tiles[t];
        for (const Task& task : tile.tasks)
            if (task.kind != TaskKind::kLocal) throw Refused("data tasks and control tasks");
        if (!tile.fifos.empty()) throw Refused("FIFOs");
        for (const ParamBlock& p : tile.params) ranges[t].push_back({p.address, p.address + p.bytes});
    }
    for (size_t i = 0; i < program.code.size(); ++i) {
        const Instr& in = program.code[i];
        const auto tile = static_cast<size_t>(code_owner[i]);
        if ((in.op == Op::kLoad || in.op == Op::kStore) && in.a < 0) ranges[tile].push_back({in.imm, in.imm + type_bytes(static_cast<Type>(in.type))});
        if (in.settings >= 0 && program.settings[static_cast<size_t>(in.settings)].on_control != OnControl::kNone) throw Refused("actions on control wavelets");
    }
    for (size_t t = 0; t < control_.size(); ++t) {
        auto& r = ranges[t];
        std::sort(r.begin(), r.end());
        for (const auto& [low, high] : r) {
            auto& out = control_[t].ranges;
            if (!out.empty() && low <= out.back().second) out.back().second = std::max(out.back().second, high);
            else out.push_back({low, high});
        }
        for (const auto& [low, high] : control_[t].ranges) {
            control_[t].offset.push_back(control_[t].bytes);
            control_[t].bytes += high - low;
        }
    }
    const size_t num_pes = program.tile_map.size();
    colors_.resize(num_pes);
    for (size_t id = 0; id < num_pes; ++id)
        for (size_t k = 0; k < program.colors.size(); ++k)
            if (const int32_t r = program.route_map[k * num_pes + id]; r >= 0) {
                auto c = std::make_unique<Color>();
                c->color = program.colors[k];
                c->route = &program.routes[static_cast<size_t>(r)];
                c->position = c->route->initial;
                c->teardown = c->route->teardown;
                colors_[id].push_back(std::move(c));
            }
    index_.assign(num_pes, -1);
    size_t count = 0;
    for (size_t id = 0; id < num_pes; ++id)
        if (program.tile_map[id] >= 0) index_[id] = static_cast<int32_t>(count++);
    pes_.resize(count);
    std::vector<int64_t> rank(program.tiles.size(), 0);
    for (size_t id = 0; id < num_pes; ++id) {
        if (index_[id] < 0) continue;
        const auto t = static_cast<size_t>(program.tile_map[id]);
        const Tile& tile = program.tiles[t];
        Pe& p = pes_[static_cast<size_t>(index_[id])];
        p.id = static_cast<uint32_t>(id);
        p.x = static_cast<int32_t>(id % static_cast<size_t>(width_));
        p.y = static_cast<int32_t>(id / static_cast<size_t>(width_));
        Main& m = p.main;
        m.tile = &tile;
        m.control = &control_[t];
        m.regs.resize(static_cast<size_t>(tile.num_regs));
        for (const Dsd& d : tile.dsds) m.slots.push_back(local_.intern(d));
        m.dsrs.assign(static_cast<size_t>(tile.num_dsrs[0] + tile.num_dsrs[1] + tile.num_dsrs[2]), DsrState{local_.intern(Dsd{}), 0});
        for (const auto& init : tile.dsr_init) {
            Dsd d = tile.dsds[static_cast<size_t>(init.dsd)];
            d.settings = init.settings;
            m.dsrs[static_cast<size_t>(local_.dsr_index(m, init.dsr))].dsd = local_.intern(d);
        }
        m.memory.assign(static_cast<size_t>(control_[t].bytes), 0);
        m.unknown.assign(static_cast<size_t>(control_[t].bytes), 0);
        const int64_t r = rank[t]++;
        for (size_t k = 0; k < control_[t].ranges.size(); ++k)
            for (int32_t a = control_[t].ranges[k].first; a < control_[t].ranges[k].second; ++a) {
                const auto at = static_cast<size_t>(control_[t].offset[k] + a - control_[t].ranges[k].first);
                if (a < tile.image_bytes) m.memory[at] = program.image[static_cast<size_t>(tile.image_offset + a)];
                for (const ParamBlock& b : tile.params)
                    if (a >= b.address && a < b.address + b.bytes) m.memory[at] = program.param_values[static_cast<size_t>(b.offset + r * b.bytes + a - b.address)];
                for (const auto& w : host_written)
                    if (w[0] == static_cast<int32_t>(t) && a >= w[1] && a < w[1] + w[2]) m.unknown[at] = 1;
            }
        for (size_t i = 0; i < tile.tasks.size(); ++i) {
            if (tile.tasks[i].active) m.active |= UINT64_C(1) << i;
            if (tile.tasks[i].blocked) m.blocked |= UINT64_C(1) << i;
        }
        p.last_pick.assign(tile.tasks.size(), -1);
        for (size_t q = 0; q < 8; ++q) {
            if (tile.iq[q].initialised) {
                p.iq[q] = std::make_unique<InQueue>();
                p.iq[q]->color = tile.iq[q].color;
                p.iq[q]->priority = tile.iq[q].priority;
                p.iq[q]->initialised = true;
                p.iq[q]->blocked = 0;
                if (Color* c = p.iq[q]->color >= 0 ? color(p.id, p.iq[q]->color) : nullptr; c && c->iq < 0) c->iq = static_cast<int>(q);
            }
            p.oq[q] = std::make_unique<OutQueue>();
            p.oq[q]->color = tile.oq[q].color;
            p.oq[q]->priority = tile.oq[q].priority;
            p.oq[q]->initialised = tile.oq[q].initialised;
            if (!p.oq[q]->initialised) p.oq[q].reset();
        }
        if (m.active & ~m.blocked) wake_ce(p, 0);
    }
}

void Engine::launch(int function, const std::vector<uint64_t>& args) {
    for (Pe& p : pes_)
        for (const Function& f : p.main.tile->functions)
            if (f.number == function) {
                if (p.launch) throw Refused("more than one launch at a time");
                p.launch = &f;
                p.launch_args = args;
                ++p.open;
                ++open;
                wake_ce(p, 0);
            }
}

bool Engine::run() {
    loop_.explain = std::getenv("EXPLAIN") != nullptr;
    for (;;) {
        const Cycle t = std::min(routers_.next(), ces_.next());
        if (t >= kForever) break;
        routers_.advance(t);
        ces_.advance(t);
        routers_.drain([](uint32_t, bool) {}, [&](uint32_t id) { router(id, t); });
        ces_.drain([](uint32_t, bool) {}, [&](uint32_t id) {
            if (index_[id] >= 0) step(pes_[static_cast<size_t>(index_[id])], t);
        });
    }
    figures.late = loop_.late;
    for (const Pe& p : pes_)
        if (p.main.in_task || p.live) return false;
    return open == 0;
}

Cycle Engine::cycles() const {
    Cycle end = 0;
    for (const Pe& p : pes_) {
        end = std::max(end, p.main.end);
        for (const auto& q : p.iq)
            if (q) end = std::max(end, q->b.last() + 1);
        for (const auto& q : p.oq)
            if (q) end = std::max(end, q->b.last() + 1);
    }
    for (const auto& list : colors_)
        for (const auto& c : list)
            for (const auto& f : c->fifo)
                if (f) end = std::max({end, f->a.last() + 1, f->d.last() + 1});
    return end;
}

// Brings the threads to the start of cycle T.
void Engine::sync(Pe& p, Cycle T) {
    for (uint32_t rest = p.live; rest; rest &= rest - 1) {
        const int t = std::countr_zero(rest);
        Thread& th = *p.thread[static_cast<size_t>(t)];
        if (th.finished) continue;
        const Seq& beats = th.out >= 0 ? p.oq[static_cast<size_t>(th.out)]->b : th.in[0] >= 0 ? p.iq[static_cast<size_t>(th.in[0])]->b : th.own;
        const int64_t done = beats.count_before(T) - th.base;
        if (done <= 0) continue;
        th.last_issue = beats.at(th.base + done - 1).t;
        if (th.start < 0) th.start = beats.at(th.base).t;
        p.slot_free = std::max(p.slot_free, th.last_issue + th.cost);
        if (done >= th.words) finish(p, t, th.last_issue);
    }
}

void Engine::finish(Pe& p, int t, Cycle last) {
    Thread& th = *p.thread[static_cast<size_t>(t)];
    Main& m = p.main;
    th.finished = true;
    m.end = std::max(m.end, last + th.cost);
    if (th.ok_reg >= 0) m.regs[static_cast<size_t>(th.ok_reg)] = {1, last + th.cost, true};
    if (th.synchronous) {
        th.live = false;
        p.live &= ~(1u << t);
        m.last_issue = last;
        m.next_vector = last + th.cost;
        m.next_issue = last + th.cost - 1 + (th.out >= 0 ? 1 : arch_.vector_drain);
        if (th.memory_dst) {
            m.recent[m.recent_next] = {th.start, static_cast<int32_t>(th.low), static_cast<int32_t>(th.high)};
            m.recent_next = (m.recent_next + 1) & 3;
        }
    }
    if (!th.synchronous || th.set.activate >= 0 || th.set.unblock >= 0)
        p.completions.push_back({last + th.cost - 1 + arch_.completion, th.synchronous ? -1 : t, th.set.activate, th.set.unblock});
}

bool Engine::pick(Pe& p, Cycle T) {
    Main& m = p.main;
    if (p.launch) {
        for (size_t i = 0; i < p.launch_args.size(); ++i) m.regs[static_cast<size_t>(p.launch->arg0) + i] = {p.launch_args[i], 0, true};
        m.pc = p.launch->entry;
        p.launch = nullptr;
    } else {
        int best = -1;
        for (uint64_t rest = m.active & ~m.blocked; rest; rest &= rest - 1) {
            const int i = std::countr_zero(rest);
            if (best < 0) {
                best = i;
                continue;
            }
            const Task &a = m.tile->tasks[static_cast<size_t>(i)], &b = m.tile->tasks[static_cast<size_t>(best)];
            const Cycle pa = p.last_pick[static_cast<size_t>(i)], pb = p.last_pick[static_cast<size_t>(best)];
            if (a.priority != b.priority ? a.priority > b.priority : pa != pb ? pa < pb : a.id < b.id) best = i;
        }
        if (best < 0) return false;
        m.active &= ~(UINT64_C(1) << best);
        m.pc = m.tile->tasks[static_cast<size_t>(best)].entry;
        p.last_pick[static_cast<size_t>(best)] = T;
    }
    m.in_task = true;
    m.calls.clear();
    m.next_issue = m.next_vector = T + arch_.task_start;
    m.end = std::max(m.end, T + 1);
    return true;
}

int Engine::microthread(const Pe& p, const Instr& in, const Settings& set) {
    if (set.ut >= 0) return set.ut < arch_.num_uts ? set.ut : 0;
    auto queue = [&](int32_t e, DsdKind kind) {
        const Dsd* d = local_.dsr(p.main, e);
        return d && d->kind == kind ? d->queue : -1;
    };
    int number = queue(in.dst, DsdKind::kFabout);
    if (number < 0) number = queue(in.a, DsdKind::kFabin);
    if (number < 0) number = queue(in.b, DsdKind::kFabin);
    if (number >= 0) return number < arch_.num_uts ? number : 0;
    for (int ut = 0; ut < arch_.num_uts; ++ut)
        if (!(p.live >> ut & 1)) return ut;
    return 0;
}

bool Engine::claimed(const Pe& p, const Instr& in) {
    for (uint32_t rest = p.live; rest; rest &= rest - 1) {
        const Thread& th = *p.thread[static_cast<size_t>(std::countr_zero(rest))];
        for (const int32_t e : {in.a, in.b})
            if (const Dsd* d = local_.dsr(p.main, e); d && d->kind == DsdKind::kFabin && (th.in[0] == d->queue || th.in[1] == d->queue)) return true;
        if (const Dsd* d = local_.dsr(p.main, in.dst); d && d->kind == DsdKind::kFabout && th.out == d->queue) return true;
    }
    const Settings set = local_.settings_of(p.main, in);
    return set.async && (p.live >> microthread(p, in, set) & 1);
}

// A vector op that is not local: with fabric operands, asynchronous, or with a completion.
void Engine::start(Pe& p, const Instr& in, Cycle T) {
    Main& m = p.main;
    const Settings set = local_.settings_of(m, in);
    const int64_t length = local_.vector_length(m, in);
    if (length == kEndless) refuse(p.id, "an op of endless length");
    if (length == 0) {
        if (set.activate >= 0 || set.unblock >= 0) p.completions.push_back({T + arch_.completion, -1, set.activate, set.unblock});
        m.next_issue = m.next_vector = T + 1;
        m.last_issue = T;
        p.slot_free = T + 1;
        m.end = std::max(m.end, T + 1);
        ++m.pc;
        return;
    }
    const int t = set.async ? microthread(p, in, set) : kMainOp;
    auto& holder = p.thread[static_cast<size_t>(t)];
    if (!holder) holder = std::make_unique<Thread>();
    Thread& th = *holder;
    const Cycle last_issue = th.last_issue;
    th = Thread{};
    th.last_issue = last_issue;
    th.live = true;
    th.synchronous = !set.async;
    th.set = set;
    th.words = length;
    th.ok_reg = in.aux;
    const VopCost& rate = arch_.vop[in.type];
    th.pace_num = rate.pace_num;
    th.pace_den = rate.pace_den;
    const bool scalar_dst = kind_of(in.dst) == static_cast<int>(OperandKind::kReg) || kind_of(in.dst) == static_cast<int>(OperandKind::kPtr);
    th.cost = std::max(rate.beat_cycles, scalar_dst ? arch_.scalar_dest : 1);
    if (static_cast<VOp>(in.type) == VOp::kDfilt) refuse(p.id, "dfilt");
    int queue_priority = -1, memory_sources = 0;
    const bool uthigh = arch_.generation == 2;
    for (const int32_t e : {in.dst, in.a, in.b, in.c}) {
        const Dsd* d = local_.dsr(m, e);
        if (!d) continue;
        if (d->index_offset || (e != in.dst && d->kind == DsdKind::kFabout)) refuse(p.id, "INDEX_OFFSET");
        if (d->kind != DsdKind::kMem && d->elem_bytes != 4) refuse(p.id, "16-bit fabric operands");
        if (d->kind == DsdKind::kFabin) {
            th.fabric = true;
            const int slot = th.in[0] < 0 ? 0 : 1;
            InQueue* q = p.iq[static_cast<size_t>(d->queue)].get();
            if (!q) refuse(p.id, "a receive on an input queue that is not initialised");
            th.in[slot] = d->queue;
            th.in_base[slot] = q->cover;
            q->cover += length;
            if (queue_priority < 0) queue_priority = q->priority >= 0 ? q->priority : uthigh ? static_cast<int>(Priority::kUtHigh) : -1;
        }
        if (d->kind == DsdKind::kMem && e != in.dst) ++memory_sources;
        int64_t low, high;
        if (d->kind == DsdKind::kMem) {
            local_.memory_range(*d, length, low, high);
            if (low < 0 || high > arch_.sram_bytes || d->base % 2) refuse(p.id, "a memory operand outside SRAM");
            if (e == in.dst) th.low = low, th.high = high, th.memory_dst = true, local_.vector_writes(m, low, high);
        }
    }
    if (const Dsd* d = local_.dsr(m, in.dst); d && d->kind == DsdKind::kFabout) {
        th.fabric = true;
        auto& holder_q = p.oq[static_cast<size_t>(d->queue)];
        if (!holder_q) holder_q = std::make_unique<OutQueue>();
        OutQueue& q = *holder_q;
        const int c = d->color >= 0 ? d->color : q.color >= 0 ? q.color : 0;
        if (q.ramp_color >= 0 && q.ramp_color != c) refuse(p.id, "several colors on one output queue");
        if (q.ramp_color < 0) {
            for (const auto& other : p.oq)
                if (other && other.get() != &q && other->ramp_color == c) refuse(p.id, "one color on several output queues");
            q.ramp_color = c;
            q.ramp = link(p.id, c, kPortRamp);
        }
        th.out = d->queue;
        th.base = q.pushed;
        if (d->control) {
            if (kind_of(in.a) != static_cast<int>(OperandKind::kImm) && kind_of(in.b) != static_cast<int>(OperandKind::kImm)) {
                const int32_t e = kind_of(in.a) ? in.a : in.b;
                if (kind_of(e) != static_cast<int>(OperandKind::kReg) || !m.regs[static_cast<size_t>(e & 0xffffff)].known) refuse(p.id, "a control wavelet whose payload is not known");
                for (int64_t k = 0; k < length; ++k) q.ramp->specials.push_back({q.pushed + k, static_cast<uint32_t>(m.regs[static_cast<size_t>(e & 0xffffff)].value), false});
            } else {
                for (int64_t k = 0; k < length; ++k) q.ramp->specials.push_back({q.pushed + k, static_cast<uint32_t>(in.imm2), false});
            }
            if (d->advance_switch || set.advance_switch) refuse(p.id, "an advancing op of control wavelets");
        } else if (d->advance_switch || set.advance_switch) {
            q.ramp->specials.push_back({q.pushed + length - 1, 0, true});
        }
        q.pushed += length;
        queue_priority = q.priority >= 0 ? q.priority : q.initialised && uthigh ? static_cast<int>(Priority::kUtHigh) : -1;
    } else if (th.in[0] >= 0) {
        th.base = th.in_base[0];
    }
    if (memory_sources > 1 && th.fabric) refuse(p.id, "two memory sources beside a fabric operand (bank conflicts within a run)");
    if (!th.fabric) {  // a memory op beside live threads
        const int width = local_.width_of(m, in, static_cast<VOp>(in.type));
        for (const int32_t e : {in.dst, in.a, in.b, in.c})
            if (const Dsd* d = local_.dsr(m, e); d && d->ndim > 1) refuse(p.id, "a memory op of several dimensions that shares the slot");
        if (memory_sources > 1) refuse(p.id, "a memory op with two sources that shares the slot");
        th.words = (length + width - 1) / width;
    }
    if (set.save_address) refuse(p.id, "SAVE_ADDRESS of an op with a fabric operand");
    th.priority = set.priority >= 0 ? set.priority : queue_priority >= 0 ? queue_priority : static_cast<int>(Priority::kUtLow);
    if (th.synchronous) {
        th.priority = m.priority;
        th.last_issue = m.last_issue;
    }
    p.live |= 1u << t;
    if (set.async) {
        th.next_beat = T + arch_.ut_start;
        m.next_issue = m.next_vector = T + 1;
        m.last_issue = T;
        p.slot_free = T + 1;
        m.end = std::max(m.end, T + 1);
    } else {
        th.next_beat = T;
    }
    ++m.pc;
}

// One instruction that is not local, issued in cycle T. False: it was a start without a slot, or had to wait.
bool Engine::execute(Pe& p, Cycle T) {
    Main& m = p.main;
    const Instr& in = program_.code[static_cast<size_t>(m.pc)];
    auto done = [&](ArchInt cost) {
        m.last_issue = T;
        p.slot_free = T + 1;
        m.next_issue = m.next_vector = T + arch_.value(cost);
        m.end = std::max(m.end, m.next_issue);
        ++m.pc;
    };
    auto result = [&](uint64_t value, ArchInt cost) { m.regs[static_cast<size_t>(in.dst)] = {value, T + arch_.value(cost), true}; };
    auto the_color = [&]() -> Color& {
        if (in.a >= 0 && (in.op == Op::kRouteSet || in.op == Op::kTeardownExit)) refuse(p.id, "fabric control of a color given in a register");
        Color* c = color(p.id, in.imm);
        if (!c) refuse(p.id, "fabric control of a color without a route");
        const bool reads = in.op == Op::kSwitchGet || in.op == Op::kTeardownGet;
        c->settle(reads ? T : T + 1);
        return *c;
    };
    switch (in.op) {
        case Op::kVop: start(p, in, T); return true;
        case Op::kTimestamp:
            result(static_cast<uint64_t>(T), ArchInt::kCostTimestamp);
            done(ArchInt::kCostTimestamp);
            return true;
        case Op::kRouteSet: {
            Color& c = the_color();
            c.route = &program_.routes[static_cast<size_t>(in.imm2)];
            c.position = c.route->initial;
            c.teardown = c.route->teardown;
            break;
        }
        case Op::kSwitchSet: {
            Color& c = the_color();
            if (in.a >= 0 && !m.regs[static_cast<size_t>(in.a)].known) refuse(p.id, "a switch position that depends on data");
            const uint64_t to = in.a < 0 ? static_cast<uint64_t>(in.imm2) : m.regs[static_cast<size_t>(in.a)].value;
            c.position = static_cast<int>(std::min<uint64_t>(to, static_cast<uint64_t>(c.route->num_positions - 1)));
            break;
        }
        case Op::kSwitchGet: result(static_cast<uint64_t>(the_color().position), ArchInt::kCostConfig); break;
        case Op::kTeardownGet: result(the_color().teardown, ArchInt::kCostConfig); break;
        case Op::kTeardownExit: the_color().teardown = false; break;
        default: refuse(p.id, "instruction " + std::to_string(static_cast<int>(in.op)) + " (not executed by this prototype)");
    }
    if (in.op == Op::kRouteSet || in.op == Op::kSwitchSet || in.op == Op::kTeardownExit) the_color().changed = T, routers_.wake(p.id, T + 1);
    done(ArchInt::kCostConfig);
    return true;
}

// Predicts all beats and ramp moves from cycle T on. Returns the cycle in which the main thread gets its slot.
Cycle Engine::predict(Pe& p, Cycle T, Cycle main_from) {
    static thread_local Server servers[24];
    int n = 0;
    static thread_local std::vector<std::pair<Seq*, Seq>> before;
    before.clear();
    auto forget = [&](Seq& s) {
        before.push_back({&s, {}});
        s.truncate(T, &before.back().second);
    };
    for (auto& q : p.oq) {
        if (!q || !q->ramp) continue;
        if (q->ramp->a.count_before(T) == q->pushed) continue;
        forget(q->b);
        forget(q->ramp->a);
    }
    for (uint32_t rest = p.live; rest; rest &= rest - 1) {
        Thread& th = *p.thread[static_cast<size_t>(std::countr_zero(rest))];
        if (th.finished) continue;
        for (const int in : th.in)
            if (in >= 0) forget(p.iq[static_cast<size_t>(in)]->b);
        if (!th.fabric) th.own.truncate(T, nullptr);
    }
    // The ramp: one move per cycle.
    for (size_t i = 0; i < 8; ++i) {
        OutQueue* q = p.oq[i].get();
        if (!q || !q->ramp || q->ramp->a.end() == q->pushed) continue;
        Server& s = servers[n];
        s = {};
        s.id = n++;
        s.phase = 0;
        s.k = q->ramp->a.end();
        s.k_end = q->pushed;
        s.mask = 2;
        s.tie = static_cast<int>(i);
        s.last = std::max<Cycle>(q->ramp->a.last(), -1);
        s.floor = q->ramp->a.last() + 1;
        s.min_next = std::max(T, q->ramp->a.last() + 1);
        s.out[0] = &q->ramp->a;
        s.add({&q->b, 0, arch_.fabric_write, ConKind::kData, INT64_MAX});
        s.add({&q->ramp->d, -arch_.ramp_buffer, arch_.ramp_out, ConKind::kCredit, q->ramp->blocked});
        s.add({&q->ramp->a, -arch_.ramp_buffer, 2 * arch_.ramp_out, ConKind::kSelf, INT64_MAX});
    }
    // The issue slot: threads, and one instruction of the main thread.
    std::array<int, 9> server_of;
    server_of.fill(-1);
    for (uint32_t rest = p.live; rest; rest &= rest - 1) {
        const int t = std::countr_zero(rest);
        Thread& th = *p.thread[static_cast<size_t>(t)];
        if (th.finished) continue;
        Server& s = servers[n];
        s = {};
        server_of[static_cast<size_t>(t)] = n;
        s.id = n++;
        s.phase = 1;
        s.mask = 1;
        s.prio = th.priority;
        s.tie = t == kMainOp ? -1 : t;
        s.last = th.last_issue;
        s.cost = th.cost;
        s.start = th.start;
        s.pace_num = th.pace_num;
        s.pace_den = th.pace_den;
        s.floor = std::max({th.next_beat, p.slot_free, th.last_issue + th.cost});
        int outs = 0;
        Seq& lead = th.out >= 0 ? p.oq[static_cast<size_t>(th.out)]->b : th.in[0] >= 0 ? p.iq[static_cast<size_t>(th.in[0])]->b : th.own;
        s.k = lead.end();
        if (s.k < th.base) refuse(p.id, "an op starts before the words of the one before it have passed");
        s.k_end = th.base + th.words;
        s.beats = s.k - th.base;
        s.min_next = std::max(T, th.next_beat);
        if (s.beats > 0) s.min_next = std::max({T, th.last_issue + th.cost, th.start + s.beats * th.pace_num / th.pace_den});
        if (th.out >= 0) {
            OutQueue& q = *p.oq[static_cast<size_t>(th.out)];
            s.out[outs++] = &q.b;
            s.add({&q.ramp->a, -static_cast<int64_t>(arch_.oq_depth[th.out]), 0, ConKind::kData, INT64_MAX});
        }
        if (!th.fabric) s.out[outs++] = &th.own;
        for (int i = 0; i < 2; ++i) {
            if (th.in[i] < 0) continue;
            InQueue& q = *p.iq[static_cast<size_t>(th.in[i])];
            s.flag_con[outs] = s.num_con;
            s.out[outs++] = &q.b;
            s.add({&q.a, th.in_base[i] - th.base, arch_.ramp_in, ConKind::kData, INT64_MAX});
        }
    }
    int main_server = -1;
    Cycle main_at = kForever;
    if (main_from < kForever) {
        Server& s = servers[n];
        s = {};
        main_server = n;
        s.id = n++;
        s.phase = 1;
        s.mask = 1;
        s.prio = p.main.priority;
        s.tie = -1;
        s.last = p.main.last_issue;
        s.k_end = 1;
        s.min_next = std::max(T, main_from);
    }
    loop_.words = loop_.leaps = 0;
    loop_.busy = kMinus;
    for (const auto& q : p.oq)
        if (q && q->ramp) loop_.busy = std::max(loop_.busy, q->ramp->a.at(q->ramp->a.count_before(T) - 1).t);
    loop_.run(servers, n, T, p.slot_free, [&](Server& s, Cycle t) {
        if (s.id == main_server) main_at = t;
    });
    figures.words += loop_.words;
    figures.leaps += loop_.leaps;
    // Tell the router what changed: arrivals at the ramp, and credits of the input queues.
    for (auto& [seq, was] : before) {
        bool is_ramp = false, is_iq = false;
        InQueue* iq = nullptr;
        for (auto& q : p.oq)
            if (q && q->ramp && seq == &q->ramp->a) is_ramp = true;
        for (auto& q : p.iq)
            if (q && seq == &q->b) is_iq = true, iq = q.get();
        if (is_ramp) {
            const Difference d = difference(was, *seq, seq->count_before(T), false);
            if (d.k >= 0) routers_.wake(p.id, std::max(d.t, T) + arch_.ramp_out);
        }
        if (!is_iq) continue;
        figures.max_segments = std::max<uint64_t>(figures.max_segments, seq->num_segments());
        const int64_t was_blocked = iq->blocked;
        iq->blocked = iq->b.end() < std::min(iq->a.end(), iq->cover) ? iq->b.end() : iq->cover;
        Difference d = difference(was, *seq, seq->count_before(T), true);
        if (was_blocked != iq->blocked) {
            const int64_t k = std::min(was_blocked, iq->blocked);
            if (d.k < 0 || k < d.k) d = {k, kForever};
        }
        if (d.k < 0) continue;
        const Seq::Value a = iq->a.at(d.k);
        // Words that nobody has sent yet will find the credit when they come.
        const Cycle t = std::min(d.t, a.known ? a.t + arch_.ramp_in : kForever);
        bool waits = false;
        if (const Color* c = color(p.id, iq->color))
            for (const auto& f : c->fifo) waits = waits || (f && f->blocked < INT64_MAX);
        const auto q = static_cast<int>(std::find_if(p.iq.begin(), p.iq.end(), [&](const auto& i) { return i.get() == iq; }) - p.iq.begin());
        if (!waits && iq->a.end() <= d.k + arch_.iq_capacity(q)) continue;
        routers_.wake(p.id, std::max(t >= kForever ? T : t, T) + 1);
    }
    // Wake for what is due: ends of ops, the main thread's slot.
    for (uint32_t rest = p.live; rest; rest &= rest - 1) {
        const int t = std::countr_zero(rest);
        Thread& th = *p.thread[static_cast<size_t>(t)];
        if (th.finished || server_of[static_cast<size_t>(t)] < 0) continue;
        const Server& s = servers[server_of[static_cast<size_t>(t)]];
        if (s.k == s.k_end) ces_.wake(p.id, std::max(T + 1, s.last + th.cost - (th.synchronous ? 0 : 1) + (th.synchronous ? 0 : arch_.completion)));
    }
    if (main_at < kForever && main_at > T) ces_.wake(p.id, main_at);
    return main_at;
}

void Engine::step(Pe& p, Cycle T) {
    Main& m = p.main;
    ++figures.pe_events;
    if (T < p.ahead) {  // the main thread is alone and further on
        if (p.dirty) p.dirty = false, predict(p, T, kForever);  // its queues may still drain
        ces_.wake(p.id, p.ahead);
        return;
    }
    sync(p, T);
    size_t kept = 0;
    for (size_t i = 0; i < p.completions.size(); ++i) {
        const Completion c = p.completions[i];
        if (c.when > T) {
            p.completions[kept++] = c;
            continue;
        }
        m.end = std::max(m.end, c.when + 1);
        if (c.activate >= 0)
            if (const int task = m.tile->local_task[static_cast<size_t>(c.activate)]; task >= 0) m.active |= UINT64_C(1) << task;
        if (c.unblock >= 0)
            if (const int task = m.tile->local_task[static_cast<size_t>(c.unblock)]; task >= 0) m.blocked &= ~(UINT64_C(1) << task);
        if (c.thread >= 0) {
            p.thread[static_cast<size_t>(c.thread)]->live = false;
            p.live &= ~(1u << c.thread);
        }
    }
    p.completions.resize(kept);
    bool dirty = p.dirty;
    p.dirty = false;
    auto drop_pending = [&] {  // the other threads got in between: run the block up to now instead
        const Cycle before = m.last_issue;
        local_.run(m, p.pending_start, T, p.slot_free);
        if (m.last_issue != before && m.last_issue >= T) refuse(p.id, "a memory op that a thread's words interrupt");
        p.slot_free = std::max(p.slot_free, m.last_issue + 1);
        p.pending = nullptr;
        ++figures.rolled_back;
        dirty = true;
    };
    if (p.pending && T >= p.pending_start + p.pending->stop) {
        local_.commit(m, *p.pending, p.pending_start);
        p.pending = nullptr;
    }
    auto first_beat = [&] {  // earliest beat of any thread from now on, as predicted
        Cycle first = kForever;
        for (uint32_t rest = p.live; rest; rest &= rest - 1) {
            Thread& th = *p.thread[static_cast<size_t>(std::countr_zero(rest))];
            if (th.finished) continue;
            const Seq& b = th.out >= 0 ? p.oq[static_cast<size_t>(th.out)]->b : th.in[0] >= 0 ? p.iq[static_cast<size_t>(th.in[0])]->b : th.own;
            const int64_t next = b.count_before(T);
            if (next < b.end()) first = std::min(first, b.at(next).t);
        }
        return first;
    };
    bool stopped = false, defer = true;
    for (int guard = 0; guard < 64; ++guard) {
        if (!p.pending && !m.in_task && T >= m.free_at && pick(p, T)) dirty = true;
        if (p.pending) {
            const Cycle stop = p.pending_start + p.pending->stop;
            const Cycle at = predict(p, T, kForever);
            (void)at;
            const Cycle first = first_beat();
            if (first >= stop) {
                ces_.wake(p.id, stop);
                stopped = true;
                break;
            }
            drop_pending();
            defer = false;
            continue;
        }
        if (!m.in_task) {
            if (dirty || p.live) predict(p, T, kForever);
            stopped = true;
            break;
        }
        if (p.live >> kMainOp & 1) {
            predict(p, T, kForever);
            stopped = true;
            break;
        }
        const bool local = local_.is_local(m);
        const Cycle from = std::max(local_.ready_from(m, T), T);
        const bool alone = !p.live && p.completions.empty();
        if (local) {
            const Cycle at = std::max(from, p.slot_free);
            const Block* b = local_.block(m, at);
            if (alone) {
                if (b) local_.commit(m, *b, at), p.ahead = at + b->stop;
                else {
                    local_.run(m, T, kForever, p.slot_free);
                    p.ahead = m.in_task ? std::max(local_.ready_from(m, m.last_issue + 1), m.last_issue + 1) : m.free_at;
                }
                p.slot_free = m.last_issue + 1;
                if (m.in_task) p.slot_free = std::max(p.slot_free, m.next_vector < m.next_issue ? m.next_vector : p.slot_free);
                if (m.done) p.open -= m.done, open -= m.done, m.done = 0;
                if (p.ahead > T) {
                    ces_.wake(p.id, p.ahead);
                    predict(p, T, kForever);
                    stopped = true;
                    break;
                }
                continue;
            }
            if (b && b->instructions > 2 && defer && first_beat() >= at + b->stop) {
                p.pending = b;
                p.pending_start = at;
                ++figures.deferred;
                continue;
            }
        }
        if (program_.code[static_cast<size_t>(m.pc)].op == Op::kVop) {
            if (from <= T && claimed(p, program_.code[static_cast<size_t>(m.pc)])) {
                predict(p, T, kForever);  // the claim's end wakes us
                stopped = true;
                break;
            }
            const Instr& in = program_.code[static_cast<size_t>(m.pc)];
            if (!local_.settings_of(m, in).async && local_.vector_length(m, in) > 0) {
                if (T < std::max(from, p.slot_free)) {
                    ces_.wake(p.id, std::max(from, p.slot_free));
                    predict(p, T, kForever);
                    stopped = true;
                    break;
                }
                start(p, in, T);  // takes no slot; its first beat competes in this cycle
                continue;
            }
        }
        const Cycle at = predict(p, T, from);
        if (at > T) {
            stopped = true;
            break;
        }
        ++figures.main_steps;
        if (local) {
            local_.execute(m, program_.code[static_cast<size_t>(m.pc)], T);
            p.slot_free = T + 1;
            if (m.done) p.open -= m.done, open -= m.done, m.done = 0;
        } else {
            execute(p, T);
        }
        dirty = true;
        if (!m.in_task) {
            predict(p, T, kForever);
            stopped = true;
            break;
        }
    }
    if (!stopped) refuse(p.id, "internal: no progress");
    for (const Completion& c : p.completions) ces_.wake(p.id, std::max(c.when, T + 1));
    if (!p.pending && !m.in_task && (p.launch || (m.active & ~m.blocked) || m.free_at > T)) ces_.wake(p.id, std::max(m.free_at, T + 1));
}

}  // namespace wafersim::stream
