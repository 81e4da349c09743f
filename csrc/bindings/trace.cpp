// Reads what Python holds of a timeline and hands it to the Perfetto writer.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstring>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/bindings.hpp"
#include "record/perfetto.hpp"

namespace py = pybind11;

namespace wafersim {
namespace {

// The packed rows of wafersim.record.timeline.DTYPE.
constexpr size_t kRowBytes = 45;

template <typename T>
T field(const char* row, size_t offset) {
    T value;
    std::memcpy(&value, row + offset, sizeof(T));
    return value;
}

TraceRow read_row(const char* row) {
    TraceRow r;
    r.kind = static_cast<Happening>(field<uint8_t>(row, 0));
    r.open = field<uint8_t>(row, 1) != 0;
    r.thread = field<int8_t>(row, 2);
    r.color = field<int16_t>(row, 3);
    r.x = field<int32_t>(row, 5);
    r.y = field<int32_t>(row, 9);
    r.name = field<int32_t>(row, 13);
    r.line = field<int32_t>(row, 17);
    r.begin = field<int64_t>(row, 21);
    r.end = field<int64_t>(row, 29);
    r.value = field<int64_t>(row, 37);
    return r;
}

using Line = std::pair<std::string, int64_t>;
using Counter = std::tuple<std::string, std::string, std::vector<std::pair<Cycle, double>>>;

py::tuple perfetto(const py::buffer& rows, const py::array_t<int64_t, py::array::c_style>& flows,
                   std::pair<int, int> corner, std::pair<int, int> size, const std::vector<std::string>& names,
                   const std::vector<std::pair<int, std::string>>& colors, const std::vector<Line>& lines,
                   const std::vector<Counter>& counters, const std::string& note) {
    const py::buffer_info info = rows.request();
    if (info.ndim != 1 || info.itemsize != static_cast<py::ssize_t>(kRowBytes) || info.strides[0] != info.itemsize)
        throw py::value_error("rows of " + std::to_string(kRowBytes) + " bytes wanted, one after the other");
    if (flows.ndim() != 1 || (flows.shape(0) != info.shape[0] && flows.shape(0) != 0))
        throw py::value_error("as many flows as rows, or none, wanted");
    if (size.first < 1 || size.second < 1) throw py::value_error("an empty rectangle");
    int idle = -1;
    for (size_t k = 0; k < names.size(); ++k)
        if (names[k] == "idle") idle = static_cast<int>(k);
    PerfettoWriter writer(corner.first, corner.second, size.first, size.second, idle);
    for (const std::string& name : names) writer.add_name(name);
    for (const auto& [number, name] : colors) writer.add_color(number, name);
    for (const auto& [file, number] : lines) writer.add_line(file, number);
    if (!note.empty()) writer.add_note(note, 0);
    const char* row = static_cast<const char*>(info.ptr);
    const int64_t* flow = flows.shape(0) ? flows.data() : nullptr;
    {
        const py::gil_scoped_release release;
        writer.reserve(static_cast<size_t>(info.shape[0]));
        for (py::ssize_t k = 0; k < info.shape[0]; ++k, row += kRowBytes) {
            TraceRow r = read_row(row);
            if (r.kind > Happening::kLink) continue;
            if (flow) r.flow = static_cast<uint64_t>(flow[k]);
            writer.add(r);
        }
    }
    for (const auto& [name, unit, values] : counters) writer.add_counter(name, unit, values);
    return py::make_tuple(py::bytes(writer.bytes()), writer.slices());
}

}  // namespace

void register_trace(py::module_& m) {
    m.def("perfetto", &perfetto, py::arg("rows"), py::arg("flows"), py::arg("corner"), py::arg("size"),
          py::arg("names"), py::arg("colors"), py::arg("lines"), py::arg("counters"), py::arg("note"),
          "A Perfetto trace of the packed rows of a timeline, and how many slices it holds.");
}

}  // namespace wafersim
