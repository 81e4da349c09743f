// The waist as the core sees it: the tables of docs/program-format.md, copied once and checked so that no index can
// leave its table. Immutable afterwards; shared by all PEs.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/types.hpp"
#include "program/opcodes.hpp"

namespace wafersim {

struct Instr {
    Op op = Op::kNop;
    int32_t type = 0, dst = -1, a = -1, b = -1, c = -1, imm = 0, imm2 = 0, flags = 0, settings = -1, aux = -1,
            line = -1;
};

struct Dsd {
    DsdKind kind = DsdKind::kNone;
    int32_t base = 0, elem_bytes = 4, ndim = 1;
    std::array<int32_t, 4> ext{0, 1, 1, 1};
    std::array<int32_t, 4> stride{1, 0, 0, 0};
    int32_t queue = -1, color = -1, fifo = -1, settings = -1;
    bool control = false, index_offset = false, advance_switch = false;
};

struct Settings {
    bool async = false, save_address = false, advance_switch = false;
    bool save_own = false;  // of the DSR that was loaded with this row
    bool plain = false;     // says nothing but save_own
    int32_t ut = -1, priority = -1, activate = -1, unblock = -1, on_control_task = -1, simd = -1, index_reg = -1;
    OnControl on_control = OnControl::kNone;
};

struct Task {
    TaskKind kind = TaskKind::kLocal;
    int32_t id = 0, entry = 0, priority = 0, queue = -1, nargs = 0, arg0 = -1, arg1 = -1;
    bool blocked = false, active = false;
};

struct RouteClass {
    std::array<uint8_t, 4> in{}, out{};
    int32_t num_positions = 1, initial = 0;
    bool ring = false, teardown = false, swap_x = false, swap_y = false;
    PopMode pop_mode = PopMode::kNever;
    FilterKind filter = FilterKind::kNone;
    int32_t limit1 = 0, limit2 = 0, max = 0, min = 0, init = 0;
    bool count_data = false, count_control = false;
    uint8_t sink = 0;
};

struct QueueInit {
    int32_t color = -1, priority = -1, empty_task = -1;
    bool initialised = false;
};

struct Fifo {
    int32_t base = 0, capacity = 0, elem_bytes = 4, activate_push = -1, activate_pop = -1;
};

struct Function {
    int32_t number = 0, entry = 0, nargs = 0, arg0 = 0;
};

struct ParamBlock {
    int32_t address = 0, bytes = 0;
    int64_t offset = 0;
};

// One kind of PE.
struct Tile {
    int32_t num_regs = 0, image_offset = 0, image_bytes = 0;
    std::vector<Dsd> dsds;
    std::vector<Task> tasks;
    std::array<QueueInit, 8> iq{}, oq{};
    std::vector<Fifo> fifos;
    std::vector<Function> functions;
    struct DsrInit {
        int32_t dsr, dsd, settings;
    };
    std::vector<DsrInit> dsr_init;
    std::vector<ParamBlock> params;
    std::array<int32_t, 3> num_dsrs{};     // highest DSR used in each file, plus one
    std::array<int16_t, 64> local_task{};  // id -> index in tasks, -1 none
    std::array<int16_t, 64> control_task{};
    std::array<int16_t, 8> data_task{};  // queue -> index in tasks
};

struct TableView {
    const int32_t* data = nullptr;
    int64_t rows = 0, cols = 0;
    const int32_t* row(int64_t r) const { return data + r * cols; }
};

// What the bindings hand over; see docs/program-format.md.
struct Tables {
    int32_t width = 0, height = 0;
    TableView tiles, code, dsds, settings, tasks, queues, fifos, functions, dsr_init, routes, colors, params, arrays;
    const int16_t* tile_map = nullptr;   // [height][width]
    const int16_t* route_map = nullptr;  // [colors][height][width]
    const uint8_t* image = nullptr;
    int64_t image_bytes = 0;
    const uint8_t* param_values = nullptr;
    int64_t param_bytes = 0;
};

struct Program {
    Program(const Tables& tables, int sram_bytes);

    int32_t width, height;
    std::vector<int16_t> tile_map;
    std::vector<Tile> tiles;
    std::vector<Instr> code;
    std::vector<Settings> settings;
    std::vector<RouteClass> routes;
    std::vector<int32_t> colors;     // colors with a layer in route_map
    std::vector<int16_t> route_map;  // [colors][height][width]
    std::vector<uint8_t> image, param_values;
};

}  // namespace wafersim
