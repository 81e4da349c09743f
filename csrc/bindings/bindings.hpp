#pragma once
#include <pybind11/pybind11.h>

#include "program/opcodes.hpp"

namespace wafersim {

void register_errors(pybind11::module_& m);
void register_machine(pybind11::module_& m);
void register_stream(pybind11::module_& m);
void register_trace(pybind11::module_& m);

}  // namespace wafersim
