// `wafersim._core.StreamMachine`: a wafer at stream fidelity.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>

#include "bindings/bindings.hpp"
#include "bindings/tables.hpp"
#include "stream/strips.hpp"

namespace py = pybind11;

namespace wafersim {
namespace {

struct PyStream {
    std::unique_ptr<stream::Strips> strips;
    std::atomic<bool> running{false};
};

struct BusyStream {
    explicit BusyStream(PyStream& m) : flag(m.running) {
        if (flag.exchange(true)) throw std::runtime_error("this machine is running in another thread");
    }
    ~BusyStream() { flag = false; }
    std::atomic<bool>& flag;
};

void check_rectangle(const stream::Strips& m, int x, int y, int w, int h) {
    if (x < 0 || y < 0 || w < 1 || h < 1 || x + w > m.program().width || y + h > m.program().height)
        throw py::value_error("the rectangle is not inside the fabric");
}

int run(PyStream& self, const Limits& limits, const py::object& progress) {
    const BusyStream busy(self);
    std::optional<py::error_already_set> raised;
    auto poll = [&] {
        const py::gil_scoped_acquire acquire;
        if (PyErr_CheckSignals() != 0) {
            raised.emplace();
            return true;
        }
        if (progress.is_none()) return false;
        try {
            progress(self.strips->now(), self.strips->events());
        } catch (py::error_already_set& e) {
            raised.emplace(std::move(e));
        }
        return raised.has_value();
    };
    Status status;
    {
        const py::gil_scoped_release release;
        status = self.strips->run(limits, poll);
    }
    if (raised && !raised->matches(PyExc_KeyboardInterrupt)) throw std::move(*raised);
    return static_cast<int>(status);
}

// [h, w, bytes], or None if a PE does not know the bytes without values.
py::object read(PyStream& self, int x, int y, int w, int h, int address, int bytes) {
    const BusyStream busy(self);
    stream::Strips& m = *self.strips;
    check_rectangle(m, x, y, w, h);
    py::array_t<uint8_t> out({h, w, bytes});
    uint8_t* to = out.mutable_data();
    for (int j = 0; j < h; ++j)
        for (int i = 0; i < w; ++i, to += bytes)
            if (!m.read(static_cast<uint32_t>((y + j) * m.program().width + x + i), address, bytes, to))
                return py::none();
    return out;
}

// How many bytes are scalar state and so kept; the others are array data, which has no values.
int write(PyStream& self, int x, int y, int w, int h, int address, const py::array_t<uint8_t>& data, bool known) {
    const BusyStream busy(self);
    stream::Strips& m = *self.strips;
    if (data.ndim() != 3 || data.shape(0) != h || data.shape(1) != w)
        throw py::value_error("data must have the shape [h, w, bytes]");
    const auto bytes = static_cast<int>(data.shape(2));
    check_rectangle(m, x, y, w, h);
    int kept = 0;
    const std::vector<uint8_t> nothing(static_cast<size_t>(bytes));
    const py::array_t<uint8_t, py::array::c_style> rows =  // a copy only of values, and of those that do not lie so
        known ? py::array_t<uint8_t, py::array::c_style>(data) : py::array_t<uint8_t, py::array::c_style>();
    const uint8_t* from = known ? rows.data() : nullptr;
    for (int j = 0; j < h; ++j)
        for (int i = 0; i < w; ++i) {
            const std::span<const uint8_t> values(from ? from : nothing.data(), static_cast<size_t>(bytes));
            kept += m.write(static_cast<uint32_t>((y + j) * m.program().width + x + i), address, values, known);
            if (from) from += bytes;
        }
    return kept;
}

template <typename Visit>
void every_pe(const stream::Strips& m, int x, int y, int w, int h, Visit&& visit) {
    check_rectangle(m, x, y, w, h);
    for (int j = 0; j < h; ++j)
        for (int i = 0; i < w; ++i) visit(static_cast<uint32_t>((y + j) * m.program().width + x + i), j, i);
}

// values [h, w, n] and, if not empty, control [h, w, n] (0 or 1); the host's end has judged color and port.
void feed(PyStream& self, int x, int y, int w, int h, int color, int port,
          const py::array_t<uint32_t, py::array::c_style>& values,
          const py::array_t<uint8_t, py::array::c_style>& control) {
    const BusyStream busy(self);
    if (values.ndim() != 3 || values.shape(0) != h || values.shape(1) != w)
        throw py::value_error("values must have the shape [h, w, n]");
    if (control.size() && (control.ndim() != 3 || control.size() != values.size()))
        throw py::value_error("control must have the shape of the values");
    const auto n = static_cast<size_t>(values.shape(2));
    size_t at = 0;
    every_pe(*self.strips, x, y, w, h, [&](uint32_t pe, int, int) {
        stream::HostWords words;
        words.payloads.assign(values.data() + at, values.data() + at + n);
        if (control.size()) words.control.assign(control.data() + at, control.data() + at + n);
        at += n;
        self.strips->feed(pe, port, color, words);
    });
}

// (values, cycles, control), each [h, w, count]; so many have arrived.
py::tuple collect(PyStream& self, int x, int y, int w, int h, int color, int port, int64_t count) {
    const BusyStream busy(self);
    every_pe(*self.strips, x, y, w, h, [&](uint32_t pe, int, int) {
        if (count < 0 || self.strips->arrived(pe, port, color) < count)
            throw py::value_error("a PE has given fewer than " + std::to_string(count) + " wavelets");
    });
    const std::vector<py::ssize_t> shape{h, w, count};
    py::array_t<uint32_t> values(shape);
    py::array_t<int64_t> cycles(shape);
    py::array_t<uint8_t> control(shape);
    ptrdiff_t at = 0;
    every_pe(*self.strips, x, y, w, h, [&](uint32_t pe, int, int) {
        stream::HostWords words;
        self.strips->collect(pe, port, color, count, words);
        std::copy(words.payloads.begin(), words.payloads.end(), values.mutable_data() + at);
        std::copy(words.cycles.begin(), words.cycles.end(), cycles.mutable_data() + at);
        std::copy(words.control.begin(), words.control.end(), control.mutable_data() + at);
        at += static_cast<ptrdiff_t>(count);
    });
    return py::make_tuple(values, cycles, control);
}

py::array_t<int64_t> arrived(PyStream& self, int x, int y, int w, int h, int color, int port) {
    const BusyStream busy(self);
    py::array_t<int64_t> out(std::vector<py::ssize_t>{h, w});
    every_pe(*self.strips, x, y, w, h,
             [&](uint32_t pe, int j, int i) { out.mutable_at(j, i) = self.strips->arrived(pe, port, color); });
    return out;
}

// Bytes of what a PE is made of, for estimates.
py::dict sizes() {
    py::dict d;
    d["node"] = sizeof(stream::Node), d["color"] = sizeof(stream::Color);
    d["link_fifo"] = sizeof(stream::LinkFifo), d["out_link"] = sizeof(stream::OutLink);
    d["in_queue"] = sizeof(stream::InQueue), d["out_queue"] = sizeof(stream::OutQueue);
    d["thread"] = sizeof(stream::Thread), d["known_pe"] = sizeof(stream::Pe);
    return d;
}

py::list prints(const PyStream& self) {
    const int32_t width = self.strips->program().width;
    py::list out;
    for (const stream::Print& p : self.strips->prints()) {
        py::list values;
        for (size_t i = 0; i < 3; ++i)
            if (p.regs[i] >= 0) values.append(p.values[i]);
        const auto place = static_cast<int32_t>(p.pe);
        out.append(py::make_tuple(p.cycle, place % width, place / width, p.text, values));
    }
    return out;
}

// `exact`: the same whatever the number of threads; the others are about how the work was done.
py::dict figures(const PyStream& self, bool exact) {
    const stream::Strips& m = *self.strips;
    auto sum = [&](auto&& of) {
        uint64_t all = 0;
        for (const auto& e : m.engines()) all += of(*e);
        return all;
    };
    using E = stream::Engine;
    py::dict d;
    if (exact) {
        d["steps"] = sum([](const E& e) { return e.figures.steps; });
        d["messages"] = sum([](const E& e) { return e.figures.hears; });
        d["late"] = sum([](const E& e) { return e.loop().late; });
        if (!m.engines()[0]->loop().coarse.on()) return d;
        int64_t most = 0;
        for (const auto& e : m.engines()) most = std::max(most, e->loop().coarse.most);
        d["beyond_buffers"] = sum([](const E& e) { return e.loop().coarse.beyond; }), d["most_waiting"] = most;
        return d;
    }
    d["threads"] = m.engines().size();
    d["band"] = m.band(), d["barriers"] = m.barriers(), d["events_of_busiest"] = m.events_of_busiest();
    d["stretches"] = sum([](const E& e) { return e.mains().runs; });
    d["stretches_recorded"] = sum([](const E& e) { return e.mains().recorded; });
    d["places"] = sum([](const E& e) { return e.mains().num_places(); });
    d["words_placed"] = sum([](const E& e) { return e.loop().words; });
    d["leaps"] = sum([](const E& e) { return e.loop().leaps; });
    d["placed"] = sum([](const E& e) { return e.loop().placed; });
    d["looking_up"] = sum([](const E& e) { return e.memo() != nullptr; });
    d["waited"] = sum([](const E& e) { return e.figures.waited; });
    d["passes"] = sum([](const E& e) { return e.figures.passes; });
    d["taken"] = sum([](const E& e) { return e.figures.taken; });
    d["looked_up"] = sum([](const E& e) { return e.memo() ? e.lookups() - e.memo()->misses : 0; });
    d["made"] = sum([](const E& e) { return e.memo() ? e.memo()->misses : e.events(); });
    d["situations"] = sum([](const E& e) { return e.memo() ? e.memo()->size() : 0; });
    d["memo_bytes"] = sum([](const E& e) { return e.memo() ? e.memo()->bytes() : 0; });
    d["shortcut_bytes"] = sum([](const E& e) { return e.figures.shortcut_bytes; });
    d["memo_renewals"] = sum([](const E& e) { return e.figures.renewals; });
    d["table_bytes"] = sum([](const E& e) { return e.table_bytes(); });
    d["pe_bytes"] = sum([](const E& e) { return e.pe_bytes(); });
    return d;
}

}  // namespace

void register_stream(py::module_& m) {
    py::class_<PyStream>(m, "StreamMachine")
        .def(py::init([](const py::dict& tables, const py::array_t<int64_t, py::array::c_style>& arch,
                         const py::array_t<int32_t, py::array::c_style>& vops, int64_t grain, int64_t most_words,
                         bool look_up, size_t memo_bytes, bool values, int threads, int band, uint64_t seed) {
                 auto out = std::make_unique<PyStream>();
                 const Tables t = read_tables(tables);
                 const std::span<const int64_t> ints(arch.data(), static_cast<size_t>(arch.size()));
                 const std::span<const int32_t> costs(vops.data(), static_cast<size_t>(vops.size()));
                 py::gil_scoped_release release;
                 out->strips = std::make_unique<stream::Strips>(
                     t, ints, costs,
                     stream::Strips::Options{values, threads, band, grain, most_words, look_up, seed, memo_bytes});
                 return out;
             }),
             py::arg("tables"), py::arg("arch_ints"), py::arg("vop_costs"), py::arg("grain") = 1,
             py::arg("most_words") = 0, py::arg("look_up") = true, py::arg("memo_bytes") = size_t{1} << 30,
             py::arg("values") = false, py::arg("threads") = 1, py::arg("band") = 0, py::arg("seed") = 0)
        .def(
            "launch",
            [](PyStream& self, int function, const std::vector<uint64_t>& args) {
                const BusyStream busy(self);
                return self.strips->launch(function, args);
            },
            py::arg("function"), py::arg("args"))
        .def("read", &read, py::arg("x"), py::arg("y"), py::arg("w"), py::arg("h"), py::arg("address"),
             py::arg("bytes"))
        .def("write", &write, py::arg("x"), py::arg("y"), py::arg("w"), py::arg("h"), py::arg("address"),
             py::arg("data"), py::arg("known") = true)
        .def(
            "run",
            [](PyStream& self, int64_t max_cycles, double max_seconds, int64_t max_events, int64_t pause_at,
               const py::object& progress, int64_t max_work) {
                return run(self, {max_cycles, max_seconds, max_events, pause_at, max_work}, progress);
            },
            py::arg("max_cycles") = -1, py::arg("max_seconds") = 0.0, py::arg("max_events") = 0,
            py::arg("pause_at") = -1, py::arg("progress") = py::none(), py::arg("max_work") = 0)
        .def(  // for benchmarks: the first looks at PEs, [n, 2] cycle and PE; with one thread
            "keep_order", [](PyStream& self, size_t most) { self.strips->engines().front()->most_order = most; },
            py::arg("most"))
        .def_property_readonly("order",
                               [](const PyStream& self) {
                                   const auto& order = self.strips->engines().front()->order;
                                   py::array_t<uint32_t> out({static_cast<py::ssize_t>(order.size()), py::ssize_t{2}});
                                   if (!order.empty())
                                       std::memcpy(out.mutable_data(), order.data(), order.size() * sizeof order[0]);
                                   return out;
                               })
        .def_property_readonly("cycle", [](const PyStream& self) { return self.strips->now(); })
        .def_property_readonly("events_processed", [](const PyStream& self) { return self.strips->events(); })
        .def_property_readonly("open_launches", [](const PyStream& self) { return self.strips->open_launches(); })
        .def("feed", &feed, py::arg("x"), py::arg("y"), py::arg("w"), py::arg("h"), py::arg("color"), py::arg("port"),
             py::arg("values"), py::arg("control"))
        .def(  // nothing to prepare
            "declare_port", [](PyStream&, int, int, int, int, int, int) {}, py::arg("x"), py::arg("y"), py::arg("w"),
            py::arg("h"), py::arg("color"), py::arg("port"))
        .def("collect", &collect, py::arg("x"), py::arg("y"), py::arg("w"), py::arg("h"), py::arg("color"),
             py::arg("port"), py::arg("count"))
        .def("arrived", &arrived, py::arg("x"), py::arg("y"), py::arg("w"), py::arg("h"), py::arg("color"),
             py::arg("port"))
        .def("prints", &prints)
        .def("figures", [](const PyStream& self) { return figures(self, true); })
        .def("work", [](const PyStream& self) { return figures(self, false); })
        .def_static("sizes", &sizes);
}

}  // namespace wafersim
