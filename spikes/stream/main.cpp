// Reads exported tables of a machine program, runs the stream prototype, writes figures and the tiles' control bytes.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>

#include "engine.hpp"

namespace {

struct Table {
    std::vector<int64_t> dims;
    std::vector<uint8_t> data;
};

// Layout: count, then per table: name length, name, number of dimensions, dimensions, bytes, data (all int64).
std::map<std::string, Table> read_tables(const char* path) {
    std::ifstream in(path, std::ios::binary);
    auto number = [&] {
        int64_t v = 0;
        if (!in.read(reinterpret_cast<char*>(&v), 8)) throw std::runtime_error("the table file is too short");
        return v;
    };
    std::map<std::string, Table> out;
    for (int64_t n = number(); n > 0; --n) {
        std::string name(static_cast<size_t>(number()), ' ');
        in.read(name.data(), static_cast<std::streamsize>(name.size()));
        Table& t = out[name];
        t.dims.resize(static_cast<size_t>(number()));
        for (auto& d : t.dims) d = number();
        t.data.resize(static_cast<size_t>(number()));
        if (!in.read(reinterpret_cast<char*>(t.data.data()), static_cast<std::streamsize>(t.data.size()))) throw std::runtime_error("the table file is too short");
    }
    return out;
}

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

int main(int argc, char** argv) {
    using namespace wafersim;
    if (argc < 4) {
        std::cerr << "usage: stream_spike TABLES FUNCTION CONTROL_OUT [nomemo]\n";
        return 2;
    }
    try {
        auto file = read_tables(argv[1]);
        auto view = [&](const char* name) {
            Table& t = file.at(name);
            TableView v;
            v.data = reinterpret_cast<const int32_t*>(t.data.data());
            v.rows = t.dims.empty() ? 0 : t.dims[0];
            v.cols = t.dims.size() > 1 ? t.dims[1] : 1;
            return v;
        };
        Tables t;
        const auto* grid = view("grid").data;
        t.width = grid[0], t.height = grid[1];
        t.tile_map = reinterpret_cast<const int16_t*>(view("tile_map").data), t.tiles = view("tiles"), t.code = view("code"), t.dsds = view("dsds"), t.settings = view("settings");
        t.tasks = view("tasks"), t.queues = view("queues"), t.fifos = view("fifos"), t.functions = view("functions"), t.dsr_init = view("dsr_init");
        t.routes = view("routes"), t.colors = view("colors"), t.params = view("params");
        t.route_map = reinterpret_cast<const int16_t*>(view("route_map").data);
        t.image = file.at("image").data.data();
        t.image_bytes = static_cast<int64_t>(file.at("image").data.size());
        t.param_values = file.at("param_values").data.data();
        t.param_bytes = static_cast<int64_t>(file.at("param_values").data.size());
        const Table &ints = file.at("arch_ints"), &vops = file.at("vop_costs");
        const Arch arch({reinterpret_cast<const int64_t*>(ints.data.data()), ints.data.size() / 8}, {reinterpret_cast<const int32_t*>(vops.data.data()), vops.data.size() / 4});
        const Program program(t, arch.sram_bytes);
        std::vector<int32_t> owner(program.code.size(), -1);
        for (int64_t i = 0; i < t.tiles.rows; ++i) {
            const int32_t first = t.tiles.row(i)[static_cast<int>(TileCol::kCodeFirst)], n = t.tiles.row(i)[static_cast<int>(TileCol::kNumCode)];
            std::fill_n(owner.begin() + first, n, static_cast<int32_t>(i));
        }
        std::vector<std::array<int32_t, 3>> written;
        const TableView w = view("host_written");
        for (int64_t i = 0; i < w.rows; ++i) written.push_back({w.row(i)[0], w.row(i)[1], w.row(i)[2]});
        const double t0 = seconds();
        stream::Engine engine(program, arch, owner, written);
        if (argc > 4 && !std::strcmp(argv[4], "nomemo")) engine.local().memo = false;
        engine.launch(std::atoi(argv[2]), {});
        const double t1 = seconds();
        const bool finished = engine.run();
        const double t2 = seconds();
        std::ofstream out(argv[3], std::ios::binary);
        for (const stream::Pe& p : engine.pes()) out.write(reinterpret_cast<const char*>(p.main.memory.data()), static_cast<std::streamsize>(p.main.memory.size()));
        rusage use{};
        getrusage(RUSAGE_SELF, &use);
        const auto& f = engine.figures;
        const auto& l = engine.local();
        std::printf("{\"status\": \"%s\", \"cycles\": %lld, \"build_s\": %.3f, \"run_s\": %.3f, \"peak_rss_bytes\": %lld, \"router_events\": %llu, \"pe_events\": %llu, "
                    "\"words\": %llu, \"leaps\": %llu, \"deferred\": %llu, \"rolled_back\": %llu, \"main_steps\": %llu, \"max_segments\": %llu, \"instructions\": %llu, \"replayed\": %llu, "
                    "\"memo_hits\": %llu, \"memo_misses\": %llu, \"block_instructions\": %llu, \"late\": %llu, \"open\": %lld, \"control\": [",
                    finished ? "finished" : "stuck", static_cast<long long>(engine.cycles()), t1 - t0, t2 - t1, static_cast<long long>(use.ru_maxrss) * 1024,
                    static_cast<unsigned long long>(f.router_events), static_cast<unsigned long long>(f.pe_events), static_cast<unsigned long long>(f.words), static_cast<unsigned long long>(f.leaps),
                    static_cast<unsigned long long>(f.deferred), static_cast<unsigned long long>(f.rolled_back), static_cast<unsigned long long>(f.main_steps), static_cast<unsigned long long>(f.max_segments),
                    static_cast<unsigned long long>(l.instructions), static_cast<unsigned long long>(l.replayed), static_cast<unsigned long long>(l.hits), static_cast<unsigned long long>(l.misses),
                    static_cast<unsigned long long>(l.block_instructions), static_cast<unsigned long long>(f.late), static_cast<long long>(engine.open));
        for (size_t i = 0; i < program.tiles.size(); ++i) {
            std::printf("%s[", i ? ", " : "");
            const auto& c = engine.control(static_cast<int>(i));
            for (size_t k = 0; k < c.ranges.size(); ++k) std::printf("%s[%d, %d, %d]", k ? ", " : "", c.ranges[k].first, c.ranges[k].second, c.offset[k]);
            std::printf("]");
        }
        std::printf("]}\n");
        return finished ? 0 : 1;
    } catch (const stream::Refused& e) {
        std::printf("{\"status\": \"refused\", \"reason\": \"%s\"}\n", e.what());
        return 3;
    } catch (const std::exception& e) {
        std::cerr << e.what() << "\n";
        return 2;
    }
}
