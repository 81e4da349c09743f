// A script as one tape over the values before it: what one step writes and a later one reads stays between them, what
// is written twice or not changed is left out, and all guards come before all writes.
#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <tuple>

#include "stream/mains.hpp"
#include "stream/memo.hpp"

namespace wafersim::stream {
namespace {

class Composer {
  public:
    // False if the script needs more than a tape.
    bool add(const Step& s, const Mains& mains) {
        switch (s.kind) {
            case Step::Kind::kChoose:
                return add(mains.tape_of(s.value), true, false);
            case Step::Kind::kEnter:
                return add(mains.tape_of(s.value), false, true);
            case Step::Kind::kRun:
                return add(mains.tape_of(s.value), true, true);
            case Step::Kind::kRegister:
                return expect(8 * s.at, 8, s.value);
            case Step::Kind::kBytes:
                return expect(s.at, s.bytes, s.value);
            case Step::Kind::kSet:
                return write(8 * s.at, 8, {-1, s.value});
            default:
                return false;
        }
    }
    bool add(const Tape& tape, bool guards = true, bool writes = true) {
        std::vector<Value> values;
        for (const Term& t : tape.terms) {
            Value v;
            if (t.kind == Term::Kind::kLoad) {
                const std::optional<Value> loaded = load(t.imm, t.bytes);
                if (!loaded) return false;
                v = *loaded;
            } else {
                v = computed(t, values);
            }
            if (guards && t.guard) guard(v, t.value);
            values.push_back(v);
        }
        if (!writes) return true;
        for (const CellWrite& w : tape.writes) {
            const Value v = w.term >= 0 ? values[static_cast<size_t>(w.term)] : Value{-1, w.constant};
            if (!write(w.at, w.bytes, v)) return false;
        }
        return true;
    }
    bool clear_register(int32_t r) { return write(8 * r, 8, {-1, 0}); }
    Tape finish() {
        Tape all;
        all.terms = std::move(terms_);
        for (const auto& [at, w] : written_) {
            const Term* t = w.value.term >= 0 ? &all.terms[static_cast<size_t>(w.value.term)] : nullptr;
            if (t && t->kind == Term::Kind::kLoad && t->imm == at && t->bytes == w.bytes) continue;  // unchanged
            all.writes.push_back({at, w.bytes, w.value.term, w.value.constant});
        }
        return needed(std::move(all));
    }

  private:
    using Value = Folded;
    struct Written {
        int32_t bytes = 0;
        Value value;
    };
    using Key = std::tuple<int, int, int, int32_t, int32_t, int32_t, int32_t, int32_t, uint64_t, uint64_t, uint64_t>;

    int32_t term(const Term& t) {
        const Key key{static_cast<int>(t.kind),
                      static_cast<int>(t.op),
                      static_cast<int>(t.type),
                      t.imm,
                      t.bytes,
                      t.operand[0],
                      t.operand[1],
                      t.operand[2],
                      t.constant[0],
                      t.constant[1],
                      t.constant[2]};
        const auto [it, fresh] = known_.try_emplace(key, static_cast<int32_t>(terms_.size()));
        if (fresh) terms_.push_back(t);
        return it->second;
    }
    // Nothing if other bytes than these were written that overlap them.
    std::optional<Value> load(int32_t at, int32_t bytes) {
        if (const auto same = written_.find(at); same != written_.end() && same->second.bytes == bytes)
            return same->second.value;
        if (overlaps(at, bytes)) return std::nullopt;
        Term t;
        t.kind = Term::Kind::kLoad, t.imm = at, t.bytes = bytes;
        return Value{term(t), 0};
    }
    bool overlaps(int32_t at, int32_t bytes) const {
        for (auto it = written_.lower_bound(at - 8); it != written_.end() && it->first < at + bytes; ++it)
            if (at < it->first + it->second.bytes) return true;
        return false;
    }
    bool write(int32_t at, int32_t bytes, const Value& value) {
        const auto same = written_.find(at);
        if (same == written_.end() && overlaps(at, bytes)) return false;
        if (same != written_.end() && same->second.bytes != bytes) return false;
        written_[at] = {bytes, value};
        return true;
    }
    void guard(const Value& v, uint64_t value) {
        if (v.term < 0) return;  // decided by what the script itself has written
        terms_[static_cast<size_t>(v.term)].guard = true;
        terms_[static_cast<size_t>(v.term)].value = value;
    }
    bool expect(int32_t at, int32_t bytes, uint64_t value) {
        const std::optional<Value> v = load(at, bytes);
        if (!v) return false;
        guard(*v, value);
        return true;
    }
    Value computed(const Term& t, const std::vector<Value>& values) {
        bool known = false;
        const Term made = fold(t, values, known);
        if (known) return {-1, evaluate(made, nullptr)};
        return {term(made), 0};
    }

    std::vector<Term> terms_;
    std::map<Key, int32_t> known_;
    std::map<int32_t, Written> written_;
};

}  // namespace

bool compose(const std::vector<Step>& steps, const Mains& mains, Tape& tape) {
    Composer composer;
    for (const Step& s : steps)
        if (!composer.add(s, mains)) return false;
    tape = composer.finish();
    return true;
}

bool compose(std::span<const TapePart> parts, Tape& tape, std::span<const int32_t> cleared) {
    Composer composer;
    for (const TapePart& p : parts)
        if (!composer.add(*p.tape, p.guards, p.writes)) return false;
    for (const int32_t r : cleared)
        if (!composer.clear_register(r)) return false;
    tape = composer.finish();
    return true;
}

}  // namespace wafersim::stream
