#include "bindings/tables.hpp"

#include <pybind11/numpy.h>

#include <cstring>
#include <string>

namespace py = pybind11;

namespace wafersim {
namespace {

py::array table(const py::dict& tables, const char* name, const char* type, int ndim) {
    if (!tables.contains(name)) throw ProgramFault(std::string("table '") + name + "' is missing");
    const py::object object = tables[name];
    if (!py::isinstance<py::array>(object)) throw ProgramFault(std::string("table '") + name + "' is not an array");
    py::array array = py::reinterpret_borrow<py::array>(object);
    const bool right = std::strcmp(type, "int32") == 0   ? py::isinstance<py::array_t<int32_t>>(array)
                       : std::strcmp(type, "int16") == 0 ? py::isinstance<py::array_t<int16_t>>(array)
                                                         : py::isinstance<py::array_t<uint8_t>>(array);
    if (!right || array.ndim() != ndim)
        throw ProgramFault(std::string("table '") + name + "' must be " + type + " with " + std::to_string(ndim) +
                           " dimensions");
    if (!(array.flags() & py::array::c_style))
        throw ProgramFault(std::string("table '") + name + "' must be C-contiguous");
    return array;
}

TableView view(const py::dict& tables, const char* name, int cols) {
    const py::array a = table(tables, name, "int32", cols == 1 ? 1 : 2);
    if (cols > 1 && a.shape(1) != cols)
        throw ProgramFault(std::string("table '") + name + "' has " + std::to_string(a.shape(1)) +
                           " columns; expected " + std::to_string(cols));
    return {static_cast<const int32_t*>(a.data()), a.shape(0), cols};
}

}  // namespace

Tables read_tables(const py::dict& d) {
    Tables t;
    const TableView grid = view(d, "grid", 1);
    if (grid.rows != 2) throw ProgramFault("table 'grid' must hold width and height");
    t.width = grid.data[0];
    t.height = grid.data[1];
    const py::array map = table(d, "tile_map", "int16", 2);
    if (map.shape(0) != t.height || map.shape(1) != t.width)
        throw ProgramFault("table 'tile_map' must have the shape [height, width]");
    t.tile_map = static_cast<const int16_t*>(map.data());
    t.tiles = view(d, "tiles", kTileCols);
    t.code = view(d, "code", kCodeCols);
    t.dsds = view(d, "dsds", kDsdCols);
    t.settings = view(d, "settings", kSettingsCols);
    t.tasks = view(d, "tasks", kTaskCols);
    t.queues = view(d, "queues", kQueueCols);
    t.fifos = view(d, "fifos", kFifoCols);
    t.functions = view(d, "functions", kFunctionCols);
    t.dsr_init = view(d, "dsr_init", 4);
    t.routes = view(d, "routes", kRouteCols);
    t.colors = view(d, "colors", 1);
    t.params = view(d, "params", 4);
    t.arrays = view(d, "arrays", kArrayCols);
    const py::array routes = table(d, "route_map", "int16", 3);
    if (routes.shape(0) != t.colors.rows ||
        (routes.shape(0) && (routes.shape(1) != t.height || routes.shape(2) != t.width)))
        throw ProgramFault("table 'route_map' must have the shape [colors, height, width]");
    t.route_map = static_cast<const int16_t*>(routes.data());
    const py::array image = table(d, "image", "uint8", 1), values = table(d, "param_values", "uint8", 1);
    t.image = static_cast<const uint8_t*>(image.data());
    t.image_bytes = image.shape(0);
    t.param_values = static_cast<const uint8_t*>(values.data());
    t.param_bytes = values.shape(0);
    return t;
}

}  // namespace wafersim
