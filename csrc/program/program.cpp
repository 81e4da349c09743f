#include "program/program.hpp"

#include <algorithm>

namespace wafersim {
namespace {

template <typename E>
int32_t at(const int32_t* row, E column) {
    return row[static_cast<int>(column)];
}

[[noreturn]] void bad(const std::string& table, int64_t row, const std::string& what, int64_t found, int64_t low,
                      int64_t high) {
    throw ProgramFault("table '" + table + "' row " + std::to_string(row) + ": " + what + " is " +
                       std::to_string(found) + "; allowed " + std::to_string(low) + " to " + std::to_string(high));
}

// Reads columns of one row with their allowed ranges.
struct RowReader {
    const char* table;
    int64_t index;
    const int32_t* row;
    template <typename E>
    int32_t get(E column, int64_t low, int64_t high, const char* what) const {
        const int32_t v = at(row, column);
        if (v < low || v > high) bad(table, index, what, v, low, high);
        return v;
    }
};

Dsd read_dsd(const RowReader& r, int sram_bytes) {
    using C = DsdCol;
    Dsd d;
    d.kind = static_cast<DsdKind>(r.get(C::kKind, 0, 4, "kind"));
    d.base = r.get(C::kBase, 0, sram_bytes, "base address");
    d.elem_bytes = r.get(C::kElemBytes, 2, 4, "element size");
    d.ndim = r.get(C::kNdim, 1, 4, "number of dimensions");
    for (int i = 0; i < 4; ++i) {
        const auto e = static_cast<C>(static_cast<int>(C::kExt0) + i);
        const auto s = static_cast<C>(static_cast<int>(C::kStr0) + i);
        d.ext[static_cast<size_t>(i)] = r.get(e, 0, 65535, "extent");
        d.stride[static_cast<size_t>(i)] = r.get(s, -32768, 32767, "stride");
        if (i >= d.ndim) d.ext[static_cast<size_t>(i)] = 1, d.stride[static_cast<size_t>(i)] = 0;
    }
    d.queue = r.get(C::kQueue, -1, 7, "queue");
    d.color = r.get(C::kColor, -1, kMaxColors - 1, "color");
    d.fifo = r.get(C::kFifo, -1, 63, "FIFO");
    d.control = at(r.row, C::kControl) != 0;
    d.index_offset = at(r.row, C::kIndexOffset) != 0;
    d.advance_switch = at(r.row, C::kAdvanceSwitch) != 0;
    if ((d.kind == DsdKind::kFabin || d.kind == DsdKind::kFabout) && d.queue < 0)
        bad("dsds", r.index, "queue of a fabric descriptor", d.queue, 0, 7);
    if (d.kind == DsdKind::kFifo && d.fifo < 0) bad("dsds", r.index, "FIFO of a FIFO descriptor", d.fifo, 0, 63);
    return d;
}

Settings read_settings(const RowReader& r) {
    using C = SettingsCol;
    Settings s;
    s.async = at(r.row, C::kAsync) != 0;
    s.ut = r.get(C::kUt, -1, 7, "microthread");
    s.priority = r.get(C::kPriority, -1, 6, "priority");
    s.activate = r.get(C::kActivate, -1, 63, "activated task");
    s.unblock = r.get(C::kUnblock, -1, 63, "unblocked task");
    s.on_control = static_cast<OnControl>(r.get(C::kOnControl, 0, 3, "control action"));
    s.on_control_task = r.get(C::kOnControlTask, -1, 63, "control action's task");
    s.simd = r.get(C::kSimd, -1, 3, "SIMD mode");
    const int save = r.get(C::kSaveAddress, 0, 2, "saved address");
    s.save_address = save == 1;
    s.save_own = save == 2;
    s.advance_switch = at(r.row, C::kAdvanceSwitch) != 0;
    s.index_reg = r.get(C::kIndexReg, -1, 65535, "index register");
    s.plain = s.save_own && !s.async && s.ut < 0 && s.priority < 0 && s.activate < 0 && s.unblock < 0 &&
              s.on_control == OnControl::kNone && s.simd < 0 && !s.advance_switch && s.index_reg < 0;
    return s;
}

RouteClass read_route(const RowReader& r) {
    using C = RouteCol;
    RouteClass c;
    for (int p = 0; p < 4; ++p) {
        c.in[static_cast<size_t>(p)] = static_cast<uint8_t>(r.get(static_cast<C>(2 * p), 0, 31, "input mask"));
        c.out[static_cast<size_t>(p)] = static_cast<uint8_t>(r.get(static_cast<C>(2 * p + 1), 0, 31, "output mask"));
    }
    c.num_positions = r.get(C::kNumPositions, 1, 4, "number of switch positions");
    c.initial = r.get(C::kInitial, 0, c.num_positions - 1, "initial position");
    c.ring = at(r.row, C::kRing) != 0;
    c.pop_mode = static_cast<PopMode>(r.get(C::kPopMode, 0, 3, "pop mode"));
    c.teardown = at(r.row, C::kTeardown) != 0;
    c.swap_x = at(r.row, C::kSwapX) != 0;
    c.swap_y = at(r.row, C::kSwapY) != 0;
    c.filter = static_cast<FilterKind>(r.get(C::kFilter, 0, 3, "filter kind"));
    c.limit1 = r.get(C::kFilterLimit1, 0, 65535, "filter limit 1");
    c.limit2 = r.get(C::kFilterLimit2, 0, 65535, "filter limit 2");
    c.max = r.get(C::kFilterMax, 0, 65535, "filter maximum");
    c.min = r.get(C::kFilterMin, 0, 65535, "filter minimum");
    c.init = r.get(C::kFilterInit, 0, 65535, "filter counter");
    c.count_data = at(r.row, C::kFilterCountData) != 0;
    c.count_control = at(r.row, C::kFilterCountControl) != 0;
    c.sink = static_cast<uint8_t>(r.get(C::kSink, 0, 31, "sink mask"));
    return c;
}

// True for opcodes whose A (B, C, DST) column is a register number.
struct Use {
    bool dst, a, b, c;
};
Use register_use(Op op) {
    const int o = static_cast<int>(op);
    if (op == Op::kLi) return {true, false, false, false};
    if (o >= static_cast<int>(Op::kMov) && o <= static_cast<int>(Op::kLoad)) return {true, true, true, true};
    switch (op) {
        case Op::kStore:
            return {false, true, true, false};
        case Op::kBz:
        case Op::kBnz:
            return {false, true, false, false};
        case Op::kLoop:
            return {true, false, true, true};
        case Op::kEndloop:
            return {true, false, false, true};
        case Op::kDsdSet:
            return {false, true, false, false};
        case Op::kDsdGet:
            return {true, false, false, false};
        case Op::kFifoSet:
            return {false, false, true, false};
        case Op::kActivate:
        case Op::kBlock:
        case Op::kUnblock:
        case Op::kRouteSet:
        case Op::kSwitchSet:
        case Op::kTeardownExit:
        case Op::kFilterSet:
        case Op::kQueueBind:
        case Op::kTaskPriority:
        case Op::kAssert:
            return {false, true, false, false};
        case Op::kSwitchGet:
        case Op::kTeardownGet:
        case Op::kTeardownPending:
        case Op::kFilterGet:
        case Op::kQueueGet:
        case Op::kTimestamp:
        case Op::kRandom:
        case Op::kPerfGet:
            return {true, false, false, false};
        case Op::kPrint:
            return {false, true, true, true};
        default:
            return {false, false, false, false};
    }
}

}  // namespace

Program::Program(const Tables& t, int sram_bytes) : width(t.width), height(t.height) {
    if (width < 1 || height < 1 || width > 4096 || height > 4096)
        throw ProgramFault("grid is " + std::to_string(width) + " x " + std::to_string(height) +
                           "; allowed 1 x 1 to 4096 x 4096");
    const int64_t num_pes = static_cast<int64_t>(width) * height;
    const int64_t num_code = t.code.rows;

    for (int64_t i = 0; i < t.tiles.rows; ++i) {
        const RowReader r{"tiles", i, t.tiles.row(i)};
        Tile tile;
        tile.num_regs = r.get(TileCol::kNumRegs, 0, 65536, "number of registers");
        tile.image_offset = r.get(TileCol::kImageOffset, 0, t.image_bytes, "image offset");
        tile.image_bytes = r.get(TileCol::kImageBytes, 0,
                                 std::min<int64_t>(t.image_bytes - tile.image_offset, sram_bytes), "image size");
        const int32_t first = r.get(TileCol::kDsdFirst, 0, t.dsds.rows, "first descriptor");
        const int32_t count = r.get(TileCol::kNumDsds, 0, t.dsds.rows - first, "number of descriptors");
        for (int32_t d = first; d < first + count; ++d)
            tile.dsds.push_back(read_dsd({"dsds", d, t.dsds.row(d)}, sram_bytes));
        tile.fifos.resize(static_cast<size_t>(r.get(TileCol::kNumFifos, 0, 64, "number of FIFOs")));
        tile.local_task.fill(-1);
        tile.control_task.fill(-1);
        tile.data_task.fill(-1);
        tiles.push_back(std::move(tile));
    }
    const auto num_tiles = static_cast<int64_t>(tiles.size());
    auto tile_of = [&](const RowReader& r, auto column) -> Tile& {
        return tiles[static_cast<size_t>(r.get(column, 0, num_tiles - 1, "tile"))];
    };

    tile_map.assign(t.tile_map, t.tile_map + num_pes);
    for (int64_t i = 0; i < num_pes; ++i)
        if (tile_map[static_cast<size_t>(i)] < -1 || tile_map[static_cast<size_t>(i)] >= num_tiles)
            bad("tile_map", i, "tile", tile_map[static_cast<size_t>(i)], -1, num_tiles - 1);

    for (int64_t i = 0; i < t.settings.rows; ++i) settings.push_back(read_settings({"settings", i, t.settings.row(i)}));
    for (int64_t i = 0; i < t.routes.rows; ++i) routes.push_back(read_route({"routes", i, t.routes.row(i)}));
    for (int64_t i = 0; i < t.colors.rows; ++i) {
        const int32_t color = t.colors.data[i];
        if (color < 0 || color >= kMaxColors) bad("colors", i, "color", color, 0, kMaxColors - 1);
        colors.push_back(color);
    }
    route_map.assign(t.route_map, t.route_map + num_pes * t.colors.rows);
    for (size_t i = 0; i < route_map.size(); ++i)
        if (route_map[i] < -1 || route_map[i] >= t.routes.rows)
            bad("route_map", static_cast<int64_t>(i), "route class", route_map[i], -1, t.routes.rows - 1);

    const auto num_settings = static_cast<int64_t>(settings.size());
    for (int64_t i = 0; i < t.tasks.rows; ++i) {
        using C = TaskCol;
        const RowReader r{"tasks", i, t.tasks.row(i)};
        Tile& tile = tile_of(r, C::kTile);
        Task task;
        task.kind = static_cast<TaskKind>(r.get(C::kKind, 0, 2, "kind"));
        task.id = r.get(C::kId, 0, 63, "task id");
        task.entry = r.get(C::kEntry, 0, num_code - 1, "entry");
        task.priority = r.get(C::kPriority, 0, 1, "priority");
        task.blocked = at(r.row, C::kBlocked) != 0;
        task.active = at(r.row, C::kActive) != 0;
        task.nargs = r.get(C::kNargs, 0, 2, "number of arguments");
        task.arg0 = r.get(C::kArg0, task.nargs > 0 ? 0 : -1, tile.num_regs - 1, "argument register");
        task.arg1 = r.get(C::kArg1, task.nargs > 1 ? 0 : -1, tile.num_regs - 1, "argument register");
        const auto index = static_cast<int16_t>(tile.tasks.size());
        int16_t* slot = nullptr;
        if (task.kind == TaskKind::kData) {
            task.queue = r.get(C::kQueue, 0, 7, "queue");
            slot = &tile.data_task[static_cast<size_t>(task.queue)];
        } else {
            slot = task.kind == TaskKind::kLocal ? &tile.local_task[static_cast<size_t>(task.id)]
                                                 : &tile.control_task[static_cast<size_t>(task.id)];
        }
        if (*slot >= 0) throw ProgramFault("table 'tasks' row " + std::to_string(i) + ": task already bound");
        *slot = index;
        tile.tasks.push_back(task);
    }
    for (int64_t i = 0; i < t.queues.rows; ++i) {
        using C = QueueCol;
        const RowReader r{"queues", i, t.queues.row(i)};
        Tile& tile = tile_of(r, C::kTile);
        const auto id = static_cast<size_t>(r.get(C::kId, 0, 7, "queue"));
        QueueInit& q = r.get(C::kDirection, 0, 1, "direction") ? tile.oq[id] : tile.iq[id];
        q.color = r.get(C::kColor, -1, kMaxColors - 1, "color");
        q.priority = r.get(C::kPriority, -1, 6, "priority");
        q.empty_task = r.get(C::kEmptyTask, -1, 63, "empty task");
        q.initialised = true;
    }
    for (int64_t i = 0; i < t.fifos.rows; ++i) {
        using C = FifoCol;
        const RowReader r{"fifos", i, t.fifos.row(i)};
        Tile& tile = tile_of(r, C::kTile);
        const auto id = static_cast<size_t>(r.get(C::kId, 0, static_cast<int64_t>(tile.fifos.size()) - 1, "FIFO"));
        Fifo& f = tile.fifos[id];
        f.elem_bytes = r.get(C::kElemBytes, 2, 4, "element size");
        f.base = r.get(C::kBase, 0, sram_bytes, "base address");
        f.capacity = r.get(C::kCapacity, 1, (sram_bytes - f.base) / f.elem_bytes, "capacity");
        f.activate_push = r.get(C::kActivatePush, -1, 63, "activated task");
        f.activate_pop = r.get(C::kActivatePop, -1, 63, "activated task");
    }
    for (Tile& tile : tiles)
        for (const Dsd& d : tile.dsds)
            if (d.kind == DsdKind::kFifo && d.fifo >= static_cast<int32_t>(tile.fifos.size()))
                throw ProgramFault("table 'dsds': FIFO " + std::to_string(d.fifo) + " is not declared in its tile");
    auto check_dsr = [](const RowReader& r, int32_t dsr) {
        if (dsr < 0 || dsr >= 96) bad(r.table, r.index, "descriptor register", dsr, 0, 95);
    };
    for (int64_t i = 0; i < t.dsr_init.rows; ++i) {
        using C = DsrInitCol;
        const RowReader r{"dsr_init", i, t.dsr_init.row(i)};
        Tile& tile = tile_of(r, C::kTile);
        const int32_t dsr = at(r.row, C::kDsr);
        check_dsr(r, dsr);
        const int32_t dsd = r.get(C::kDsd, 0, static_cast<int64_t>(tile.dsds.size()) - 1, "descriptor");
        const int32_t set = r.get(C::kSettings, -1, num_settings - 1, "settings");
        if (set >= 0 && settings[static_cast<size_t>(set)].index_reg >= tile.num_regs)
            bad("dsr_init", i, "index register", settings[static_cast<size_t>(set)].index_reg, -1, tile.num_regs - 1);
        tile.dsr_init.push_back({dsr, dsd, set});
    }
    for (int64_t i = 0; i < t.functions.rows; ++i) {
        using C = FunctionCol;
        const RowReader r{"functions", i, t.functions.row(i)};
        Tile& tile = tile_of(r, C::kTile);
        Function f;
        f.number = r.get(C::kFunction, 0, 65535, "function");
        f.entry = r.get(C::kEntry, 0, num_code - 1, "entry");
        f.nargs = r.get(C::kNargs, 0, 15, "number of arguments");
        f.arg0 = r.get(C::kArg0, f.nargs ? 0 : -1, f.nargs ? tile.num_regs - f.nargs : 65535, "argument register");
        tile.functions.push_back(f);
    }
    for (int64_t i = 0; i < t.params.rows; ++i) {
        using C = ParamCol;
        const RowReader r{"params", i, t.params.row(i)};
        const int32_t tile_index = r.get(C::kTile, 0, num_tiles - 1, "tile");
        ParamBlock p;
        p.bytes = r.get(C::kBytes, 1, sram_bytes, "size");
        p.address = r.get(C::kAddress, 0, sram_bytes - p.bytes, "address");
        p.offset = r.get(C::kOffset, 0, t.param_bytes, "offset");
        const int64_t count = std::count(tile_map.begin(), tile_map.end(), tile_index);
        if (p.offset + count * p.bytes > t.param_bytes)
            bad("params", i, "end of the values", p.offset + count * p.bytes, 0, t.param_bytes);
        tiles[static_cast<size_t>(tile_index)].params.push_back(p);
    }
    image.assign(t.image, t.image + t.image_bytes);
    param_values.assign(t.param_values, t.param_values + t.param_bytes);

    // Code: a row belongs to the tile whose range holds it; its registers and slots are checked against that tile.
    std::vector<int32_t> owner(static_cast<size_t>(num_code), -1);
    for (int64_t i = 0; i < num_tiles; ++i) {
        const RowReader r{"tiles", i, t.tiles.row(i)};
        const int32_t first = r.get(TileCol::kCodeFirst, 0, num_code, "first code row");
        const int32_t count = r.get(TileCol::kNumCode, 0, num_code - first, "number of code rows");
        std::fill_n(owner.begin() + first, count, static_cast<int32_t>(i));
    }
    for (int64_t i = 0; i < num_code; ++i) {
        using C = CodeCol;
        const RowReader r{"code", i, t.code.row(i)};
        if (owner[static_cast<size_t>(i)] < 0)
            throw ProgramFault("table 'code' row " + std::to_string(i) + ": belongs to no tile");
        Tile& tile = tiles[static_cast<size_t>(owner[static_cast<size_t>(i)])];
        const int32_t regs = tile.num_regs;
        Instr in;
        in.op = static_cast<Op>(at(r.row, C::kOp));
        in.dst = at(r.row, C::kDst);
        in.a = at(r.row, C::kA);
        in.b = at(r.row, C::kB);
        in.c = at(r.row, C::kC);
        in.imm = at(r.row, C::kImm);
        in.imm2 = at(r.row, C::kImm2);
        in.flags = at(r.row, C::kFlags);
        in.line = at(r.row, C::kLine);
        in.settings = r.get(C::kSettings, -1, num_settings - 1, "settings");
        in.aux = r.get(C::kAux, -1, regs - 1, "auxiliary register");
        in.type = r.get(C::kType, -1, 63, "type");
        const int op = static_cast<int>(in.op);
        const bool known = (op >= 0 && op <= 31) || (op >= 40 && op <= 46) || (op >= 50 && op <= 55) ||
                           (op >= 60 && op <= 61) || (op >= 70 && op <= 74) || (op >= 80 && op <= 98);
        if (!known) bad("code", i, "opcode", op, 0, 98);
        const bool vector = in.op == Op::kVop || in.op == Op::kMap;
        const Use use = register_use(in.op);
        const bool b_imm = in.flags & static_cast<int>(CodeFlag::kBImm);
        auto check_reg = [&](bool used, int32_t reg, const char* what) {
            if (used && (reg < -1 || reg >= regs)) bad("code", i, what, reg, -1, regs - 1);
        };
        check_reg(use.dst, in.dst, "register DST");
        check_reg(use.a, in.a, "register A");
        check_reg(use.b && !b_imm, in.b, "register B");
        check_reg(use.c, in.c, "register C");
        if (op <= 31 || op >= 70) {  // what runs them looks at all columns: those without a use are empty
            if (!use.dst) in.dst = -1;
            if (!use.a) in.a = -1;
            if (!use.b) in.b = -1;
            if (!use.c) in.c = -1;
        }
        if (!vector && op <= 30 && op >= 1 && in.dst < 0) bad("code", i, "register DST", in.dst, 0, regs - 1);
        if (in.op == Op::kLoop && !b_imm && in.b < 0) bad("code", i, "register B", in.b, 0, regs - 1);
        if (in.op == Op::kLoop || in.op == Op::kEndloop) {
            if (in.dst < 0) bad("code", i, "register DST", in.dst, 0, regs - 1);
            if (in.c < 0) bad("code", i, "register C", in.c, 0, regs - 1);
        }
        if (op >= 1 && op <= 29 && in.op != Op::kLi) {
            if (in.a < 0) bad("code", i, "register A", in.a, 0, regs - 1);
            r.get(C::kType, 0, 10, "type (cb16 is not implemented)");
            const bool two = (op >= 3 && op <= 14) || (op >= 18 && op <= 23) || in.op == Op::kSelect;
            if (two && !b_imm && in.b < 0) bad("code", i, "register B", in.b, 0, regs - 1);
            if (in.op == Op::kSelect && in.c < 0) bad("code", i, "register C", in.c, 0, regs - 1);
            if (in.op == Op::kCvt) r.get(C::kImm, 0, 10, "source type");
            if (in.op == Op::kMath) r.get(C::kImm, 0, 9, "function");
        }
        if (in.op == Op::kLoad || in.op == Op::kStore) {
            r.get(C::kType, 0, 10, "type (cb16 is not implemented)");
            if (in.op == Op::kStore && in.b < 0) bad("code", i, "register B", in.b, 0, regs - 1);
            if (in.op == Op::kLoad && in.dst < 0) bad("code", i, "register DST", in.dst, 0, regs - 1);
        }
        if ((in.op == Op::kBz || in.op == Op::kBnz || in.op == Op::kAssert) && in.a < 0)
            bad("code", i, "register A", in.a, 0, regs - 1);
        const bool targets = in.op == Op::kJmp || in.op == Op::kBz || in.op == Op::kBnz || in.op == Op::kCall ||
                             in.op == Op::kLoop || in.op == Op::kEndloop || in.op == Op::kMap;
        if (targets) {
            const int32_t target = r.get(C::kImm, 0, num_code - 1, "jump target");
            if (owner[static_cast<size_t>(target)] != owner[static_cast<size_t>(i)])
                throw ProgramFault("table 'code' row " + std::to_string(i) + ": jump into another tile's code");
        }
        auto note_dsr = [&](int32_t dsr) {
            check_dsr(r, dsr);
            int32_t& n = tile.num_dsrs[static_cast<size_t>(dsr / 32)];
            n = std::max(n, dsr % 32 + 1);
        };
        const auto num_slots = static_cast<int64_t>(tile.dsds.size());
        if (in.settings >= 0)  // of the op, or of the descriptor register that is loaded
            check_reg(true, settings[static_cast<size_t>(in.settings)].index_reg, "index register");
        const bool slot_reg = in.flags & static_cast<int>(CodeFlag::kSlotReg);
        if (slot_reg && in.aux < 0) bad("code", i, "auxiliary register", in.aux, 0, regs - 1);
        if (in.op == Op::kLoadDsr || in.op == Op::kStoreDsr) {
            note_dsr(in.op == Op::kLoadDsr ? in.dst : in.a);
            const int32_t slot = in.op == Op::kLoadDsr ? in.a : in.dst;
            if (!slot_reg && (slot < 0 || slot >= num_slots)) bad("code", i, "descriptor", slot, 0, num_slots - 1);
        } else if (in.op == Op::kDsdSet || in.op == Op::kDsdGet) {
            r.get(C::kImm, 0, 5, "descriptor field");
            const int32_t operand = in.op == Op::kDsdSet ? in.dst : in.a;
            const int32_t space = operand >> 16, index = operand & 0xffff;
            if (space < 0 || space > 3) bad("code", i, "descriptor space", space, 0, 3);
            if (space == 0) {
                if (!slot_reg && index >= num_slots) bad("code", i, "descriptor", index, 0, num_slots - 1);
            } else {
                if (index > 31) bad("code", i, "descriptor register", index, 0, 31);
                note_dsr((space - 1) * 32 + index);
            }
            if (in.op == Op::kDsdGet && in.dst < 0) bad("code", i, "register DST", in.dst, 0, regs - 1);
        } else if (in.op == Op::kDsdCopy) {
            if (in.dst < 0 || in.dst >= num_slots) bad("code", i, "descriptor", in.dst, 0, num_slots - 1);
            if (!slot_reg && (in.a < 0 || in.a >= num_slots)) bad("code", i, "descriptor", in.a, 0, num_slots - 1);
        } else if (in.op == Op::kFifoSet) {
            if (in.a < 0 || in.a >= static_cast<int32_t>(tile.fifos.size()))
                bad("code", i, "FIFO", in.a, 0, static_cast<int64_t>(tile.fifos.size()) - 1);
            r.get(C::kImm, 0, 2, "FIFO field");
        } else if (vector) {
            if (in.op == Op::kVop) r.get(C::kType, 0, kNumVops - 1, "vector operation");
            int dsrs = 0;
            for (const int32_t operand : {in.dst, in.a, in.b, in.c}) {
                if (operand < 0) continue;
                const int kind = operand >> 24, value = operand & 0xffffff;
                if (kind == static_cast<int>(OperandKind::kDsr)) {
                    note_dsr(value);
                    ++dsrs;
                } else if (kind == static_cast<int>(OperandKind::kReg) || kind == static_cast<int>(OperandKind::kPtr)) {
                    if (value >= regs) bad("code", i, "operand register", value, 0, regs - 1);
                } else if (kind != static_cast<int>(OperandKind::kImm) && kind != 0) {
                    bad("code", i, "operand kind", kind, 0, 4);
                }
            }
            if (in.op == Op::kMap) {
                const int32_t first = r.get(C::kImm2, 0, std::max(regs - 2, 0), "first argument register");
                if (first + 1 >= regs) bad("code", i, "first argument register", first, 0, regs - 2);
                if (in.aux < 0) bad("code", i, "result register", in.aux, 0, regs - 1);
            }
        } else if (in.op == Op::kRouteSet) {
            r.get(C::kImm2, 0, t.routes.rows - 1, "route class");
            if (in.a < 0) r.get(C::kImm, 0, kMaxColors - 1, "color");
        } else if (in.op == Op::kSwitchSet || in.op == Op::kSwitchGet || in.op == Op::kTeardownGet ||
                   in.op == Op::kFilterSet || in.op == Op::kFilterGet || (in.op == Op::kTeardownExit && in.a < 0)) {
            r.get(C::kImm, 0, kMaxColors - 1, "color");
            if (in.op == Op::kFilterSet || in.op == Op::kFilterGet) r.get(C::kImm2, 0, 4, "filter field");
        } else if (in.op == Op::kQueueGet || in.op == Op::kQueueFlush || in.op == Op::kQueueBind ||
                   in.op == Op::kQueueExit) {
            r.get(C::kImm, 0, 7, "queue");
            r.get(C::kType, 0, 1, "queue direction");
        } else if (in.op == Op::kActivate || in.op == Op::kBlock || in.op == Op::kUnblock ||
                   in.op == Op::kTaskPriority) {
            if (in.a < 0) r.get(C::kImm, 0, 63, "task id");
            if (in.op == Op::kTaskPriority) {
                r.get(C::kType, 0, static_cast<int>(BlockSpace::kControl), "task space");
                r.get(C::kImm2, 0, 1, "task priority");
            }
        }
        // SRAM addresses and shifted settings registers are checked when used: they are run-time values.
        code.push_back(in);
    }
    for (int64_t i = 0; i < num_tiles; ++i) {  // control never runs off the end of a tile's code, nor enters elsewhere
        const int32_t* row = t.tiles.row(i);
        const int32_t count = at(row, TileCol::kNumCode);
        const Tile& tile = tiles[static_cast<size_t>(i)];
        if (count > 0) {
            const Op last = code[static_cast<size_t>(at(row, TileCol::kCodeFirst) + count - 1)].op;
            if (last != Op::kRet && last != Op::kJmp)
                throw ProgramFault("tile " + std::to_string(i) + ": its code must end with RET or JMP");
        }
        auto check_entry = [&](int32_t entry, const char* table) {
            if (owner[static_cast<size_t>(entry)] != i)
                throw ProgramFault(std::string("table '") + table + "': entry " + std::to_string(entry) +
                                   " is not in the code of tile " + std::to_string(i));
        };
        for (const Task& task : tile.tasks) check_entry(task.entry, "tasks");
        for (const Function& f : tile.functions) check_entry(f.entry, "functions");
    }
    for (Tile& tile : tiles) {
        for (const auto& init : tile.dsr_init) {
            int32_t& n = tile.num_dsrs[static_cast<size_t>(init.dsr / 32)];
            n = std::max(n, init.dsr % 32 + 1);
        }
    }
}

}  // namespace wafersim
