"""Write the tables of ``docs/csl.md`` from registries and libraries (``--check`` compares only)."""

from __future__ import annotations

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "csl.md"
LIB = ROOT / "python" / "wafersim" / "csl" / "lib"

#: Builtins of the vendor's documentation, beside the vector operations.
_DOCUMENTED = """
activate allocate_fifo as assert bind_control_task bind_data_task bind_local_task
bind_rotating_tasks bitcast block comptime_assert comptime_print concat_structs constants dimensions
element_count element_type export_name export_symbol field fp16 get_array get_color get_config
get_config_unchecked get_control_task_id get_data_task_id get_dsd get_dsr get_filter_id get_input_queue
get_int get_local_task_id get_output_queue get_rectangle get_sr get_string_from_byte get_symbol_id
get_symbol_value get_tensor_ptr get_ut_id get_xdsr has_exported_tensors has_field import_comptime_value
import_module increment_dsd_offset initialize_queue is_arch is_comptime is_same_type load_to_dsr
load_to_dsr_xdsr load_to_dsr_xdsr_sr map ptrcast set_config_unchecked
queue_flush random16 range range_start range_step range_stop rank rpc set_active_prng
set_color_config set_config set_control_task_table set_dsd_base_addr set_dsd_length set_dsd_stride
set_empty_queue_handler set_fifo_read_length set_fifo_write_length set_local_color_config
set_rectangle set_teardown_handler set_tile_code strcat strlen type_of unblock zeros
"""
DOCUMENTED = _DOCUMENTED.split()

NOTES = {
    "rpc": "does nothing: launches need no task of the program",
    "assert": "a failing one ends the run with its line",
    "random16": "a generator of our own: same quality, other numbers",
    "activate": "also of an id that is known only at run time",
    "get_config": "route and switch words of the PE's router only",
    "set_config": "route and switch words of the PE's router only",
    "get_xdsr": "the value only: what it would hold is part of a DSR here",
    "get_sr": "the value only",
    "set_teardown_handler": "one per color; called for every color in teardown",
    "get_filter_id": "the number of the color",
    "load_to_dsr_xdsr": "circular buffers of whole turns, or less than one; FIFOs",
    "get_symbol_value": "a number without such a symbol is a fault",
    "get_tensor_ptr": "a number without such a symbol is a fault",
    "get_config_unchecked": "as `@get_config`",
    "set_config_unchecked": "as `@set_config`",
    "map": "a callback with vector ops reads 1-D memory descriptors and is not asynchronous",
    "set_color_config": "the same configuration twice is allowed, two different ones are an error",
    "comptime_print": "printed by the compile command",
    "bind_rotating_tasks": "the wavelet of a turn goes to the other task (a warning says so); the count "
    "costs the data task some instructions",
    "import_comptime_value": "objects become a `comptime_struct`",
    "set_active_prng": "checked only: one generator stands for all",
    "import_module": "every import is a copy; libraries without a state of their own are shared",
    "block": "microthreads at run time only",
    "unblock": "microthreads at run time only",
    "allocate_fifo": "`.empty_action`, `.full_action`: `test_or_suspend`; `terminate` of synchronous "
    "operations",
    "initialize_queue": "`.ctrl_table_id` 0 only",
    "get_dsd": "without `.zero` and `.control_transform`",
}

GROUPS = [
    (
        "layout",
        r"set_rectangle|set_tile_code|get_rectangle|export_name|set_color_config|set_local_color_config",
    ),
    (
        "modules, assertions",
        r"import_module|export_symbol|get_symbol_\w+|get_tensor_ptr|has_exported_tensors|comptime_\w+|assert|is_arch|rpc",
    ),
    (
        "types and values",
        r"as|bitcast|ptrcast|type_of|is_same_type|is_comptime|fp16|element_\w+|rank|dimensions|zeros|"
        r"constants|field|has_field|concat_structs|range\w*|str\w+|substr|get_int|get_array|size_of|is_nan",
    ),
    ("identifiers", r"get_(color|input_queue|output_queue|\w+_task_id|ut_id|dsr|xdsr|sr|filter_id)"),
    (
        "tasks and queues",
        r"bind_\w+|activate|block|unblock|initialize_queue|queue_flush|set_teardown_handler|"
        r"set_empty_queue_handler|set_control_task_table",
    ),
    (
        "descriptors",
        r"get_dsd|set_dsd_\w+|increment_dsd_offset|load_to_dsr\w*|set_dsr_base_addr|allocate_fifo|set_fifo_\w+|get_dsr_value",
    ),
    ("other", r".*"),
]


def builtin_rows() -> list[str]:
    """One row a builtin, by group."""
    from wafersim.csl.comptime.builtins import BUILTINS
    from wafersim.csl.comptime.registry import WSE3_ONLY
    from wafersim.csl.lower.builtins import BOTH
    from wafersim.csl.lower.builtins import RUN_TIME as LOWERED

    known = {name for name in {*BUILTINS, *LOWERED, *BOTH} if not name.startswith("_")}
    rows = ["| builtin | when | wse2 | wse3 | remark |", "|---|---|---|---|---|"]
    left = set(known)
    for title, pattern in GROUPS:
        members = sorted(name for name in left if re.fullmatch(pattern, name))
        left -= set(members)
        if members:
            rows.append(f"| **{title}** | | | | |")
        for name in members:
            run_time = name in LOWERED or name in BOTH
            when = "both" if run_time and name in BUILTINS else "run time" if run_time else "compile time"
            old = "-" if name in WSE3_ONLY else "yes"
            rows.append(f"| `@{name}` | {when} | {old} | yes | {NOTES.get(name, '')} |")
    missing = [f"`@{name}`" for name in DOCUMENTED if name not in known]
    rows += ["", f"Documented by the vendor, not here: {', '.join(missing) or 'none'}."]
    return rows


def vector_rows() -> list[str]:
    """The vector operations."""
    from wafersim.program.schema import VOP_SHAPE, VOp

    rows = ["| operation | destination | sources | |", "|---|---|---|---|"]
    by_shape: dict[tuple[int, ...], list[str]] = {}
    for op in VOp:
        if op is not VOp.dfilt:
            by_shape.setdefault(VOP_SHAPE[op], []).append(f"`@{op.name}`")
    for shape, names in by_shape.items():
        target, first, second, count = shape[:4]
        widths = [first, second, second][:count]
        kind = "multiply-add: a + b * c" if count == 3 else ""
        sources = " and ".join(f"{8 * w} bit" for w in widths) or "none"
        rows.append(f"| {' '.join(names)} | {8 * target} bit | {sources} | {kind} |")
    rows.append(
        "| `@dfilt` | none | 16 bit | drops data wavelets until so many control wavelets have passed |"
    )
    return rows


def library_rows() -> list[str]:
    """The libraries with their functions."""
    from wafersim.csl import ast
    from wafersim.csl.parser import parse_file

    rows = ["| library | functions |", "|---|---|"]
    for path in sorted(LIB.rglob("*.csl")):
        name = path.relative_to(LIB).as_posix().removesuffix(".csl")
        tree = parse_file(str(path), f"<{name}>")
        functions = [
            decl.name for decl in tree.decls if isinstance(decl, ast.FnDecl) and not decl.name.startswith("_")
        ]
        shown = ", ".join(f"`{function}`" for function in functions) or "constants"
        rows.append(f"| `<{name}>` | {shown} |")
    return rows


def render(page: str) -> str:
    """The page with fresh tables between their markers."""
    for name, rows in (
        ("builtins", builtin_rows()),
        ("vector", vector_rows()),
        ("libraries", library_rows()),
    ):
        pattern = rf"(<!-- table: {name} -->\n).*?(<!-- end -->)"
        body = "\n".join(rows) + "\n"
        page, count = re.subn(pattern, lambda m, body=body: m[1] + body + m[2], page, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{PAGE}: no place for the table {name!r}")
    return page


def main() -> int:
    sys.path.insert(0, str(ROOT / "python"))
    old = PAGE.read_text()
    new = render(old)
    if "--check" in sys.argv:
        if old != new:
            print(f"{PAGE} is not fresh; run tools/gen_csl_page.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
