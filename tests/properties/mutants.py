"""Fifty-four seeded engine bugs: each changes one line of the core, and the random programs must notice.

A mutant names a source below ``csrc/``, a fragment that occurs in it exactly once, and what stands there instead.  `run_mutants` compiles
and runs them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One bug: ``old`` becomes ``new`` in ``file``; ``rule`` is the section of the semantics page that it breaks."""

    name: str
    file: str
    old: str
    new: str
    rule: str


MUTANTS = (
    # the router
    Mutant("two_wavelets_per_output", "fabric/fabric.cpp", "if (candidates[i].outputs & taken) {",
           "if ((candidates[i].outputs & taken) == candidates[i].outputs && n > 2) {", "2.1.4"),
    Mutant("most_recently_granted_first", "fabric/fabric.cpp",
           "candidates[i - 1].last_grant > c.last_grant", "candidates[i - 1].last_grant < c.last_grant", "2.1.4"),
    Mutant("ties_go_to_the_higher_color", "fabric/fabric.cpp",
           "candidates[i - 1].last_grant > c.last_grant", "candidates[i - 1].last_grant >= c.last_grant", "2.1.4"),
    Mutant("teardown_stops_nothing", "fabric/fabric.cpp", "if (cs->teardown || !(cs->in_now >> port & 1)) continue;",
           "if (!(cs->in_now >> port & 1)) continue;", "6"),
    Mutant("ce_gets_the_shifted_commands", "fabric/fabric.cpp",
           "iq.ring.push({t + arch_.ramp_in, payload, cs.color,", "iq.ring.push({t + arch_.ramp_in, forwarded, cs.color,", "2.1.6"),
    Mutant("nop_is_never_removed", "fabric/fabric.cpp",
           "(mode == PopMode::kOnAdvanceOrNop && command == SwitchCommand::kNop);",
           "(mode == PopMode::kOnAdvanceOrNop && command == SwitchCommand::kReset);", "2.1.6"),
    Mutant("commands_lose_a_bit", "fabric/fabric.cpp", "(field & 0xffu) << 22", "(field & 0x7fu) << 22", "2.1"),
    Mutant("ignore_bit_of_the_second_command", "fabric/fabric.cpp",
           "command_field(fifo.payload()) >> 2 & 1", "command_field(fifo.payload()) >> 5 & 1", "2.1.2"),
    Mutant("ring_goes_back_to_the_second_position", "fabric/fabric.cpp",
           "    else if (cs.ring_mode)\n        set_position(cs, 0);", "    else if (cs.ring_mode)\n        set_position(cs, 1);", "2.1.6"),
    Mutant("descriptor_does_not_advance_the_switch", "fabric/fabric.cpp",
           "if (flags & kFlagAdvance) control_action", "if (flags & kFlagAdvance & kFlagControl) control_action", "4.2"),
    Mutant("filter_passes_one_less", "fabric/fabric.cpp", "return counter <= max;",
           "return counter < max;", "5"),
    Mutant("range_filter_is_half_open", "fabric/fabric.cpp", "(min <= index && index <= max);",
           "(min <= index && index < max);", "5"),
    Mutant("swaps_of_the_wrong_axis", "fabric/routes.cpp", "(kDx[d] ? same->swap_x : same->swap_y);",
           "(kDx[d] ? same->swap_y : same->swap_x);", "2.1.3"),
    Mutant("freed_link_slot_is_told_late", "fabric/fabric.cpp",
           "routers_.wake(up, t + arch_.hop);",
           "routers_.wake(up, t + arch_.hop + 1);", "1"),
    Mutant("pressure_of_the_ramp_is_not_counted", "fabric/fabric.cpp",
           "if (!space) c.fifo->head_blocked = true;",
           "if (!space && c.port != kPortRamp) c.fifo->head_blocked = true;", "8"),
    # the ramp and the queues
    Mutant("ramp_pace_is_one_late", "fabric/fabric.cpp", "if (q.pace >= arch_.ramp_pace_den) {",
           "if (q.pace > arch_.ramp_pace_den) {", "2.2"),
    Mutant("output_queues_by_number", "fabric/fabric.cpp",
           "q.oq[static_cast<size_t>(best)].last_move <= oq.last_move) {",
           "q.oq[static_cast<size_t>(best)].last_move <= t) {", "2.2"),
    Mutant("popped_slot_is_known_at_once", "fabric/queues.hpp",
           "return count_ + unknown_pops(t, latency) < capacity;", "return count_ < capacity;", "1"),
    Mutant("far_events_share_a_bucket", "engine/wheel.hpp", "if (when - now_ >= 64) {", "if (when - now_ > 64) {", "1"),
    # tasks
    Mutant("low_priority_first", "pe/schedule.cpp", "return high(candidate) > high(task);", "return high(candidate) < high(task);", "2.3.2"),
    Mutant("latest_pick_first", "pe/schedule.cpp", "if (pa != pb) return pa < pb;", "if (pa != pb) return pa > pb;", "2.3.2"),
    Mutant("data_tasks_take_claimed_wavelets", "pe/schedule.cpp",
           "if (data >= 0 && !data_blocked && !claimer && better(data))", "if (data >= 0 && !data_blocked && better(data))", "2.3.2"),
    Mutant("index_argument_is_the_data", "pe/schedule.cpp",
           "p.regs[static_cast<size_t>(picked.arg1)] = w.payload >> 16;",
           "p.regs[static_cast<size_t>(picked.arg1)] = w.payload & 0xffff;", "2.3.2"),
    Mutant("completions_act_a_cycle_late", "pe/schedule.cpp", "if (c.when > t) {", "if (c.when >= t) {", "4.4"),
    Mutant("equal_priorities_go_to_the_main_thread", "pe/schedule.cpp",
           "(op.priority < best_priority ||", "(op.priority <= best_priority ||", "2.3.3"),
    Mutant("input_and_output_stalls_swapped", "pe/schedule.cpp", "(beat.lacks_input ? input : output) = true;",
           "(beat.lacks_input ? output : input) = true;", "8"),
    Mutant("teardown_task_a_cycle_late", "wafer/machine.cpp", "core_->teardown_due(pes_[static_cast<size_t>(i)], t + 1);",
           "core_->teardown_due(pes_[static_cast<size_t>(i)], t + 2);", "2.1.6"),
    # vector ops
    Mutant("overlap_of_ranges_by_their_starts", "pe/vector_start.cpp",
           "if (low < recent.high && recent.low < high)", "if (low <= recent.low && recent.low < high)", "4.1"),
    Mutant("length_of_the_destination_first", "pe/vector_start.cpp", "const int32_t operands[3] = {in.a, in.b, in.dst};",
           "const int32_t operands[3] = {in.dst, in.a, in.b};", "4.1"),
    Mutant("stride_of_seven_words_is_fast", "pe/memory_rules.hpp", "        case 7:\n            return 2;",
           "        case 6:\n            return 2;", "4.3"),
    Mutant("push_waits_for_the_pop_end", "pe/vector_start.cpp",
           "if (d->kind == DsdKind::kFifo && (push >> d->fifo & 1)) return true;",
           "if (d->kind == DsdKind::kFifo && (pop >> d->fifo & 1)) return true;", "4.1"),
    Mutant("no_default_priority_of_queues", "pe/vector_start.cpp", "q.initialised && arch_.generation == 2 ?",
           "q.initialised && arch_.generation == 3 ?", "4.1"),
    Mutant("fifo_stays_armed", "pe/vector_beats.cpp", "        s.armed_push = false;\n", "        s.armed_push = true;\n", "4.2"),
    Mutant("four_dimensions_do_not_wrap", "pe/operand.hpp", "            index[i] = 0;\n        }", "            index[i] = 1;\n        }", "4.3"),
    Mutant("simd_64_takes_one_wavelet", "pe/vector_beats.cpp", "mode == Simd::kSimd64 && remaining > 2 && !second",
           "mode == Simd::kSimd64 && remaining > 4 && !second", "4.2"),
    Mutant("packed_beats_split_a_wavelet", "pe/vector_beats.cpp", "if (op.packed && n > 1 && n < remaining) n &= ~INT64_C(1);",
           "if (op.packed && n > 2 && n > remaining) n &= ~INT64_C(1);", "4.2"),
    Mutant("pace_counts_the_next_beat", "pe/vector_beats.cpp", "op.start + op.beats * rate.pace_num / rate.pace_den;",
           "op.start + (op.beats - 1) * rate.pace_num / rate.pace_den;", "4.2"),
    Mutant("saved_address_of_the_whole_length", "pe/vector_beats.cpp",
           "(o->base + static_cast<int32_t>(op.done) * o->step[0]) & 0xffff;",
           "(o->base + static_cast<int32_t>(op.length) * o->step[0]) & 0xffff;", "4.2"),
    Mutant("completion_forgets_the_cost", "pe/vector_beats.cpp",
           "{t + cost - 1 + arch_.completion, synchronous", "{t + arch_.completion, synchronous", "4.4"),
    # the whole-op path and the ends of a run
    Mutant("whole_ops_write_at_their_end", "pe/vector_whole.cpp", "p.note_write(at, ", "p.note_write(last, ", "4.1"),
    Mutant("whole_ops_wait_for_no_conflict", "pe/vector_whole.cpp", "cost = alone + conflict;",
           "cost = alone;", "4.3"),
    Mutant("sources_never_take_turns", "pe/vector_start.cpp", "turns ? readers : 1});", "1});", "4.2"),
    Mutant("whole_ops_never_take_turns", "pe/vector_whole.cpp", "turns ? num_memory : 1);", "1);", "4.2"),
    Mutant("sources_that_take_turns_conflict", "pe/vector_start.cpp", "n >= 2 && !turns;", "n >= 2;", "4.3"),
    Mutant("sums_do_not_wait", "pe/vector_start.cpp", "in.op == Op::kVop && accumulates(op)", "false", "4.2"),
    Mutant("whole_ops_drain_from_the_last_beat", "pe/vector_whole.cpp",
           "p.next_issue = last + cost - 1 + arch_.vector_drain;", "p.next_issue = last + arch_.vector_drain;", "4.2"),
    Mutant("run_ends_with_its_last_grant", "wafer/machine.cpp", "fabric_->last_activity + 1", "fabric_->last_activity", "7"),
    # scalar instructions, configuration
    Mutant("loops_go_round_once_more", "pe/control.cpp", "static_cast<int64_t>(turn) < static_cast<int64_t>(reg(in.c));",
           "static_cast<int64_t>(turn) <= static_cast<int64_t>(reg(in.c));", "3"),
    Mutant("east_and_west_in_configuration_words", "pe/config_words.hpp", "kConfigBit[5] = {3, 1, 2, 0, 4};",
           "kConfigBit[5] = {3, 0, 2, 1, 4};", "3"),
    Mutant("flush_forgets_the_handler", "pe/schedule.cpp", "init.empty_task >= 0 ? init.empty_task : kTeardownTask",
           "init.empty_task > 63 ? init.empty_task : kTeardownTask", "6"),
    Mutant("teardown_is_not_noted", "fabric/fabric.cpp", "q->teardown_pending |= 1u << cs.color;",
           "q->teardown_pending |= 2u << cs.color;", "6"),
    Mutant("priority_of_a_task_stays", "pe/control.cpp", "p.high_tasks = in.imm2 ?", "p.high_tasks = !in.imm2 ?", "3"),
    # the host
    Mutant("host_words_are_late", "fabric/host_ports.cpp", "    if (again) routers_.wake(pe, t + 1);",
           "    if (again) routers_.wake(pe, t + 2);", "9"),
    Mutant("host_colors_do_not_take_turns", "fabric/host_ports.cpp",
           "if (!best || queue.last_move < best->last_move) best = &queue;", "if (!best) best = &queue;", "9"),
    Mutant("host_goes_first_on_the_ramp", "fabric/host_ports.cpp", "if (queue->last_move < best_move) return queue;",
           "if (queue->last_move <= best_move) return queue;", "9"),
    Mutant("host_pays_no_pace", "fabric/fabric.cpp", "            ramp_moved(q, t);\n            wait_turn = true;",
           "            ++q.wavelets_sent;\n            wait_turn = true;", "9"),
    Mutant("sinks_keep_the_command", "fabric/host_ports.cpp", "port == kPortRamp ? payload : forwarded, control",
           "payload, control", "9"),
    Mutant("sinks_are_a_cycle_late", "fabric/host_ports.cpp", "(port == kPortRamp ? arch_.ramp_in : arch_.hop);",
           "(port == kPortRamp ? arch_.ramp_in : arch_.hop + 1);", "9"),
)  # fmt: skip
