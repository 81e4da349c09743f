#include "base/types.hpp"
#include "bindings/bindings.hpp"
#include "stream/state.hpp"

namespace wafersim {

// Errors found while a program is loaded become wafersim.errors.ProgramError; what fidelity stream cannot represent,
// UnsupportedError.
void register_errors(pybind11::module_&) {
    pybind11::register_exception_translator([](std::exception_ptr p) {
        try {
            if (p) std::rethrow_exception(p);
        } catch (const ProgramFault& e) {
            const auto errors = pybind11::module_::import("wafersim.errors");
            PyErr_SetString(errors.attr("ProgramError").ptr(), e.what());
        } catch (const stream::Refused& e) {
            const auto errors = pybind11::module_::import("wafersim.errors");
            PyErr_SetObject(errors.attr("UnsupportedError").ptr(), pybind11::make_tuple(e.what(), e.line).ptr());
        }
    });
}

}  // namespace wafersim
