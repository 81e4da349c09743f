// Objects with stable addresses and small numbers: one reservation of address space, pages touched as objects are made.
// Under AddressSanitizer what is not made yet is poisoned, in the first kGuarded bytes.
#pragma once
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>

#include "base/guard.hpp"

namespace wafersim {

template <typename T>
class Arena {
  public:
    Arena() = default;
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    ~Arena() {
        for (uint32_t i = 0; i < size_; ++i) base_[i].~T();
        if (!mapped_) return;
        unguard(base_, guarded_);
        munmap(mapped_, bytes_);
    }
    void reserve(size_t most) {
        bytes_ = most * sizeof(T);
        if (!bytes_) return;
        if (bytes_ >= kLarge) bytes_ += kHugePage;
        void* at = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) throw std::bad_alloc();
        mapped_ = at;
        if (bytes_ >= kLarge) {  // objects lie dense, and visits jump: fewer misses of the address translation
            at = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(at) + kHugePage - 1) & ~(kHugePage - 1));
#ifdef MADV_HUGEPAGE
            madvise(at, bytes_ - kHugePage, MADV_HUGEPAGE);  // where there are none, small pages do
#endif
        }
        base_ = static_cast<T*>(at);
        guarded_ = std::min(most * sizeof(T), kGuarded);
        guard(base_, guarded_);
    }
    uint32_t add() {
        unguard(base_ + size_, sizeof(T));
        new (base_ + size_) T();
        return size_++;
    }
    uint32_t size() const { return size_; }
    T& operator[](uint32_t i) { return base_[i]; }
    const T& operator[](uint32_t i) const { return base_[i]; }
    uint32_t number_of(const T& object) const { return static_cast<uint32_t>(&object - base_); }

  private:
    static constexpr size_t kHugePage = size_t{2} << 20, kLarge = size_t{4} << 20, kGuarded = size_t{64} << 20;

    void* mapped_ = nullptr;
    T* base_ = nullptr;
    size_t bytes_ = 0, guarded_ = 0;
    uint32_t size_ = 0;
};

}  // namespace wafersim
