// Threads that go through a loop together: a barrier for each turn of it, which spins a while and then sleeps.
#pragma once
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <system_error>
#include <thread>
#include <vector>

namespace wafersim::stream {

class Barrier {
  public:
    explicit Barrier(int threads)
        : num_(static_cast<uint32_t>(threads)), spins_(std::thread::hardware_concurrency() < num_ ? 1 : kSpins) {}
    // Everything that any of the threads did before is seen by all of them behind it.
    void wait() {
        if (num_ == 1) return;
        const uint32_t turn = turn_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == num_) {
            arrived_.store(0, std::memory_order_relaxed);
            turn_.store(turn + 1);
            if (sleepers_.load()) turn_.notify_all();
            return;
        }
        for (int i = 0; i < spins_; ++i) {
            if (turn_.load(std::memory_order_acquire) != turn) return;
            pause();
        }
        sleepers_.fetch_add(1);
        turn_.wait(turn);
        sleepers_.fetch_sub(1);
    }

  private:
    static constexpr int kSpins = 4000;  // some ten to a hundred microseconds: longer than a turn of the loop takes
    static void pause() {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
    }
    const uint32_t num_;
    const int spins_;
    alignas(64) std::atomic<uint32_t> arrived_{0};
    alignas(64) std::atomic<uint32_t> turn_{0}, sleepers_{0};
};

// Runs work(0) on this thread and work(1) .. work(threads - 1) on others, all or none; the first exception by number
// comes out of it. Others than `work` of a thread that failed must not wait for it.
inline void run_crew(int threads, const std::function<void(int)>& work) {
    constexpr size_t kStack = size_t{16} << 20;  // values are pulled through many PEs in turn
    struct Member {
        const std::function<void(int)>* work = nullptr;
        std::atomic<int>* go = nullptr;
        int number = 0;
        pthread_t thread{};
        std::exception_ptr error;
        void run() noexcept {
            try {
                (*work)(number);
            } catch (...) {
                error = std::current_exception();
            }
        }
    };
    std::atomic<int> go{0};  // 1: all are there; 2: one could not be made
    std::vector<Member> crew(static_cast<size_t>(threads));
    int made = 1, failed = 0;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStack);
    for (int i = 0; i < threads; ++i) {
        Member& m = crew[static_cast<size_t>(i)];
        m.work = &work, m.go = &go, m.number = i;
        if (i == 0 || failed) continue;
        failed = pthread_create(
            &m.thread, &attributes,
            [](void* p) -> void* {
                auto* member = static_cast<Member*>(p);
                member->go->wait(0);
                if (*member->go == 1) member->run();
                return nullptr;
            },
            &m);
        made += !failed;
    }
    pthread_attr_destroy(&attributes);
    go = failed ? 2 : 1;
    go.notify_all();
    if (!failed) crew[0].run();
    for (int i = 1; i < made; ++i) pthread_join(crew[static_cast<size_t>(i)].thread, nullptr);
    if (failed) throw std::system_error(failed, std::generic_category(), "threads");
    for (const Member& m : crew)
        if (m.error) std::rethrow_exception(m.error);
}

}  // namespace wafersim::stream
