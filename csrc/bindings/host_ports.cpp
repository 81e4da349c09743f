// Feeding router ports and reading sinks over rectangles of PEs.
#include <pybind11/numpy.h>

#include <string>
#include <vector>

#include "bindings/py_machine.hpp"

namespace py = pybind11;

namespace wafersim {
namespace {

template <typename T>
using Array = py::array_t<T, py::array::c_style>;

template <typename Visit>
void every_pe(int x, int y, int w, int h, Visit&& visit) {
    for (int j = 0; j < h; ++j)
        for (int i = 0; i < w; ++i) visit(x + i, y + j, j, i);
}

// values [h, w, n] and, if not empty, control [h, w, n] (0 or 1)
void feed(PyMachine& self, int x, int y, int w, int h, int color, int port, const Array<uint32_t>& values,
          const Array<uint8_t>& control) {
    const Busy busy(self);
    if (values.ndim() != 3 || values.shape(0) != h || values.shape(1) != w)
        throw py::value_error("values must have the shape [h, w, n]");
    if (control.size() && (control.ndim() != 3 || control.size() != values.size()))
        throw py::value_error("control must have the shape of the values");
    every_pe(x, y, w, h, [&](int px, int py, int, int) { self.machine->declare_port(px, py, color, port); });
    const auto n = static_cast<size_t>(values.shape(2));
    std::vector<HostWavelet> words(n);
    every_pe(x, y, w, h, [&](int px, int py, int j, int i) {
        const size_t at = (static_cast<size_t>(j) * static_cast<size_t>(w) + static_cast<size_t>(i)) * n;
        for (size_t k = 0; k < n; ++k)
            words[k] = {self.machine->cycle(), values.data()[at + k], control.size() && control.data()[at + k]};
        self.machine->feed(px, py, color, port, words);
    });
}

// (values, cycles, control), each [h, w, count]
py::tuple collect(PyMachine& self, int x, int y, int w, int h, int color, int port, int64_t count) {
    const Busy busy(self);
    every_pe(x, y, w, h, [&](int px, int py, int, int) {
        if (count < 0 || self.machine->arrived(px, py, color, port) < count)
            throw py::value_error("PE (" + std::to_string(px) + ", " + std::to_string(py) + ") has given fewer than " +
                                  std::to_string(count) + " wavelets");
    });
    const std::vector<py::ssize_t> shape{h, w, count};
    Array<uint32_t> values(shape);
    Array<int64_t> cycles(shape);
    Array<uint8_t> control(shape);
    size_t at = 0;
    every_pe(x, y, w, h, [&](int px, int py, int, int) {
        for (int64_t k = 0; k < count; ++k, ++at) {
            const HostWavelet word = self.machine->read_collected(px, py, color, port);
            values.mutable_data()[at] = word.payload;
            cycles.mutable_data()[at] = word.cycle;
            control.mutable_data()[at] = word.control;
        }
    });
    return py::make_tuple(values, cycles, control);
}

template <typename Count>
Array<int64_t> counts(PyMachine& self, int x, int y, int w, int h, Count&& count) {
    const Busy busy(self);
    Array<int64_t> out(std::vector<py::ssize_t>{h, w});
    every_pe(x, y, w, h, [&](int px, int py, int j, int i) { out.mutable_at(j, i) = count(px, py); });
    return out;
}

}  // namespace

void register_host_ports(py::class_<PyMachine>& machine) {
    machine
        .def("feed", &feed, py::arg("x"), py::arg("y"), py::arg("w"), py::arg("h"), py::arg("color"), py::arg("port"),
             py::arg("values"), py::arg("control"))
        .def("collect", &collect, py::arg("x"), py::arg("y"), py::arg("w"), py::arg("h"), py::arg("color"),
             py::arg("port"), py::arg("count"))
        .def(
            "declare_port",
            [](PyMachine& self, int x, int y, int w, int h, int color, int port) {
                const Busy busy(self);
                every_pe(x, y, w, h,
                         [&](int px, int py, int, int) { self.machine->declare_port(px, py, color, port); });
            },
            py::arg("x"), py::arg("y"), py::arg("w"), py::arg("h"), py::arg("color"), py::arg("port"))
        .def(
            "arrived",
            [](PyMachine& self, int x, int y, int w, int h, int color, int port) {
                return counts(self, x, y, w, h,
                              [&](int px, int py) { return self.machine->arrived(px, py, color, port); });
            },
            py::arg("x"), py::arg("y"), py::arg("w"), py::arg("h"), py::arg("color"), py::arg("port"))
        .def(
            "fed_left",
            [](PyMachine& self, int x, int y, int w, int h, int color, int port) {
                return counts(self, x, y, w, h,
                              [&](int px, int py) { return self.machine->fed_left(px, py, color, port); });
            },
            py::arg("x"), py::arg("y"), py::arg("w"), py::arg("h"), py::arg("color"), py::arg("port"))
        .def(
            "watch",
            [](PyMachine& self, int x, int y, int w, int h, int color, int port, int64_t count) {
                const Busy busy(self);
                every_pe(x, y, w, h,
                         [&](int px, int py, int, int) { self.machine->watch(px, py, color, port, count); });
            },
            py::arg("x"), py::arg("y"), py::arg("w"), py::arg("h"), py::arg("color"), py::arg("port"),
            py::arg("count"));
}

}  // namespace wafersim
