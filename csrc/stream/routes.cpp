#include "stream/routes.hpp"

#include <algorithm>

#include "pe/config_words.hpp"

namespace wafersim::stream {

int32_t Routes::bits(const Color& c) const {
    const Entry& e = all_[static_cast<size_t>(c.route)];
    return e.switch_word >= 0 ? e.switch_word : switch_bits(e.route.in, e.route.out, e.route.num_positions);
}

uint32_t Routes::color_word(const Color& c) const {
    const RouteClass& r = of(c);
    return mask_to_config(r.in[0]) << 5 | mask_to_config(r.out[0]) | static_cast<uint32_t>(c.teardown) << 14 |
           static_cast<uint32_t>(r.pop_mode) << 12 | static_cast<uint32_t>(r.swap_x) << 11 |
           static_cast<uint32_t>(r.swap_y) << 10;
}

uint32_t Routes::switch_word(const Color& c) {
    return static_cast<uint32_t>(bits(c)) | static_cast<uint32_t>(of(c).ring) << 12 |
           static_cast<uint32_t>(c.position) << 13;
}

void Routes::store_color_word(Color& c, uint32_t word) {
    const RouteClass& was = of(c);
    if ((word >> 10 & 3) != (static_cast<uint32_t>(was.swap_x) << 1 | static_cast<uint32_t>(was.swap_y)))
        throw Refused("a configuration word that changes a color swap");
    Entry e{of(c), all_[static_cast<size_t>(c.route)].origin, bits(c)};
    e.route.in[0] = static_cast<uint8_t>(config_to_mask(word >> 5 & 31));
    e.route.out[0] = static_cast<uint8_t>(config_to_mask(word & 31));
    e.route.pop_mode = static_cast<PopMode>(word >> 12 & 3);
    c.teardown = word >> 14 & 1;
    give(c, e, static_cast<uint32_t>(c.position));
}

void Routes::store_switch_word(Color& c, uint32_t word) {
    Entry e{of(c), all_[static_cast<size_t>(c.route)].origin, static_cast<int32_t>(word & 0xfff)};
    e.route.ring = word >> 12 & 1;
    give(c, e, word >> 13 & 3);
}

int32_t Routes::straight(int port) {
    if (straight_[port] < 0) {
        Entry e{};
        e.origin = e.switch_word = -1;
        e.route.num_positions = 1;
        e.route.in[0] = 1u << kPortRamp;
        e.route.out[0] = static_cast<uint8_t>(1u << port);
        straight_[port] = static_cast<int32_t>(all_.size());
        all_.push_back(e);
    }
    return straight_[port];
}

void Routes::give(Color& c, Entry e, uint32_t position) {
    e.route.num_positions = switch_positions(e.route.in, e.route.out, e.switch_word);
    std::vector<int32_t> key = {e.origin, static_cast<int32_t>(e.route.pop_mode), e.route.ring, e.switch_word};
    key.insert(key.end(), e.route.in.begin(), e.route.in.begin() + e.route.num_positions);
    key.insert(key.end(), e.route.out.begin(), e.route.out.begin() + e.route.num_positions);
    const auto [at, fresh] = made_.try_emplace(key, static_cast<int32_t>(all_.size()));
    if (fresh) all_.push_back(e);
    c.route = at->second;
    c.position = static_cast<int32_t>(std::min<uint32_t>(position, static_cast<uint32_t>(e.route.num_positions) - 1));
}

}  // namespace wafersim::stream
