// The tables of a machine program as Python hands them over: types and shapes checked, nothing copied.
#pragma once
#include <pybind11/pybind11.h>

#include "program/program.hpp"

namespace wafersim {

Tables read_tables(const pybind11::dict& tables);

}  // namespace wafersim
