"""What users get wrong in the code of a tile: one line with the place, what was found, and what would do."""

from __future__ import annotations

import pytest
from mistakes import Mistakes, build_main, check, tile
from program_helpers import pair

mistake = Mistakes("test_program_mistakes.py")


# --- SRAM and arrays --------------------------------------------------------------------------------


@mistake("SRAM", "49152", "too many", "big 48000 B (f32[12000])", "small 1200 B", "PE (0, 0)", line=False)
def sram_overflow():
    lay, pe = tile()
    pe.array("small", "f32", 300)
    pe.array("big", "f32", 12000)
    build_main(lay, pe, lambda: None)


@mistake("'x'", "address 0", "lies over the code", "choose an address from", line=False)
def array_over_the_code():
    lay, pe = tile()
    pe.array("x", "f32", 4, address=0)
    build_main(lay, pe, lambda: None)


@mistake("'x'", "exists already")
def two_arrays_of_one_name():
    _, pe = tile()
    pe.array("x", "f32", 4)
    pe.array("x", "f32", 4)


@mistake("unknown scalar type 'f64'", "f32", line=False)
def unknown_type():
    tile()[1].array("x", "f64", 4)


@mistake("shape 0", "positive")
def empty_array():
    tile()[1].array("x", "f32", 0)


@mistake("align 3", "power of two")
def odd_alignment():
    tile()[1].array("x", "f32", 4, align=3)


@mistake("initial values of shape (3,)", "(4,)")
def initial_values_of_a_wrong_shape():
    lay, pe = tile()
    pe.array("x", "f32", 4, init=[1, 2, 3])
    build_main(lay, pe, lambda: None)


@mistake("70000 is outside i16")
def initial_value_out_of_range():
    lay, pe = tile()
    pe.array("x", "i16", 4, init=70000)
    build_main(lay, pe, lambda: None)


@mistake("no integers", "i16")
def nan_in_an_integer_array():
    lay, pe = tile()
    pe.array("x", "i16", 4, init=float("nan"))
    build_main(lay, pe, lambda: None)


@mistake("'x'", "belongs to tile 'other'")
def array_of_another_tile():
    lay, pe = tile()
    x = lay.tile("other").array("x", "f32", 4)
    build_main(lay, pe, lambda: pe.load(x, 0))


@mistake("element 4", "outside its 4 elements", line=False)
def index_outside_the_array():
    lay, pe = tile()
    x = pe.array("x", "f32", 4)
    build_main(lay, pe, lambda: pe.load(x, 4))


# --- scalars ------------------------------------------------------------------------------------------


@mistake("a f32 register where i16 is needed", ".to('i16')")
def mixed_types():
    lay, pe = tile()
    build_main(lay, pe, lambda: pe.let("i16", 1) + pe.let("f32", 1))


@mistake("a register has no value", "pe.if_")
def python_if_on_a_register():
    lay, pe = tile()

    def body():
        if pe.let("i16", 1) > 0:
            pass

    build_main(lay, pe, body)


@mistake("40000 is outside i16 (-32768 .. 32767)")
def literal_out_of_range():
    lay, pe = tile()
    build_main(lay, pe, lambda: pe.let("i16", 40000))


@mistake("AND needs an integer type, found f32")
def bits_of_a_float():
    lay, pe = tile()
    build_main(lay, pe, lambda: pe.let("f32", 1) & 1)


@mistake("instructions belong into a task or a function")
def code_outside_of_a_body():
    tile()[1].let("i16", 1)


@mistake("a register of 'main' is used in 'later'", "array")
def register_of_another_task():
    _, pe = tile()
    with pe.function("main"):
        a = pe.let("i16", 1)
    with pe.local_task("later"):
        _ = a + 1


@mistake("bodies do not nest", "'inner'")
def nested_bodies():
    _, pe = tile()
    with pe.function("main"), pe.function("inner"):
        pass


@mistake("loop counter cannot be assigned", "pe.let")
def assigning_the_loop_counter():
    lay, pe = tile()

    def body():
        with pe.for_range(3) as i:
            i += 1

    build_main(lay, pe, body)


@mistake("else_ must follow directly")
def else_without_if():
    lay, pe = tile()

    def body():
        with pe.if_(pe.let("i16", 1)):
            pass
        pe.let("i16", 2)
        with pe.else_():
            pass

    build_main(lay, pe, body)


@mistake("elif_ takes a function", "lambda")
def elif_with_a_value():
    lay, pe = tile()

    def body():
        with pe.if_(pe.let("i16", 1)):
            pass
        with pe.elif_(pe.let("i16", 1)):
            pass

    build_main(lay, pe, body)


@mistake("while_ takes a function", "lambda")
def while_with_a_value():
    lay, pe = tile()

    def body():
        with pe.while_(pe.let("i16", 1) > 0):
            pass

    build_main(lay, pe, body)


@mistake("break_ outside of a loop")
def break_outside_a_loop():
    lay, pe = tile()
    build_main(lay, pe, lambda: pe.break_())


@mistake("a loop count must be 0", "found -1")
def negative_loop_count():
    lay, pe = tile()

    def body():
        with pe.for_range(-1):
            pass

    build_main(lay, pe, body)


# --- functions and tasks ----------------------------------------------------------------------------


@mistake("recursion (f -> g -> f)", "static", line=False)
def recursion():
    lay, pe = tile()
    f, g = pe.function("f"), pe.function("g")
    with f:
        g()
    with g:
        f()
    lay.build()


@mistake("'f'", "takes 1 arguments, found 2")
def wrong_number_of_arguments():
    lay, pe = tile()
    f = pe.function("f", args=[("a", "i16")])
    with f:
        pass
    build_main(lay, pe, lambda: f(1, 2))


@mistake("'f'", "has no body")
def function_without_a_body():
    lay, pe = tile()
    pe.function("f")
    build_main(lay, pe, lambda: None)


@mistake("unknown function 'g'", "declared are: main")
def unknown_function():
    lay, pe = tile()
    build_main(lay, pe, lambda: pe.call("g"))


@mistake("task 't'", "has no body")
def task_without_a_body():
    lay, pe = tile()
    pe.local_task("t")
    build_main(lay, pe, lambda: None)


@mistake("id 30", "29-31 are reserved")
def reserved_task_id():
    tile()[1].local_task("t", id=30)


@mistake("id 29", "pe.teardown_task")
def teardown_id_without_saying_so():
    tile()[1].local_task("t", id=29)


@mistake("id 5", "8 .. 28")
def local_id_too_low_on_generation_3():
    tile("wse3")[1].local_task("t", id=5)


@mistake("id 64")
def control_id_too_high():
    tile()[1].control_task("t", id=64)


@mistake("id 9 is taken by 'a'")
def two_tasks_on_an_id():
    _, pe = tile()
    pe.local_task("a", id=9)
    pe.local_task("b", id=9)


@mistake("id 9 is taken by 'a'")
def control_and_local_task_on_an_id_of_generation_2():
    _, pe = tile()
    pe.local_task("a", id=9)
    pe.control_task("b", id=9)


@mistake("expected an input queue")
def data_task_without_a_queue():
    tile()[1].data_task("t", 3)


@mistake("input queue 2 has no color")
def data_task_on_a_queue_without_a_color():
    _, pe = tile()
    pe.data_task("t", pe.input_queue(2))


@mistake("completion activates local task 12", "not bound", "bound are: none", "PE (0, 0)")
def completion_of_an_unbound_task():
    lay, pe = tile()
    d = pe.mem_dsd(pe.array("x", "f32", 4))
    build_main(lay, pe, lambda: pe.fadds(d, d, 1.0, async_=True, activate=12))


@mistake("activates local task 12", "not bound")
def activating_an_unbound_task():
    lay, pe = tile()
    build_main(lay, pe, lambda: pe.activate(12))


@mistake("only local tasks can be activated", "data task")
def activating_a_data_task():
    lay, _, _sender, receiver = pair()
    t = receiver.data_task("t", receiver.input_queue(2, "red"))
    build_main(lay, receiver, lambda: receiver.activate(t))


@mistake("microthread exists on generation 3 only")
def blocking_a_microthread_on_generation_2():
    lay, pe = tile()
    build_main(lay, pe, lambda: pe.block_ut(2))


@pytest.mark.parametrize(("function", "fragments", "error"), mistake.cases)
def test_mistake(function, fragments, error):
    check(function, fragments, error)


def test_there_are_enough_mistakes():
    assert len(mistake.cases) >= 30
