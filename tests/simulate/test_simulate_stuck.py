"""The words of a stuck run, of a fault and of wavelets left over."""

from __future__ import annotations

from wafersim.simulate import places, stuck

META = {"color_names": {"5": "red"}, "lines": [["prog.py", 12, "  pe.fmovs(d, fin)"]]}


def wait(x, y, **more):
    base = {
        "pe": (x, y), "thread": "main", "task": 8, "reason": "input", "what": "vop 30", "line": 0, "color": 5,
        "queue": 2, "fill": 0, "done": 3, "length": 64, "waits_for": [], "places": [],
    }  # fmt: skip
    return base | more


def test_a_wait_names_thread_task_op_color_queue_and_line():
    text = stuck.describe([wait(3, 0)], META)[0]["text"]
    assert text == (
        "main (task 8) waits for a wavelet, fmovs after 3 of 64 elements, color 5 (red), queue 2 holds 0, at prog.py:12"
    )


def test_equal_waits_are_grouped_over_a_region():
    waits = stuck.describe([wait(x, y) for y in range(2) for x in range(1, 4)], META)
    assert "PEs (1, 0)..(3, 1): main" in stuck.headline(waits, 77)
    waits = stuck.describe([wait(0, 0), wait(2, 2)], META)
    assert "PE (0, 0) and 1 more: main" in stuck.headline(waits, 77)


def test_a_ring_of_waits_is_named():
    waits = stuck.describe(
        [wait(0, 0, waits_for=[(1, 0)]), wait(1, 0, waits_for=[(1, 1)]), wait(1, 1, waits_for=[(1, 0)])], META
    )
    assert stuck.wait_cycle(waits) == [(1, 0), (1, 1)]
    assert stuck.headline(waits, 5).endswith("the waits form a cycle: (1, 0) -> (1, 1) -> (1, 0)")


def test_a_chain_and_a_self_wait_are_no_ring():
    waits = stuck.describe([wait(0, 0, waits_for=[(1, 0)]), wait(1, 0, waits_for=[(1, 0), (2, 0)])], META)
    assert stuck.wait_cycle(waits) == []


def test_a_long_chain_needs_no_recursion():
    waits = stuck.describe([wait(x, 0, waits_for=[(x + 1, 0)]) for x in range(5000)], META)
    assert stuck.wait_cycle(waits) == []
    waits = stuck.describe([wait(x, 0, waits_for=[((x + 1) % 5000, 0)]) for x in range(5000)], META)
    assert len(stuck.wait_cycle(waits)) == 5000


def test_many_kinds_are_counted():
    waits = stuck.describe([wait(x, 0, task=x) for x in range(5)], META)
    assert "and 2 more kinds of waits" in stuck.headline(waits, 5)


def test_no_wait_at_all_is_still_said():
    assert "never signalled completion" in stuck.headline([], 5)


def test_faults_have_place_color_cycle_and_line():
    fault = {"message": "the wavelet leaves the fabric", "pe": (4, 2), "color": 5, "line": 0, "cycle": 9}
    assert places.describe_fault(fault, META)["text"] == (
        "PE (4, 2), color 5 (red), cycle 9: the wavelet leaves the fabric (at prog.py:12)"
    )


def test_leftovers():
    entry = {"pe": (4, 2), "color": 5, "where": "input queue 2", "count": 1}
    assert places.leftover_text(entry, META) == "PE (4, 2): 1 wavelet of color 5 (red) left in input queue 2"
