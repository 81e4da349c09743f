// The compute element of one PE: threads, ramp, tasks and main thread.
#pragma once
#include <vector>

#include "stream/local.hpp"
#include "stream/router.hpp"

namespace wafersim::stream {

struct Launch {
    int32_t function = 0;
    std::vector<uint64_t> args;
};

class Element {
  public:
    Element(const Program& program, const Arch& arch, Local& local, Router& router, Loop& loop)
        : program_(program), arch_(arch), local_(local), router_(router), loop_(loop) {}
    void step(Node& n, Cycle T);
    // Brings the threads to the start of cycle T: facts only.
    void sync(Node& n, Cycle T);
    std::vector<Launch> launches;

  private:
    enum class Next { kAgain, kStop };
    void complete(Node& n, Cycle T);
    void finish(Node& n, int t, Cycle last);
    bool pick(Node& n, Cycle T);
    Next advance(Node& n, Cycle T);
    Next advance_local(Node& n, Cycle T, Cycle from, bool alone);
    void drop_pending(Node& n, Cycle T);
    Cycle predict(Node& n, Cycle T, Cycle main_from);
    void forget(Node& n, Cycle T);
    void add_ramp(Node& n, Cycle T);
    void add_thread(Node& n, int t, Cycle T);
    void tell_router(Node& n, Cycle T);
    void tell_credit(Node& n, InQueue& q, int number, const Seq& was, Cycle T);
    Cycle first_beat(Node& n, Cycle T);
    // start.cpp
    void execute(Node& n, Cycle T);
    void control_color(Node& n, const Instr& in, Cycle T);
    void start(Node& n, const Instr& in, Cycle T);
    void start_receive(Node& n, Thread& th, const Dsd& d, int64_t length, int& priority);
    void start_send(Node& n, Thread& th, const Instr& in, const Dsd& d, bool advance, int64_t length, int& priority);
    void start_memory(Node& n, Thread& th, const Instr& in, int64_t length);
    bool claimed(Node& n, const Instr& in);
    int microthread(const Node& n, const Instr& in, const Settings& set);
    const Instr& instruction(const Node& n) const { return program_.code[static_cast<size_t>(n.main.pc)]; }
    [[noreturn]] void refuse(const Instr& in, const std::string& what) const { throw Refused(what, in.line); }

    const Program& program_;
    const Arch& arch_;
    Local& local_;
    Router& router_;
    Loop& loop_;
    struct Was {
        Seq* seq;
        Seq before;
        int ramp_queue, in_queue;  // one of them -1
    };
    std::vector<Was> before_;
    Server servers_[24];
    int num_ = 0;
    int server_of_[9] = {};
    bool dirty_ = false, defer_ = true;
};

}  // namespace wafersim::stream
