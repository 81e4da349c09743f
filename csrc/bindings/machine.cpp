#include "wafer/machine.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <atomic>
#include <bit>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings/bindings.hpp"
#include "bindings/py_machine.hpp"
#include "bindings/tables.hpp"

namespace py = pybind11;

namespace wafersim {
namespace {

using IntArray = py::array_t<int32_t, py::array::c_style>;

void check_rectangle(const Machine& m, int x, int y, int w, int h, int address, int64_t bytes) {
    if (x < 0 || y < 0 || w < 1 || h < 1 || x + w > m.width() || y + h > m.height())
        throw py::value_error("rectangle (" + std::to_string(x) + ", " + std::to_string(y) + ") " + std::to_string(w) +
                              " x " + std::to_string(h) + " is not inside the fabric of " + std::to_string(m.width()) +
                              " x " + std::to_string(m.height()));
    if (address < 0 || bytes < 0 || address + bytes > m.arch().sram_bytes)
        throw py::value_error("bytes " + std::to_string(address) + " to " + std::to_string(address + bytes) +
                              " are not inside SRAM");
}

// From numpy, whose large arrays of zeros take no memory before they are written to.
template <typename... Extent>
py::array_t<int64_t> zeros(Extent... extent) {
    return py::module_::import("numpy").attr("zeros")(py::make_tuple(extent...), "int64");
}

py::list wait_list(Machine& m, size_t limit) {
    py::list out;
    for (const WaitReport& r : m.waits(limit)) {
        py::dict d;
        d["x"] = r.pe.x;
        d["y"] = r.pe.y;
        d["thread"] = r.thread;
        d["reason"] = r.reason;
        d["kind"] = r.kind;
        d["what"] = r.what;
        d["line"] = r.line;
        d["color"] = r.color;
        d["queue"] = r.queue;
        d["task"] = r.task;
        d["function"] = r.function;
        d["done"] = r.done;
        d["length"] = r.length;
        d["fill"] = r.fill;
        auto pe_list = [](const std::vector<PeCoord>& pes) {
            py::list list;
            for (const PeCoord& c : pes) list.append(py::make_tuple(c.x, c.y));
            return list;
        };
        d["waits_for"] = pe_list(r.waits_for);
        d["blocked_on"] = pe_list(r.blocked_on);
        d["places"] = py::cast(r.places);
        py::list host_ports;
        for (const HostPlace& h : r.host_ports) host_ports.append(py::make_tuple(h.pe.x, h.pe.y, h.color, h.port));
        d["host_ports"] = host_ports;
        out.append(d);
    }
    return out;
}

py::dict inspect(Machine& m, int x, int y) {
    py::dict d;
    Pe* p = m.pe(x, y);
    d["x"] = x;
    d["y"] = y;
    py::list colors;
    if (x >= 0 && y >= 0 && x < m.width() && y < m.height()) {
        for (const ColorState* cs : m.fabric().colors(static_cast<uint32_t>(y * m.width() + x))) {
            py::dict c;
            c["color"] = static_cast<int>(cs->color);
            c["position"] = static_cast<int>(cs->position);
            c["teardown"] = cs->teardown;
            c["waiting"] = py::make_tuple(m.fabric().fifo(*cs, 0).count(), m.fabric().fifo(*cs, 1).count(),
                                          m.fabric().fifo(*cs, 2).count(), m.fabric().fifo(*cs, 3).count(),
                                          m.fabric().fifo(*cs, 4).count());
            colors.append(c);
        }
    }
    d["colors"] = colors;
    if (!p) return d;
    auto queue_list = [](const auto& queues) {
        py::list out;
        for (const auto& q : queues) {
            py::list payloads;
            for (int i = 0; i < q.ring.count(); ++i) payloads.append(q.ring.at(i).payload);
            py::dict one;
            one["color"] = q.color;
            one["payloads"] = payloads;
            out.append(one);
        }
        return out;
    };
    d["input_queues"] = queue_list(p->queues->iq);
    d["output_queues"] = queue_list(p->queues->oq);
    d["in_task"] = p->in_task;
    d["task"] = p->task >= 0 && p->in_task ? p->tile->tasks[static_cast<size_t>(p->task)].id : -1;
    d["pc"] = p->pc;
    d["line"] = p->in_task ? m.program().code[static_cast<size_t>(p->pc)].line : -1;
    py::list active, blocked;
    for (size_t i = 0; i < p->tile->tasks.size(); ++i) {
        if (p->active >> i & 1) active.append(p->tile->tasks[i].id);
        if (p->blocked >> i & 1) blocked.append(p->tile->tasks[i].id);
    }
    d["active_tasks"] = active;
    d["blocked_tasks"] = blocked;
    py::list live;
    for (int thread = 0; thread <= kMainThread; ++thread) {
        const LiveOp* op = p->op(thread);
        if (!op || !op->live) continue;
        py::dict o;
        o["thread"] = thread;
        o["vop"] = op->op == Op::kMap ? -1 : static_cast<int>(op->vop);
        o["done"] = op->done;
        o["length"] = op->endless ? -1 : op->length;
        o["line"] = op->line;
        live.append(o);
    }
    d["live_ops"] = live;
    d["registers"] = std::vector<uint64_t>(p->regs, p->regs + p->tile->num_regs);
    return d;
}

}  // namespace

namespace {

// Rows of kind, x, y, begin, end, thread, code, line, value, open; then entries dropped, cycle up to which none was.
py::object timeline(PyMachine& self) {
    const Busy busy(self);
    Machine& m = *self.machine;
    const std::vector<TimelineEntry> entries = m.timeline_entries();
    py::array_t<int64_t> out({static_cast<py::ssize_t>(entries.size()), static_cast<py::ssize_t>(10)});
    int64_t* row = out.mutable_data();
    for (const TimelineEntry& e : entries) {
        const PeCoord at = m.fabric().coord(e.pe);
        const int64_t values[10] = {
            static_cast<int64_t>(e.kind), at.x, at.y, e.begin, e.end, e.thread, e.code, e.line, e.value, e.open};
        row = std::copy(std::begin(values), std::end(values), row);
    }
    const Timeline* kept = m.timeline();
    const bool whole = !kept || !kept->dropped();
    return py::make_tuple(out, kept ? kept->dropped() : 0, whole ? int64_t{-1} : kept->complete_until());
}

}  // namespace

void register_machine(py::module_& m) {
    py::class_<PyMachine> machine_class(m, "Machine");
    register_host_ports(machine_class);
    machine_class
        .def(py::init([](const py::dict& tables, const py::array_t<int64_t, py::array::c_style>& arch,
                         const IntArray& vops, uint64_t seed) {
                 auto out = std::make_unique<PyMachine>();
                 const Tables t = read_tables(tables);
                 const std::span<const int64_t> ints(arch.data(), static_cast<size_t>(arch.size()));
                 const std::span<const int32_t> costs(vops.data(), static_cast<size_t>(vops.size()));
                 py::gil_scoped_release release;
                 out->machine = std::make_unique<Machine>(t, ints, costs, seed);
                 return out;
             }),
             py::arg("tables"), py::arg("arch_ints"), py::arg("vop_costs"), py::arg("seed") = 0)
        .def(
            "launch",
            [](PyMachine& self, int function, const std::vector<uint64_t>& args) {
                const Busy busy(self);
                return self.machine->launch(function, args);
            },
            py::arg("function"), py::arg("args"))
        .def("write",
             [](PyMachine& self, int x, int y, int w, int h, int address,
                const py::array_t<uint8_t, py::array::c_style>& data) {
                 const Busy busy(self);
                 if (data.ndim() != 3 || data.shape(0) != h || data.shape(1) != w)
                     throw py::value_error("data must have the shape [h, w, bytes]");
                 const int64_t n = data.shape(2);
                 check_rectangle(*self.machine, x, y, w, h, address, n);
                 for (int j = 0; j < h; ++j)
                     for (int i = 0; i < w; ++i)
                         if (uint8_t* s = self.machine->sram(x + i, y + j))
                             std::memcpy(s + address, data.data(j, i, 0), static_cast<size_t>(n));
             })
        .def("read",
             [](PyMachine& self, int x, int y, int w, int h, int address, int64_t bytes) {
                 const Busy busy(self);
                 check_rectangle(*self.machine, x, y, w, h, address, bytes);
                 py::array_t<uint8_t> out(
                     {static_cast<py::ssize_t>(h), static_cast<py::ssize_t>(w), static_cast<py::ssize_t>(bytes)});
                 uint8_t* to = out.mutable_data();
                 for (int j = 0; j < h; ++j)
                     for (int i = 0; i < w; ++i, to += bytes) {
                         const uint8_t* s = self.machine->sram(x + i, y + j);
                         if (s)
                             std::memcpy(to, s + address, static_cast<size_t>(bytes));
                         else
                             std::memset(to, 0, static_cast<size_t>(bytes));
                     }
                 return out;
             })
        .def(
            "sram",
            [](py::object self_object, int x, int y) {
                auto& self = self_object.cast<PyMachine&>();
                uint8_t* s = self.machine->sram(x, y);
                if (!s) throw py::value_error("PE (" + std::to_string(x) + ", " + std::to_string(y) + ") has no tile");
                return py::array_t<uint8_t>({static_cast<py::ssize_t>(self.machine->arch().sram_bytes)}, s,
                                            self_object);
            },
            py::arg("x"), py::arg("y"))
        .def(
            "run",
            [](PyMachine& self, int64_t max_cycles, double max_seconds, int64_t max_events, int64_t pause_at,
               const py::object& progress) {
                const Busy busy(self);
                Machine& machine = *self.machine;
                std::optional<py::error_already_set> raised;
                const bool reports = !progress.is_none();
                auto poll = [&] {
                    const py::gil_scoped_acquire acquire;
                    if (PyErr_CheckSignals() != 0) {
                        raised.emplace();
                        return true;
                    }
                    if (reports) {
                        try {
                            progress(machine.reached(), machine.events());
                        } catch (py::error_already_set& e) {
                            raised.emplace(std::move(e));
                            return true;
                        }
                    }
                    return false;
                };
                Status status;
                {
                    const py::gil_scoped_release release;
                    status = machine.run({max_cycles, max_seconds, max_events, pause_at}, poll);
                }
                if (raised && !raised->matches(PyExc_KeyboardInterrupt)) throw std::move(*raised);
                return static_cast<int>(status);
            },
            py::arg("max_cycles") = -1, py::arg("max_seconds") = 0.0, py::arg("max_events") = 0,
            py::arg("pause_at") = -1, py::arg("progress") = py::none())
        .def_property_readonly("cycle", [](const PyMachine& self) { return self.machine->cycle(); })
        .def_property_readonly("events_processed", [](const PyMachine& self) { return self.machine->events(); })
        .def_property_readonly("open_launches", [](const PyMachine& self) { return self.machine->open_launches(); })
        .def("set_run_ahead", [](PyMachine& self, bool on) { self.machine->set_run_ahead(on); })
        .def("counters",
             [](const PyMachine& self) {
                 const Busy busy(self);
                 auto out = zeros(self.machine->height(), self.machine->width(), kNumCounters);
                 self.machine->counters(out.mutable_data());
                 return out;
             })
        .def("events",
             [](const PyMachine& self) {
                 const Busy busy(self);
                 auto out = zeros(self.machine->height(), self.machine->width(), kNumEvents);
                 self.machine->event_counts(out.mutable_data());
                 return out;
             })
        .def("link_wavelets",
             [](const PyMachine& self) {
                 const Busy busy(self);
                 auto out =
                     zeros(self.machine->program().colors.size(), self.machine->height(), self.machine->width(), 5);
                 self.machine->link_wavelets(out.mutable_data());
                 return out;
             })
        .def(
            "waits",
            [](PyMachine& self, size_t limit) {
                const Busy busy(self);
                return wait_list(*self.machine, limit);
            },
            py::arg("limit") = 1000)
        .def(
            "leftovers",
            [](PyMachine& self, size_t limit) {
                const Busy busy(self);
                py::list out;
                for (const Leftover& l : self.machine->leftovers(limit)) {
                    py::dict d;
                    d["x"] = l.pe.x;
                    d["y"] = l.pe.y;
                    d["color"] = l.color;
                    d["where"] = l.where;
                    d["count"] = l.count;
                    out.append(d);
                }
                return out;
            },
            py::arg("limit") = 1000)
        .def("fault",
             [](const PyMachine& self) -> py::object {
                 const Busy busy(self);
                 const auto& f = self.machine->fault();
                 if (!f) return py::none();
                 py::dict d;
                 d["message"] = f->message;
                 d["x"] = f->pe.x;
                 d["y"] = f->pe.y;
                 d["color"] = f->color;
                 d["line"] = f->line;
                 d["cycle"] = f->cycle;
                 return d;
             })
        .def("prints",
             [](const PyMachine& self) {
                 const Busy busy(self);
                 py::list out;
                 for (const Print& p : self.machine->prints()) {
                     py::list values;
                     for (size_t i = 0; i < 3; ++i)
                         if (p.regs[i] >= 0) values.append(p.values[i]);
                     out.append(py::make_tuple(p.cycle, p.pe.x, p.pe.y, p.text, values));
                 }
                 return out;
             })
        .def(
            "watch_timeline",
            [](PyMachine& self, int x, int y, int w, int h, int64_t begin, int64_t end, size_t most, uint32_t kinds) {
                const Busy busy(self);
                self.machine->watch({x, y}, w, h, begin, end, most, kinds);
            },
            py::arg("x"), py::arg("y"), py::arg("width"), py::arg("height"), py::arg("begin"), py::arg("end"),
            py::arg("most"), py::arg("kinds") = kAllHappenings)
        .def("timeline", [](PyMachine& self) { return timeline(self); })
        .def(
            "inspect",
            [](PyMachine& self, int x, int y) {
                const Busy busy(self);
                return inspect(*self.machine, x, y);
            },
            py::arg("x"), py::arg("y"));
}

}  // namespace wafersim
