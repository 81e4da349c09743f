"""What users get wrong with queues, descriptors and vector ops."""

from __future__ import annotations

import pytest
from mistakes import Mistakes, build_main, check, tile
from program_helpers import pair

mistake = Mistakes("test_program_mistakes_queues.py")


@mistake("input queue 9", "0 .. 7")
def queue_number_too_high():
    tile()[1].input_queue(9)


@mistake("output queue 6", "0 .. 5", "PE (0, 0)")
def output_queue_that_the_generation_lacks():
    lay, _, sender, receiver = pair()
    sender.output_queue(6, "red")
    with receiver.function("main"):
        receiver.done()
    build_main(lay, sender, lambda: None)


@mistake("input queue 2 is initialised already")
def one_queue_twice():
    _, pe = tile()
    pe.input_queue(2)
    pe.input_queue(2)


@mistake("expected an output queue, found input queue 2")
def output_descriptor_on_an_input_queue():
    lay, pe = tile()
    pe.fabout_dsd(pe.input_queue(2, lay.color("c")), extent=1)


@mistake("destination has 16-bit elements, the op needs 32-bit ones")
def width_of_a_destination():
    lay, pe = tile()
    d = pe.mem_dsd(pe.array("x", "f16", 4))
    build_main(lay, pe, lambda: pe.fmovs(d, 1.0))


@mistake("fmach: source b has 32-bit elements")
def width_of_a_source():
    lay, pe = tile()
    h, s = pe.mem_dsd(pe.array("h", "f16", 4)), pe.mem_dsd(pe.array("s", "f32", 4))
    build_main(lay, pe, lambda: pe.fmach(h, h, s, 1.0))


@mistake("source a has 32-bit elements, the op needs 16-bit ones")
def one_fabric_descriptor_with_two_widths():
    lay, red, _, receiver = pair()
    fin = receiver.fabin_dsd(receiver.input_queue(2, red), extent=2)
    s, h = receiver.mem_dsd(receiver.array("s", "f32", 4)), receiver.mem_dsd(receiver.array("h", "f16", 4))
    build_main(lay, receiver, lambda: (receiver.fmovs(s, fin), receiver.fmovh(h, fin)))


@mistake("fadds takes a destination and 2 source(s), found 2 operands")
def missing_operand():
    lay, pe = tile()
    d = pe.mem_dsd(pe.array("x", "f32", 4))
    build_main(lay, pe, lambda: pe.fadds(d, d))


@mistake("at most one operand can be a number")
def two_numbers():
    lay, pe = tile()
    d = pe.mem_dsd(pe.array("x", "f32", 4))
    build_main(lay, pe, lambda: pe.fadds(d, 1.0, 2.0))


@mistake("1.0 cannot be a destination")
def number_as_destination():
    lay, pe = tile()
    build_main(lay, pe, lambda: pe.fmovs(1.0, 2.0))


@mistake("a fabout descriptor cannot be the source a")
def output_descriptor_as_source():
    lay, red, sender, _ = pair()
    out = sender.fabout_dsd(sender.output_queue(2, red), extent=2)
    d = sender.mem_dsd(sender.array("x", "f32", 4))
    build_main(lay, sender, lambda: sender.fmovs(d, out))


@mistake("a fabin descriptor cannot be the destination")
def input_descriptor_as_destination():
    lay, red, _, receiver = pair()
    fin = receiver.fabin_dsd(receiver.input_queue(2, red), extent=2)
    build_main(lay, receiver, lambda: receiver.fmovs(fin, 1.0))


@mistake("a FIFO cannot be the first source", "swap")
def fifo_as_first_source():
    lay, pe = tile()
    d, f = pe.mem_dsd(pe.array("x", "f32", 4)), pe.fifo("f", "f32", 4)
    build_main(lay, pe, lambda: pe.fadds(d, f, d))


@mistake("array 'x' of 4 elements", "pe.mem_dsd")
def array_as_operand():
    lay, pe = tile()
    x = pe.array("x", "f32", 4)
    build_main(lay, pe, lambda: pe.fmovs(x, 1.0))


@mistake("reaches elements 0 .. 6", "the array has 4")
def descriptor_behind_the_array():
    _, pe = tile()
    pe.mem_dsd(pe.array("x", "f32", 4), extent=4, stride=2)


@mistake("2- or 4-byte elements, found 1")
def descriptor_over_bytes():
    _, pe = tile()
    pe.mem_dsd(pe.array("x", "u8", 4))


@mistake("1 to 4 dimensions")
def descriptor_of_five_dimensions():
    _, pe = tile()
    pe.mem_dsd(pe.array("x", "f32", 32), extents=(2,) * 5, strides=(16, 8, 4, 2, 1))


@mistake("one after the other", "slots [0, 2]")
def choosing_among_scattered_descriptors():
    lay, pe = tile()
    d = [pe.mem_dsd(pe.array(f"x{k}", "f32", 4)) for k in range(3)]
    build_main(lay, pe, lambda: pe.choose_dsd(d[::2], pe.let("i16", 0)))


@mistake("unknown event 'misses'", "bank_conflicts")
def unknown_event():
    lay, pe = tile()
    build_main(lay, pe, lambda: pe.perf_counter("misses"))


@mistake("DSR dest 3 is taken already")
def one_dsr_twice():
    _, pe = tile()
    pe.dsr("dest", 3)
    pe.dsr("dest", 3)


@mistake("DSR dest 16", "0 .. 15")
def dsr_number_too_high():
    tile()[1].dsr("dest", 16)


@mistake("DSR src0 2 is used but never loaded", "pe.load_to_dsr")
def dsr_never_loaded():
    lay, pe = tile()
    d, dsr = pe.mem_dsd(pe.array("x", "f32", 4)), pe.dsr("src0", 2)
    build_main(lay, pe, lambda: pe.fmovs(d, dsr))


@mistake("source a needs a DSR of the file src0")
def dsr_of_the_wrong_file():
    lay, pe = tile()
    d, dsr = pe.mem_dsd(pe.array("x", "f32", 4)), pe.dsr("src1", 2)
    build_main(lay, pe, lambda: (pe.load_to_dsr(dsr, d), pe.fadds(d, dsr, 1.0)))


@mistake("save_address needs explicit DSRs", "pe.dsr")
def saved_address_of_a_scratch_dsr():
    lay, pe = tile()
    d = pe.mem_dsd(pe.array("x", "f32", 4))
    build_main(lay, pe, lambda: pe.fmovs(d, 1.0, save_address=True))


@mistake("unknown setting 'asynch'", "async_")
def unknown_setting():
    lay, pe = tile()
    d = pe.mem_dsd(pe.array("x", "f32", 4))
    build_main(lay, pe, lambda: pe.fmovs(d, 1.0, asynch=True))


@mistake("microthread 8", "0 .. 7")
def microthread_too_high():
    lay, pe = tile()
    d = pe.mem_dsd(pe.array("x", "f32", 4))
    build_main(lay, pe, lambda: pe.fmovs(d, 1.0, async_=True, ut=8))


@mistake("microthread 3 cannot be chosen on generation 2", "runs on 2", "output queue")
def chosen_microthread_on_generation_2():
    lay, red, sender, _ = pair()
    out = sender.fabout_dsd(sender.output_queue(2, red), extent=2)
    build_main(lay, sender, lambda: sender.fmovs(out, 1.0, async_=True, ut=3))


@mistake("2 fabric sources", "generation 3 allows 1")
def two_fabric_sources_on_generation_3():
    lay, red, _, receiver = pair("wse3")
    blue = lay.color("blue")
    lay.route(blue, 1, 0, rx="EAST", tx="RAMP")
    a = receiver.fabin_dsd(receiver.input_queue(2, red), extent=2)
    b = receiver.fabin_dsd(receiver.input_queue(3, blue), extent=2)
    d = receiver.mem_dsd(receiver.array("x", "f32", 2))
    build_main(lay, receiver, lambda: receiver.fadds(d, a, b))


@mistake("both fabric sources read input queue 2")
def one_queue_for_two_sources():
    lay, red, _, receiver = pair()
    iq = receiver.input_queue(2, red)
    a, b = receiver.fabin_dsd(iq, extent=2), receiver.fabin_dsd(iq, extent=2)
    d = receiver.mem_dsd(receiver.array("x", "f32", 2))
    build_main(lay, receiver, lambda: receiver.fadds(d, a, b))


@mistake("bound to color 'red' (1)", "sends color 'blue'", "one color per queue")
def two_colors_on_an_output_queue_of_generation_3():
    lay, red, sender, _ = pair("wse3")
    blue = lay.color("blue")
    sender.fabout_dsd(sender.output_queue(2, red), extent=1, color=blue)
    build_main(lay, sender, lambda: None)


@mistake("40000 elements", "32767 is endless")
def fabric_length_too_large():
    lay, red, _, receiver = pair()
    receiver.fabin_dsd(receiver.input_queue(2, red), extent=40000)
    build_main(lay, receiver, lambda: None)


@mistake("address 60000", "0 .. 49148", "0xfe40")
def store_outside_of_sram():
    lay, pe = tile()
    build_main(lay, pe, lambda: pe.store_at("f32", 60000, 1.0))


@mistake("an extent is an integer", "pe.set_dsd_length")
def register_as_extent():
    lay, pe = tile()
    x = pe.array("x", "f32", 4)
    build_main(lay, pe, lambda: pe.mem_dsd(x, extent=pe.let("i16", 2)))


@mistake("'f' takes 1 arguments, found 2 sources")
def map_with_too_many_sources():
    lay, pe = tile()
    f = pe.function("f", args=[("a", "f32")], returns="f32")
    with f as (a,):
        pe.return_(a)
    d = pe.mem_dsd(pe.array("x", "f32", 4))
    build_main(lay, pe, lambda: pe.map(f, d, d, d))


@mistake("'f' runs within a map and waits for a vector op")
def vector_op_in_a_callback():
    lay, pe = tile()
    d = pe.mem_dsd(pe.array("x", "f32", 4))
    g = pe.function("g", export=False)
    with pe.function("f", args=[("a", "f32")], returns="f32") as (a,):
        g()
        pe.fadds(d, d, 1.0)
        pe.return_(a)
    with g:
        pass
    build_main(lay, pe, lambda: pe.map("f", d, d))


@mistake("the text has 2 places {}, found 1 values")
def print_with_a_missing_value():
    lay, pe = tile()
    build_main(lay, pe, lambda: pe.print_("{} {}", 1))


@pytest.mark.parametrize(("function", "fragments", "error"), mistake.cases)
def test_mistake(function, fragments, error):
    check(function, fragments, error)


def test_there_are_enough_mistakes():
    assert len(mistake.cases) >= 30
