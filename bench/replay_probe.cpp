// What moving events costs at least: the looks of a recorded run, in their order, as 16-byte events over PE states of
// 64 bytes, and nothing else.  Usage: replay_probe FILE NUM_PES, where FILE holds pairs of uint32 (cycle, PE).
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

namespace {

struct Event {
    uint32_t cycle, pe;
    uint64_t payload;
};
struct alignas(64) State {
    uint64_t words[8];
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    std::ifstream file(argv[1], std::ios::binary | std::ios::ate);
    std::vector<uint32_t> pairs(static_cast<size_t>(file.tellg()) / sizeof(uint32_t));
    file.seekg(0);
    file.read(reinterpret_cast<char*>(pairs.data()), static_cast<std::streamsize>(pairs.size() * sizeof(uint32_t)));
    std::vector<Event> now(pairs.size() / 2), next(now.size());
    for (size_t i = 0; i < now.size(); ++i) now[i] = {pairs[2 * i], pairs[2 * i + 1], i};
    std::vector<State> states(std::strtoull(argv[2], nullptr, 10));
    double best = 1e30;
    constexpr size_t kAhead = 12;
    for (int round = 0; round < 5; ++round) {
        const auto began = std::chrono::steady_clock::now();
        for (size_t i = 0; i < now.size(); ++i) {
            if (i + kAhead < now.size()) __builtin_prefetch(&states[now[i + kAhead].pe], 1);
            State& s = states[now[i].pe];
            s.words[0] = now[i].cycle;
            s.words[1] += now[i].payload;
            next[i] = {now[i].cycle, now[i].pe, s.words[1]};
        }
        now.swap(next);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
        best = took.count() < best ? took.count() : best;
    }
    uint64_t sum = 0;
    for (const State& s : states) sum += s.words[1];
    std::printf("%.3f %llu\n", best * 1e9 / static_cast<double>(now.size()), static_cast<unsigned long long>(sum));
}
