// The routes that colors have: the classes of the program, and those that configuration words made of them at run time.
#pragma once
#include <deque>
#include <map>
#include <vector>

#include "program/program.hpp"
#include "stream/state.hpp"

namespace wafersim::stream {

class Routes {
  public:
    explicit Routes(const Program& program) {
        for (const RouteClass& r : program.routes) all_.push_back({r, static_cast<int32_t>(all_.size()), -1});
    }
    const RouteClass& of(const Color& c) const { return (*this)[c.route]; }
    const RouteClass& operator[](int32_t route) const { return all_[static_cast<size_t>(route)].route; }
    // Words of a color as they stand; storing one gives the color another route.
    uint32_t color_word(const Color& c) const;
    uint32_t switch_word(const Color& c);
    void store_color_word(Color& c, uint32_t word);
    void store_switch_word(Color& c, uint32_t word);
    int32_t straight(int port);  // from the RAMP to a port

  private:
    struct Entry {
        RouteClass route;
        int32_t origin;       // class of the program that it was made of
        int32_t switch_word;  // its low 12 bits, -1: as the class says
    };
    int32_t bits(const Color& c) const;
    void give(Color& c, Entry entry, uint32_t position);
    std::deque<Entry> all_;
    int32_t straight_[4] = {-1, -1, -1, -1};
    std::map<std::vector<int32_t>, int32_t> made_;  // number of the route of an origin, positions and words
};

}  // namespace wafersim::stream
