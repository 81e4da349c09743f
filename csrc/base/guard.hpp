// Gaps behind arrays that share one block of memory. Under AddressSanitizer they are poisoned, so that reaching from
// one array into the next does not go unseen; in other builds there are none.
#pragma once
#include <cstddef>

#ifdef WAFERSIM_SANITIZED
#include <sanitizer/asan_interface.h>
#endif

namespace wafersim {

#ifdef WAFERSIM_SANITIZED
inline constexpr size_t kGuardBytes = 64;
inline void guard(const void* at, size_t bytes) {
    __asan_poison_memory_region(at, bytes);
}
inline void unguard(const void* at, size_t bytes) {
    __asan_unpoison_memory_region(at, bytes);
}
#else
inline constexpr size_t kGuardBytes = 0;
inline void guard(const void*, size_t) {}
inline void unguard(const void*, size_t) {}
#endif

}  // namespace wafersim
