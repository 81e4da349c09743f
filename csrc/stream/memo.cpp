#include "stream/memo.hpp"

#include <cstring>
#include <functional>

namespace wafersim::stream {
namespace {

constexpr size_t kPiece = size_t{1} << 20;

template <typename T>
void put(std::string& key, T v) {
    key.append(reinterpret_cast<const char*>(&v), sizeof v);
}

}  // namespace

Memo::Memo() : slots_(1 << 12), visits_(1), chains_(1), heard_(1 << 12) {}

const char* Memo::keep(std::string_view bytes) {
    if (pieces_.empty() || piece_used_ + bytes.size() > kPiece) {
        pieces_.push_back(std::make_unique<char[]>(std::max(kPiece, bytes.size())));
        piece_used_ = 0;
    }
    char* at = pieces_.back().get() + piece_used_;
    std::memcpy(at, bytes.data(), bytes.size());
    piece_used_ += bytes.size();
    kept_ += bytes.size();
    return at;
}

void Memo::grow_situations() {
    slots_.assign(2 * slots_.size(), 0);
    const size_t mask = slots_.size() - 1;
    for (size_t i = 0; i < situations_.size(); ++i) {
        size_t at = situations_[i].hash & mask;
        while (slots_[at]) at = (at + 1) & mask;
        slots_[at] = static_cast<uint32_t>(i) + 1;
    }
}

uint32_t Memo::find(std::string_view bytes, const Situation& like) {
    const auto hash = static_cast<uint32_t>(std::hash<std::string_view>{}(bytes));
    size_t mask = slots_.size() - 1, at = hash & mask;
    for (; slots_[at]; at = (at + 1) & mask) {
        const Situation& s = situations_[slots_[at] - 1];
        if (s.hash == hash && s.length == bytes.size() && std::memcmp(s.bytes, bytes.data(), bytes.size()) == 0)
            return slots_[at] - 1;
    }
    Situation s = like;
    s.hash = hash;
    s.length = static_cast<uint32_t>(bytes.size());
    s.bytes = keep(bytes);
    situations_.push_back(s);
    num_chains_.push_back(0);
    slots_[at] = static_cast<uint32_t>(situations_.size());
    if (2 * situations_.size() > slots_.size()) grow_situations();
    return static_cast<uint32_t>(situations_.size()) - 1;
}

bool Memo::play(const Visit& v, Cycle T, Mains& mains, uint8_t* cells) {
    if (v.tape >= 0) {
        const Tape& tape = tapes_[static_cast<size_t>(v.tape)];
        if (!matches(tape, cells, values_)) return false;
        commit(tape, values_, cells);
        return true;
    }
    const Step* s = steps_.data() + v.first_step;
    for (const Step* end = s + v.num_steps; s != end; ++s) {
        uint64_t value = 0;
        switch (s->kind) {
            case Step::Kind::kChoose:
                if (!mains.chosen(s->value, cells)) return false;
                break;
            case Step::Kind::kEnter:
                mains.set_values(s->value, cells);
                break;
            case Step::Kind::kRun:
                if (!mains.run(s->value, cells)) return false;
                break;
            case Step::Kind::kRegister:
                std::memcpy(&value, cells + 8 * s->at, 8);
                if (value != s->value) return false;
                break;
            case Step::Kind::kInside:
                std::memcpy(&value, cells + 8 * s->at, 8);
                if (static_cast<uint16_t>(value + s->value) >= mains.sram_bytes()) return false;
                break;
            case Step::Kind::kBytes:
                std::memcpy(&value, cells + s->at, static_cast<size_t>(s->bytes));
                if (value != s->value) return false;
                break;
            case Step::Kind::kSet:
                std::memcpy(cells + 8 * s->at, &s->value, 8);
                break;
            case Step::Kind::kClock:
                value = clock_value(T, s->bytes);
                std::memcpy(cells + 8 * s->at, &value, 8);
                break;
        }
    }
    return true;
}

int32_t Memo::play(uint32_t from, Cycle T, Mains& mains, uint8_t* cells, size_t num_cells) {
    int32_t i = situations_[from].visits;
    while (i) {
        const Visit& v = visits_[static_cast<size_t>(i)];
        if (v.copies) saved_.assign(cells, cells + num_cells);
        if (play(v, T, mains, cells)) break;
        if (v.copies) std::memcpy(cells, saved_.data(), num_cells);
        i = v.next;
    }
    return i;
}

// The same tape stands behind many visits.
int32_t Memo::keep_tape(Tape tape) {
    std::string key;
    for (const Term& t : tape.terms) {
        put(key, t.kind), put(key, t.op), put(key, t.type), put(key, t.imm), put(key, t.bytes), put(key, t.guard);
        put(key, t.guard ? t.value : 0);
        for (size_t o = 0; o < 3; ++o) put(key, t.operand[o]), put(key, t.operand[o] < 0 ? t.constant[o] : 0);
    }
    put(key, tape.terms.size());
    for (const CellWrite& w : tape.writes) put(key, w.at), put(key, w.bytes), put(key, w.term), put(key, w.constant);
    const auto [it, fresh] = tape_ids_.try_emplace(std::move(key), static_cast<int32_t>(tapes_.size()));
    if (!fresh) return it->second;
    tape_bytes_ += sizeof(Tape) + 2 * it->first.size() +
                   3 * (tape.terms.size() * sizeof(Term) + tape.writes.size() * sizeof(CellWrite));
    tapes_.push_back(std::move(tape));
    return it->second;
}

// Of a script; -1: it neither asks for values nor changes any. The same one is behind many visits.
int32_t Memo::tape_of(const std::vector<Step>& steps, const Mains& mains) {
    if (steps.empty()) return -1;
    std::string key;
    for (const Step& s : steps) put(key, s.kind), put(key, s.bytes), put(key, s.at), put(key, s.value);
    const auto [it, fresh] = composed_.try_emplace(std::move(key), kNoTape);
    if (!fresh) return it->second;
    tape_bytes_ += 2 * it->first.size();
    Tape tape;
    if (compose(steps, mains, tape)) it->second = tape.empty() ? -1 : keep_tape(std::move(tape));
    return it->second;
}

int32_t Memo::tape_of(const std::vector<Part>& parts, const std::vector<int32_t>& cleared) {
    if (parts.empty()) return -1;
    std::string key;
    for (const Part& p : parts) put(key, p.tape), put(key, p.guards), put(key, p.writes);
    for (const int32_t r : cleared) put(key, r);
    put(key, cleared.size());
    const auto [it, fresh] = of_parts_.try_emplace(std::move(key), kNoTape);
    if (!fresh) return it->second;
    std::vector<TapePart> tapes;
    for (const Part& p : parts) tapes.push_back({&tape(p.tape), p.guards, p.writes});
    Tape all;
    if (compose(tapes, all, cleared)) it->second = all.empty() ? -1 : keep_tape(std::move(all));
    return it->second;
}

int32_t Memo::add(uint32_t from, Visit v, const std::vector<Step>& steps, const std::vector<Said>& said,
                  const Mains& mains) {
    v.next = situations_[from].visits;
    v.first_step = static_cast<int32_t>(steps_.size()), v.num_steps = static_cast<int32_t>(steps.size());
    v.first_said = static_cast<int32_t>(said_.size()), v.num_said = static_cast<int32_t>(said.size());
    const int32_t tape = tape_of(steps, mains);
    v.quiet = said.empty() && !v.done && tape != kNoTape;
    if (tape != kNoTape) {
        v.num_steps = 0;
        v.tape = tape;
    } else {
        steps_.insert(steps_.end(), steps.begin(), steps.end());
    }
    said_.insert(said_.end(), said.begin(), said.end());
    bool written = false;
    v.copies = false;
    for (const Step& s : steps) {
        if (!v.num_steps) break;
        v.copies = v.copies || (written && s.reads());
        written = written || s.writes();
    }
    situations_[from].visits = static_cast<int32_t>(visits_.size());
    visits_.push_back(v);
    return static_cast<int32_t>(visits_.size()) - 1;
}

uint32_t Memo::message(const Message& m) {
    std::string key;
    put(key, m.credit), put(key, m.color), put(key, m.port), put(key, m.wake);
    put(key, m.from), put(key, m.first_change), put(key, m.blocked), put(key, m.words.size());
    auto segment = [&](const Seg& g) {
        put(key, g.t), put(key, g.n), put(key, g.n > 1 ? int32_t{g.gap} : 0),
            put(key, static_cast<uint32_t>(g.restricted));
    };
    for (const Seg& g : m.words.segments()) segment(g);
    for (const Special& s : m.specials) put(key, s.k), put(key, s.payload), put(key, s.advance);
    put(key, m.held.size());
    for (const Message::Held& h : m.held) put(key, h.k), segment(h.seg);
    const auto [it, fresh] = message_ids_.try_emplace(std::move(key), static_cast<uint32_t>(messages_.size()));
    if (fresh) messages_.push_back(m);
    return it->second;
}

void Memo::grow_heard() {
    std::vector<Heard> old(2 * heard_.size());
    old.swap(heard_);
    const size_t mask = heard_.size() - 1;
    for (const Heard& h : old) {
        if (h.key == UINT64_MAX) continue;
        size_t at = mix(mix(h.key) + static_cast<uint64_t>(h.dt)) & mask;
        while (heard_[at].key != UINT64_MAX) at = (at + 1) & mask;
        heard_[at] = h;
    }
}

Memo::Heard& Memo::heard(uint32_t from, uint32_t message, Cycle dt) {
    if (2 * num_heard_ >= heard_.size()) grow_heard();
    const uint64_t key = static_cast<uint64_t>(from) << 32 | message;
    const size_t mask = heard_.size() - 1;
    size_t at = mix(mix(key) + static_cast<uint64_t>(dt)) & mask;
    for (; heard_[at].key != UINT64_MAX; at = (at + 1) & mask)
        if (heard_[at].key == key && heard_[at].dt == dt) return heard_[at];
    heard_[at] = {key, dt, kNowhere, 0};
    ++num_heard_;
    return heard_[at];
}

// What has been touched: the room that vectors have to grow has not.
size_t Memo::bytes() const {
    return situations_.size() * (sizeof(Situation) + 1) + slots_.size() * sizeof(uint32_t) +
           visits_.size() * sizeof(Visit) + chains_.size() * sizeof(Chain) + steps_.size() * sizeof(Step) +
           tape_bytes_ + said_.size() * sizeof(Said) + heard_.size() * sizeof(Heard) +
           messages_.size() * 2 * sizeof(Message) + pieces_.size() * kPiece;
}

}  // namespace wafersim::stream
