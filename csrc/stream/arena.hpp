// Memory for the stages of all PEs, in large pages: objects stay where they are. Whoever makes one ends its life.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <vector>

namespace wafersim::stream {

class Arena {
  public:
    template <typename T>
    T* make(size_t n = 1) {
        T* first = static_cast<T*>(take(n * sizeof(T), alignof(T)));
        for (size_t i = 0; i < n; ++i) new (first + i) T();
        return first;
    }
    Arena() = default;
    ~Arena() {
        for (void* p : pieces_) munmap(p, kPiece);
    }
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    void rewind() {  // all objects are gone; the first piece is used again
        while (pieces_.size() > 1) munmap(pieces_.back(), kPiece), pieces_.pop_back();
        used_ = 0;
    }
    size_t bytes() const { return pieces_.empty() ? 0 : (pieces_.size() - 1) * kPiece + used_; }

  private:
    static constexpr size_t kPiece = size_t{1} << 26;
    void* take(size_t size, size_t align) {
        used_ = (used_ + align - 1) & ~(align - 1);
        if (pieces_.empty() || used_ + size > kPiece) {
            if (size > kPiece) throw std::bad_alloc();
            void* p = mmap(nullptr, kPiece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (p == MAP_FAILED) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
            madvise(p, kPiece, MADV_HUGEPAGE);
#endif
            pieces_.push_back(p);
            used_ = 0;
        }
        void* at = static_cast<char*>(pieces_.back()) + used_;
        used_ += size;
        return at;
    }
    std::vector<void*> pieces_;
    size_t used_ = 0;
};

// Large pages for the tables that all PEs share.
template <typename T>
struct LargePages {
    using value_type = T;
    LargePages() = default;
    template <typename U>
    LargePages(const LargePages<U>&) {}
    T* allocate(size_t n) {
        const size_t bytes = (n * sizeof(T) + kPage - 1) / kPage * kPage;
        void* p = std::aligned_alloc(kPage, bytes);
        if (!p) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
        madvise(p, bytes, MADV_HUGEPAGE);
#endif
        return static_cast<T*>(p);
    }
    void deallocate(T* p, size_t) { std::free(p); }
    bool operator==(const LargePages&) const { return true; }

  private:
    static constexpr size_t kPage = size_t{1} << 21;
};

}  // namespace wafersim::stream
