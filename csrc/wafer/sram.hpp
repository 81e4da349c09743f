// The SRAM of all PEs in one reservation; pages are touched only where a program writes. Under AddressSanitizer a
// poisoned gap follows the SRAM of each PE, so that a PE cannot reach its neighbor's unseen.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>

#include "base/guard.hpp"

namespace wafersim {

class SramArena {
  public:
    SramArena() = default;
    SramArena(const SramArena&) = delete;
    SramArena& operator=(const SramArena&) = delete;
    ~SramArena() {
        if (!base_) return;
        unguard(base_, bytes_);
        munmap(base_, bytes_);
    }
    void reserve(size_t num_pes, size_t sram_bytes) {
        stride_ = (sram_bytes + kGuardBytes + 15) & ~size_t{15};
        bytes_ = num_pes * stride_;
        if (!bytes_) return;
        void* at = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) throw std::bad_alloc();
        base_ = static_cast<uint8_t*>(at);
        if constexpr (kGuardBytes > 0)
            for (size_t i = 0; i < num_pes; ++i) guard(this->at(i) + sram_bytes, stride_ - sram_bytes);
    }
    uint8_t* at(size_t pe) const { return base_ + pe * stride_; }

  private:
    uint8_t* base_ = nullptr;
    size_t bytes_ = 0, stride_ = 0;
};

}  // namespace wafersim
