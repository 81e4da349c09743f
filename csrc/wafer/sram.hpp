// The SRAM of all PEs in one reservation; pages are touched only where a program writes.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>

namespace wafersim {

class SramArena {
  public:
    SramArena() = default;
    SramArena(const SramArena&) = delete;
    SramArena& operator=(const SramArena&) = delete;
    ~SramArena() {
        if (base_) munmap(base_, bytes_);
    }
    void reserve(size_t bytes) {
        bytes_ = bytes;
        if (!bytes) return;
        void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) throw std::bad_alloc();
        base_ = static_cast<uint8_t*>(at);
    }
    uint8_t* at(size_t offset) const { return base_ + offset; }

  private:
    uint8_t* base_ = nullptr;
    size_t bytes_ = 0;
};

}  // namespace wafersim
