// The private module wafersim._core. The only room that sees pybind11.
#include <pybind11/pybind11.h>

#include "bindings/bindings.hpp"

PYBIND11_MODULE(_core, m) {
    m.doc() = "The C++ core of wafersim (private; use wafersim.Simulator).";
    m.attr("schema_version") = wafersim::kSchemaVersion;
    wafersim::register_errors(m);
    wafersim::register_machine(m);
    wafersim::register_stream(m);
    wafersim::register_trace(m);
}
