// What crosses from one strip to another: said in one cycle, heard behind the barrier that ends it.
#pragma once
#include <deque>
#include <vector>

#include "stream/state.hpp"

namespace wafersim::stream {

struct Outbox {
    static constexpr uint32_t kNoNumber = UINT32_MAX;
    struct Entry {
        uint32_t pe = 0;                   // that is told
        uint32_t number = kNoNumber;       // of the message in the speaker's memo, if it has one
        const Message* message = nullptr;  // stays where it is until all have heard it
    };
    std::vector<Entry> said;
    std::deque<Message> own;  // messages of a speaker without a memo
    uint64_t memo = 0;        // which memo of the speaker `number` is about
    void clear() { said.clear(), own.clear(); }
};

// The numbers that another strip's messages have in the memo of this one.
struct ForeignNumbers {
    uint64_t memo = 0;
    std::vector<uint32_t> number;  // Outbox::kNoNumber: not yet
};

// Why a run ends early: of all that was refused in the first such cycle, at the first PE.
struct Failure {
    Cycle cycle = kForever;
    int phase = 0;  // 0: a visit, 1: a message heard
    uint32_t pe = 0;
    std::string what;
    int32_t line = -1;
    auto operator<=>(const Failure&) const = default;
};

}  // namespace wafersim::stream
