// The one form of a state: times relative, whatever can have no effect any more forgotten, then packed into bytes.
#pragma once
#include <string>

#include "stream/state.hpp"

namespace wafersim::stream {

// Brings `n` to its one form as of cycle T; `past`: what is older holds nobody up.
void canonicalize(Node& n, Cycle T, Cycle past, int vector_raw);
// Packs a canonical state, times from T on; `horizon` becomes the latest time in it.
void pack(Node& n, Cycle T, std::string& out, Cycle& horizon);
// The inverse; values of registers and bytes are not part of a state and stay 0.
void unpack(const uint8_t* bytes, Node& n);
void pack(Message& m, std::string& out);
void unpack(const uint8_t* bytes, Message& m);

}  // namespace wafersim::stream
