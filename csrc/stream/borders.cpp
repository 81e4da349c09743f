// What a PE says: heard by another one of its strip in the same cycle, or by another strip behind the barrier.
#include <algorithm>
#include <utility>

#include "stream/engine.hpp"

namespace wafersim::stream {

void Engine::deliver(uint32_t pe, int port, Message&& message) {
    ++figures.hears;
    const uint32_t other = heard_by(pe, port);
    const int to = neighbor_strip(other, port);
    if (to == strip_) return spoken_.push_back({other, std::move(message)}), void();
    crossed_ = true;
    Outbox& box = outboxes_[set_][static_cast<size_t>(to)];
    box.own.push_back(std::move(message));
    box.said.push_back({other, Outbox::kNoNumber, &box.own.back()});
}

void Engine::deliver_across(uint32_t other, int to, uint32_t message) {
    crossed_ = true;
    outboxes_[set_][static_cast<size_t>(to)].said.push_back({other, message, &memo_->message(message)});
}

void Engine::turn_outboxes(size_t set) {
    set_ = set;
    for (Outbox& box : outboxes_[set_]) box.clear(), box.memo = memo_number_;
    crossed_ = false;
}

// From now on numbers are those of another memo; nothing has been said in this cycle.
void Engine::change_memo(std::unique_ptr<Memo> fresh) {
    old_memo_ = std::exchange(memo_, std::move(fresh));
    ++memo_number_;
    for (Outbox& box : outboxes_[set_]) box.memo = memo_number_;
}

void Engine::hear_others(const Engine& from, size_t set) {
    const Outbox& box = from.outboxes_[set][static_cast<size_t>(strip_)];
    ForeignNumbers& known = foreign_[static_cast<size_t>(from.strip_)];
    if (known.memo != box.memo) known.memo = box.memo, known.number.clear();
    for (const Outbox::Entry& said : box.said) {
        if (memo_)
            tell(said.pe, number_of(said, known), now_);
        else
            hear(said.pe, *said.message, now_);
    }
}

uint32_t Engine::number_of(const Outbox::Entry& said, ForeignNumbers& known) {
    if (said.number == Outbox::kNoNumber) return memo_->message(*said.message);
    if (said.number >= known.number.size()) known.number.resize(said.number + 1, Outbox::kNoNumber);
    uint32_t& number = known.number[said.number];
    if (number == Outbox::kNoNumber) number = memo_->message(*said.message);
    return number;
}

// A fresh memo takes over the messages that others say by their numbers.
void Engine::keep_foreign(Memo& fresh) {
    for (ForeignNumbers& known : foreign_)
        for (uint32_t& number : known.number)
            if (number != Outbox::kNoNumber) number = fresh.message(memo_->message(number));
}

void Engine::feed(uint32_t pe, int port, int color, const HostWords& words, Cycle now) {
    if (words.payloads.empty()) return;
    forget_situations();
    Node& n = nodes_[pe];
    RunRef run;
    if (values_) {
        run = RunRef(new Run);
        run->pe = pe;
        run->crosses = shared_.strips > 1;
        run->word.reset(new uint32_t[words.payloads.size()]);
        std::copy(words.payloads.begin(), words.payloads.end(), run->word.get());
        run->filled = static_cast<int64_t>(words.payloads.size());
    }
    try {
        if (port == kPortRamp)
            element_.feed(n, color, words, run, now);
        else
            router_.feed(n, port, color, words, run, now);
    } catch (const Refused& r) {
        throw Refused(placed(pe, r), r.line);
    }
    wake(pe, n);
}

int64_t Engine::arrived(uint32_t pe, int port, int color, Cycle now) const {
    return memo_ ? 0 : router_.arrived(nodes_[pe], port, color, now);
}

void Engine::begin_values(Cycle t) {
    values_->begin(t);
    if (t >= kForever)
        shared_.each_of(strip_, [&](uint32_t pe) { values_->add(pe); });
    else
        for (const uint32_t pe : queue_.bucket(t))
            if (nodes_[pe].next() <= t) values_->add(pe);
}

void Engine::try_values(std::span<const uint32_t> asked, size_t set) {
    try {
        values_->try_all(asked, set);
    } catch (const Refused& r) {
        fail(0, 0, now_, r);
    }
}

}  // namespace wafersim::stream
