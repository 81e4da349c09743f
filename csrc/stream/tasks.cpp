// Which task the main thread picks next: launches, local tasks, and those that the word at the head of a queue starts.
#include <algorithm>
#include <bit>

#include "stream/element.hpp"

namespace wafersim::stream {
namespace {

// What may change a situation of the main thread (`Mains::change`), in the low bits of the key.
enum ChangeKind : uint64_t { kPick = 1, kLaunched };

}  // namespace

// Cycle from which a task can take the word at the head of a queue, kForever if none can.
Cycle Element::head(const Node& n, int number, int& task) const {
    const InQueue* q = n.iq[static_cast<size_t>(number)];
    const int data = tile(n).data_task[static_cast<size_t>(number)];
    task = -1;
    if (!q || (data < 0 && q->specials.empty())) return kForever;
    const int64_t k = q->b.end();
    Cycle behind = kMinus;  // the words of an op, which has the queue until it is complete
    for (uint32_t rest = n.live; rest; rest &= rest - 1) {
        const Thread& th = *n.thread[static_cast<size_t>(std::countr_zero(rest))];
        if (th.in[0] != number && th.in[1] != number) continue;
        if (std::none_of(q->specials.begin(), q->specials.end(), [&](const Special& s) { return s.k == k; }) ||
            (!th.finished && k < th.in_base[th.in[0] == number ? 0 : 1] + th.words))
            return kForever;
        behind = std::max(behind, q->b.last() + 1);
    }
    const Seq::Value v = q->a.at(k);
    if (!v.known) return kForever;
    task = data;
    for (const Special& s : q->specials)
        if (s.k == k) task = tile(n).control_task[s.payload >> 16 & 63];
    const bool control = task != data || task < 0;
    if (task < 0 && std::none_of(q->specials.begin(), q->specials.end(), [&](const Special& s) { return s.k == k; }))
        return kForever;  // it waits for an op
    if (control && data >= 0 && (n.blocked >> data & 1)) return kForever;
    if (task >= 0 && (n.blocked >> task & 1)) return kForever;
    return std::max(behind, v.t <= kMinus ? kMinus : v.t + arch_.ramp_in);
}

// Cycle from which there is something to pick, as far as it is known.
Cycle Element::next_pick(const Node& n) const {
    if (!n.launches.empty() || (n.active & ~n.blocked)) return kMinus;
    Cycle next = kForever;
    int task = -1;
    for (int q = 0; q < 8; ++q) next = std::min(next, head(n, q, task));
    return next;
}

bool Element::before(const Node& n, int a, int b) const {
    const Task &first = tile(n).tasks[static_cast<size_t>(a)], &second = tile(n).tasks[static_cast<size_t>(b)];
    const bool high = n.high >> a & 1, other = n.high >> b & 1;
    if (high != other) return high;
    const Cycle pa = n.last_pick[static_cast<size_t>(a)], pb = n.last_pick[static_cast<size_t>(b)];
    if (pa != pb) return pa < pb;
    return first.id != second.id ? first.id < second.id : first.kind < second.kind;
}

// The task to be picked in cycle T, -1 if none; `queue`: where its word is, -1 for a local task.
int Element::best_task(const Node& n, Cycle T, int& queue) const {
    int best = -1;
    queue = -1;
    for (uint64_t rest = n.active & ~n.blocked; rest; rest &= rest - 1)
        if (const int i = std::countr_zero(rest); best < 0 || before(n, i, best)) best = i;
    for (int q = 0; q < 8; ++q) {
        int task = -1;
        if (head(n, q, task) > T) continue;
        if (task < 0) throw Refused("a control wavelet that names a control task which is not bound");
        if (best < 0 || before(n, task, best)) best = task, queue = q;
    }
    return best;
}

void Element::pick_launch(Node& n, Cycle T) {
    const Launch& launch = launches[static_cast<size_t>(n.launches.front())];
    n.launches.erase(n.launches.begin());
    const Function* function = nullptr;
    for (const Function& f : tile(n).functions)
        if (f.number == launch.function) function = &f;
    for (size_t i = 0; i < launch.args.size(); ++i) set_reg(function->arg0 + static_cast<int32_t>(i), launch.args[i]);
    const auto first = static_cast<size_t>(function->arg0), args = launch.args.size();
    mains_.change(n, T, kLaunched | static_cast<uint64_t>(args) << 8 | static_cast<uint64_t>(first) << 24,
                  [&](Main& m, Cycle) {
                      for (size_t i = 0; i < args; ++i) m.regs[first + i] = {0, m.regs[first + i].ready, true};
                  });
    begin(n, T, function->entry, nullptr, false);
}

// The word at the head of a queue goes to a task; its payload, if it is a control wavelet.
uint32_t Element::take_head(Node& n, int number, Cycle T) {
    InQueue& q = *n.iq[static_cast<size_t>(number)];
    const int64_t k = q.b.end();
    const Seq::Value v = q.a.at(k);
    Seq was;
    was.start_at(k);
    q.b.forget_before(T - keep_);
    q.b.append(T, v.t > kMinus && T > v.t + arch_.ramp_in);
    ++q.cover;
    if (values) word_ = values->take(n, q, k, T);
    uint32_t payload = 0;
    for (const Special& s : q.specials)
        if (s.k == k) payload = s.payload;
    std::erase_if(q.specials, [&](const Special& s) { return s.k <= k; });
    tell_credit(n, q, number, was, T);
    return payload;
}

bool Element::pick(Node& n, Cycle T) {
    if (!n.launches.empty()) return pick_launch(n, T), true;
    int queue = -1;
    const int best = best_task(n, T, queue);
    if (best < 0) return false;
    const Task& task = tile(n).tasks[static_cast<size_t>(best)];
    if (queue < 0) {
        n.active &= ~(UINT64_C(1) << best);
    } else {
        uint32_t payload = take_head(n, queue, T);
        if (task.kind == TaskKind::kData) payload = values ? word_ : 0;
        const bool whole = task.nargs == 1 && task.kind == TaskKind::kData;
        if (task.nargs > 0) set_reg(task.arg0, whole ? payload : payload & 0xffff);
        if (task.nargs > 1) set_reg(task.arg1, payload >> 16);
    }
    n.last_pick[static_cast<size_t>(best)] = T;
    begin(n, T, task.entry, queue < 0 ? nullptr : &task, task.kind != TaskKind::kData);
    return true;
}

// The first instruction of a task may issue `task_start` later. `fed`: its arguments came in a word.
void Element::begin(Node& n, Cycle T, int32_t entry, const Task* fed, bool known) {
    const uint64_t key =
        kPick | static_cast<uint64_t>(entry) << 8 | (fed ? (known ? 2u : 1u) : 0u) * (UINT64_C(1) << 48);
    mains_.change(n, T, key, [&](Main& m, Cycle now) {
        m.in_task = true;
        m.pc = entry;
        m.calls.clear();
        m.next_issue = m.next_vector = now + arch_.task_start;
        if (!fed) return;
        for (const int32_t r : {fed->nargs > 0 ? fed->arg0 : -1, fed->nargs > 1 ? fed->arg1 : -1})
            if (r >= 0) m.regs[static_cast<size_t>(r)] = {0, m.regs[static_cast<size_t>(r)].ready, known};
    });
    n.end = std::max(n.end, T + 1);
}

void Element::complete(Node& n, Cycle T) {
    size_t kept = 0;
    for (size_t i = 0; i < n.completions.size(); ++i) {
        const Completion c = n.completions[i];
        if (c.when > T) {
            n.completions[kept++] = c;
            continue;
        }
        n.end = std::max(n.end, c.when + 1);
        if (c.activate >= 0)
            if (const int task = tile(n).local_task[static_cast<size_t>(c.activate)]; task >= 0)
                n.active |= UINT64_C(1) << task;
        if (c.unblock >= 0) n.blocked &= ~local_.tasks_named(n.tile, BlockSpace::kTask, c.unblock);
        if (c.thread >= 0) {
            n.thread[static_cast<size_t>(c.thread)]->live = false;
            n.live = static_cast<uint16_t>(n.live & ~(1u << c.thread));
        }
    }
    n.completions.resize(kept);
}

}  // namespace wafersim::stream
