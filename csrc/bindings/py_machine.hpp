// The machine as Python holds it; shared by the files that register its methods.
#pragma once
#include <pybind11/pybind11.h>

#include <atomic>
#include <memory>
#include <stdexcept>

#include "wafer/machine.hpp"

namespace wafersim {

// Guards against two threads in one machine.
struct PyMachine {
    std::unique_ptr<Machine> machine;
    mutable std::atomic<bool> running{false};
};

struct Busy {
    explicit Busy(const PyMachine& m) : flag(m.running) {
        if (flag.exchange(true)) throw std::runtime_error("this machine is running in another thread");
    }
    ~Busy() { flag = false; }
    std::atomic<bool>& flag;
};

void register_host_ports(pybind11::class_<PyMachine>& machine);

}  // namespace wafersim
