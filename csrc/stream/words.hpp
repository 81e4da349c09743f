// Values of words. An op that sends has one run: its words in order, filled as its beats happen. A stage that words
// pass says which words of which runs stand at its indices; that does not depend on their times.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace wafersim::stream {

struct Run {
    std::atomic<uint32_t> refs{0};
    uint32_t pe = 0;
    int32_t thread = -1;
    int32_t index = -1;              // that all its words carry; -1: it is part of their values
    bool crosses = false;            // threads of several strips may hold it
    std::atomic<int64_t> filled{0};  // words whose values are known; the others are nobody's but the sender's
    std::unique_ptr<uint32_t[]> word;
};

class RunRef {
  public:
    RunRef() = default;
    explicit RunRef(Run* run) : run_(run) { hold(); }
    RunRef(const RunRef& o) : run_(o.run_) { hold(); }
    RunRef(RunRef&& o) noexcept : run_(std::exchange(o.run_, nullptr)) {}
    RunRef& operator=(RunRef o) noexcept {
        std::swap(run_, o.run_);
        return *this;
    }
    ~RunRef() {
        if (!run_) return;
        uint32_t left;
        if (run_->crosses) {
            left = run_->refs.fetch_sub(1, std::memory_order_acq_rel) - 1;
        } else {
            left = run_->refs.load(std::memory_order_relaxed) - 1;
            run_->refs.store(left, std::memory_order_relaxed);
        }
        if (!left) delete run_;
    }
    Run* operator->() const { return run_; }
    Run* get() const { return run_; }

  private:
    void hold() {
        if (!run_) return;
        if (run_->crosses)
            run_->refs.fetch_add(1, std::memory_order_relaxed);
        else
            run_->refs.store(run_->refs.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    Run* run_ = nullptr;
};

// What stands at the indices of a stage, front forgotten.
class Words {
  public:
    struct Piece {
        int64_t first = 0, n = 0;  // indices of the stage
        RunRef run;
        int64_t offset = 0;  // in the run, of the first
    };
    const std::vector<Piece>& pieces() const { return pieces_; }
    void append(int64_t at, int64_t n, const RunRef& run, int64_t offset) {
        if (n <= 0) return;
        if (!pieces_.empty()) {
            Piece& p = pieces_.back();
            if (p.run.get() == run.get() && p.first + p.n == at && p.offset + p.n == offset) {
                p.n += n;
                return;
            }
        }
        pieces_.push_back({at, n, run, offset});
    }
    // Appends at index `at` what another stage has at [from, to).
    void append_range(int64_t at, const Words& other, int64_t from, int64_t to) {
        for (const Piece& p : other.pieces_) {
            const int64_t low = std::max(from, p.first), high = std::min(to, p.first + p.n);
            append(at + low - from, high - low, p.run, p.offset + low - p.first);
        }
    }
    // Takes back what stands from index `end` on and gives it to `tail`.
    void cut(int64_t end, Words* tail) {
        while (!pieces_.empty() && pieces_.back().first + pieces_.back().n > end) {
            Piece& p = pieces_.back();
            const int64_t keep = std::max<int64_t>(end - p.first, 0);
            if (tail) tail->pieces_.insert(tail->pieces_.begin(), {p.first + keep, p.n - keep, p.run, p.offset + keep});
            p.n = keep;
            if (!keep) pieces_.pop_back();
        }
    }
    void forget(int64_t before) {
        size_t gone = 0;
        while (gone < pieces_.size() && pieces_[gone].first + pieces_[gone].n <= before) ++gone;
        if (gone) pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<ptrdiff_t>(gone));
    }
    // The piece with index k; null if nothing stands there.
    const Piece* find(int64_t k) const {
        for (const Piece& p : pieces_)
            if (k >= p.first && k < p.first + p.n) return &p;
        return nullptr;
    }

  private:
    std::vector<Piece> pieces_;
};

// First index from `from` on at which both have a word and it is not the same one; -1: none.
inline int64_t first_other_word(const Words& was, const Words& is, int64_t from) {
    int64_t found = -1;
    for (const Words::Piece& a : was.pieces())
        for (const Words::Piece& b : is.pieces()) {
            const int64_t low = std::max({from, a.first, b.first}), high = std::min(a.first + a.n, b.first + b.n);
            if (low >= high) continue;
            if (a.run.get() == b.run.get() && a.offset - a.first == b.offset - b.first) continue;
            if (found < 0 || low < found) found = low;
        }
    return found;
}

}  // namespace wafersim::stream
