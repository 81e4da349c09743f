#include "base/types.hpp"
#include "bindings/bindings.hpp"

namespace wafersim {

// Errors found while a program is loaded become wafersim.errors.ProgramError.
void register_errors(pybind11::module_&) {
    pybind11::register_exception_translator([](std::exception_ptr p) {
        try {
            if (p) std::rethrow_exception(p);
        } catch (const ProgramFault& e) {
            const auto errors = pybind11::module_::import("wafersim.errors");
            PyErr_SetString(errors.attr("ProgramError").ptr(), e.what());
        }
    });
}

}  // namespace wafersim
