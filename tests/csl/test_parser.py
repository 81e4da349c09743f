"""The parser: one snippet a construct, and what wrong text is told."""

from __future__ import annotations

import dataclasses
import time

import pytest

from wafersim.csl import ast
from wafersim.csl.diagnostics import CslError, compose, locate
from wafersim.csl.parser import parse, parse_file


def show(node) -> str:
    """A node as a short S-expression, so that a test says the whole tree in one line."""
    if isinstance(node, tuple):
        return "[" + " ".join(show(item) for item in node) + "]"
    if not isinstance(node, ast.Node):
        return str(node)
    if isinstance(node, ast.Name):
        return node.name
    if isinstance(node, (ast.IntLit, ast.FloatLit)):
        return str(node.value)
    fields = [getattr(node, f.name) for f in dataclasses.fields(node) if f.name != "span"]
    return "(" + " ".join([type(node).__name__, *(show(item) for item in fields)]) + ")"


def expression(text: str):
    tree = parse("snippet.csl", f"const x = {text};")
    (decl,) = tree.decls
    return decl.init


def statement(text: str):
    tree = parse("snippet.csl", f"fn f() void {{ {text} }}")
    (decl,) = tree.decls
    (stmt,) = decl.body.body
    return stmt


EXPRESSIONS = {
    "0x1F": "31",
    "0b1_01": "5",
    "0o17": "15",
    "1_000": "1000",
    "1.5e-3": "0.0015",
    "2e3": "2000.0",
    "0x1p4": "16.0",
    r'"a\n\x41\""': '(StringLit a\nA")',
    "true": "(BoolLit True)",
    "null": "(NullLit)",
    "undefined": "(UndefinedLit)",
    ".EAST": "(EnumLit EAST)",
    "-a + b * c": "(Binary + (Unary - a) (Binary * b c))",
    "a - b - c": "(Binary - (Binary - a b) c)",
    "a + b << c": "(Binary << (Binary + a b) c)",
    "a & b == c": "(Binary == (Binary & a b) c)",
    "a << 1 | b": "(Binary | (Binary << a 1) b)",
    "a < b and !c or d": "(Binary or (Binary and (Binary < a b) (Unary ! c)) d)",
    "(a + b) * c": "(Binary * (Binary + a b) c)",
    "&a[i, j]": "(Unary & (Index a [i j]))",
    "p.*[0].b.*": "(Deref (Field (Index (Deref p) [0]) b))",
    "m.f(1, 2,)": "(Call (Field m f) [1 2])",
    "@as(u16, x)": "(BuiltinCall as [u16 x])",
    ".{}": "(TupleLit [])",
    ".{ 1, .{ .a = 2 }, }": "(TupleLit [1 (StructLit [a] [2] None)])",
    ".{ .color = c, .enum = .A }": "(StructLit [color enum] [c (EnumLit A)] None)",
    ".{ .A, .B }": "(TupleLit [(EnumLit A) (EnumLit B)])",
    "T{ .a = 1 }": "(StructLit [a] [1] T)",
    "m.T{}": "(StructLit [] [] (Field m T))",
    "[3]i16 {1, 2, 3}": "(ArrayLit (ArrayType [3] i16) [1 2 3])",
    "[_]f32{ 1.0 }": "(ArrayLit (ArrayType [_] f32) [1.0])",
    "[2, 3]f16": "(ArrayType [2 3] f16)",
    "[2][3]*const u8": "(ArrayType [2] (ArrayType [3] (PointerType u8 False True)))",
    "[*]const f32": "(PointerType f32 True True)",
    "*u16": "(PointerType u16 False False)",
    "**u16": "(PointerType (PointerType u16 False False) False False)",
    "fn(i16, y: f32) void": "(FnType [i16 f32] void fn)",
    "task () void": "(FnType [] void task)",
    "enum(u16) { A, B = 3, }": "(EnumType u16 [A B] [None 3])",
    "enum { A }": "(EnumType None [A] [None])",
    "struct { a: i16, b: T = 1 }": "(StructType struct [a b] [i16 T] [None 1])",
    "packed struct { a: u4 }": "(StructType packed struct [a] [u4] [None])",
    "packed union { a: u4 }": "(StructType packed union [a] [u4] [None])",
    "if (c) 1 else 2 + 3": "(If c 1 (Binary + 2 3))",
    "if (a) 1 else if (b) 2 else 3": "(If a 1 (If b 2 3))",
    "switch (x) { 0, 1...3 => a, .B => b, else => c, }": (
        "(Switch x [(Prong [0 (Range 1 3)] a) (Prong [(EnumLit B)] b) (Prong [] c)])"
    ),
    "|i, j|{N, M} -> A[i, j]": "(TensorAccess [i j] [N M] (Index A [i j]))",
    "comptime f(1)": "(ComptimeExpr (Call f [1]))",
    "comptime { a = 1; }": "(ComptimeExpr (BlockExpr  (Block [(Assign a  1)] False )))",
    "{}": "(BlockExpr  (Block [] False ))",
    "blk: { break :blk 3; }": "(BlockExpr blk (Block [(Break blk 3)] False ))",
    "a ++ b ** 2": "(Binary ++ a (Binary ** b 2))",
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expression(text):
    assert show(expression(text)) == EXPRESSIONS[text]


STATEMENTS = {
    "const a: i16 = 1;": "(VarDecl const a i16 None 1  [] False)",
    "var a: [4]f32 align(16);": "(VarDecl var a (ArrayType [4] f32) 16 None  [] False)",
    "comptime var a = 1;": "(VarDecl var a None None 1  [] True)",
    "a.b[0] += 1;": "(Assign (Index (Field a b) [0]) + 1)",
    "a <<= 2;": "(Assign a << 2)",
    "_ = f();": "(Assign _  (Call f []))",
    "p.* = 3;": "(Assign (Deref p)  3)",
    "f();": "(ExprStmt (Call f []))",
    "{ }": "(Block [] False )",
    "comptime { f(); }": "(Block [(ExprStmt (Call f []))] True )",
    "blk: { break :blk; }": "(Block [(Break blk None)] False blk)",
    "if (a) { f(); } else if (b) { } else { }": (
        "(If a (Block [(ExprStmt (Call f []))] False ) (If b (Block [] False ) (Block [] False )))"
    ),
    "if (a) x = 1 else return;": "(If a (Assign x  1) (Return None))",
    "if (a) x = 1;": "(If a (Assign x  1) None)",
    "while (i < n) : (i += 1) { }": "(While (Binary < i n) (Assign i + 1) (Block [] False ) False )",
    "inline while (a) { continue; }": "(While a None (Block [(Continue )] False ) True )",
    "out: for (@range(i16, 4)) |i| { continue :out; }": (
        "(For (BuiltinCall range [i16 4]) [i] (Block [(Continue out)] False ) False out)"
    ),
    "inline for (.{1}) |x, i| f(x);": "(For (TupleLit [1]) [x i] (ExprStmt (Call f [x])) True )",
    "return a + 1;": "(Return (Binary + a 1))",
    "switch (x) { 1 => { f(); }, 2 => y = 1, else => {} }": (
        "(Switch x [(Prong [1] (Block [(ExprStmt (Call f []))] False )) (Prong [2] (Assign y  1))"
        " (Prong [] (Block [] False ))])"
    ),
}


@pytest.mark.parametrize("text", STATEMENTS)
def test_statement(text):
    assert show(statement(text)) == STATEMENTS[text]


DECLARATIONS = {
    "param n;": "(VarDecl param n None None None  [] False)",
    "param n: type = u16;": "(VarDecl param n type None u16  [] False)",
    "color c;": "(VarDecl color c None None None  [] False)",
    "const color = 3;": "(VarDecl const color None None 3  [] False)",
    "const layout = 3;": "(VarDecl const layout None None 3  [] False)",
    "export var a: u16;": "(VarDecl var a u16 None None export [] False)",
    "extern const a: u16;": "(VarDecl const a u16 None None extern [] False)",
    'var a: u16 linksection(".s") linkname("b") = 1;': (
        "(VarDecl var a u16 None 1  [[linksection (StringLit .s)] [linkname (StringLit b)]] False)"
    ),
    "fn f(comptime T: type, x: anytype) T { }": (
        "(FnDecl fn f [(Param T type True) (Param x None False)] T (Block [] False ) False  [])"
    ),
    "inline fn f() void {}": "(FnDecl fn f [] void (Block [] False ) True  [])",
    "export fn f() void {}": "(FnDecl fn f [] void (Block [] False ) False export [])",
    "extern fn f(a: u16) [*]f32;": (
        "(FnDecl fn f [(Param a u16 False)] (PointerType f32 True False) None False extern [])"
    ),
    "task t(x: u16) void {}": "(FnDecl task t [(Param x u16 False)] void (Block [] False ) False  [])",
    "layout { f(); }": "(LayoutBlock (Block [(ExprStmt (Call f []))] False ))",
    "comptime { f(); }": "(ComptimeBlock (Block [(ExprStmt (Call f []))] False ))",
}


@pytest.mark.parametrize("text", DECLARATIONS)
def test_declaration(text):
    (decl,) = parse("snippet.csl", text).decls
    assert show(decl) == DECLARATIONS[text]


def test_spans_hold_the_text_of_the_node():
    text = "const a = 1; // one\nvar bc = f(x)[2] + 3;\n"
    tree = parse("spans.csl", text)
    decl = tree.decls[1]
    assert text[decl.span.start : decl.span.end] == "var bc = f(x)[2] + 3;"
    assert text[decl.init.left.span.start : decl.init.left.span.end] == "f(x)[2]"
    assert locate(decl.init.right.span) == ("spans.csl", 2, 20)


def test_a_tree_is_made_once():
    assert parse("once.csl", "const a = 1;") is parse("once.csl", "const a = 1;")
    assert parse("once.csl", "const a = 1;") is not parse("once.csl", "const a = 2;")
    assert parse("once.csl", "") is parse("once.csl", "")


def test_error_shows_line_and_caret():
    with pytest.raises(CslError) as caught:
        parse("a.csl", "const a = 1;\nvar b: i16 = 2 +;\n")
    assert str(caught.value) == (
        "a.csl:2:17: error: an expression expected; found ';'\n  var b: i16 = 2 +;\n                  ^"
    )
    assert (caught.value.path, caught.value.line, caught.value.column) == ("a.csl", 2, 17)


def test_missing_semicolon_is_shown_where_it_belongs():
    with pytest.raises(CslError, match=r"a.csl:1:12: error: ';' expected after the declaration of 'a'"):
        parse("a.csl", "const a = 1\nconst b = 2;\n")


def test_all_errors_of_a_file_are_told():
    text = "fn f() void {\n  var a = ;\n  g();\n  if x { }\n  h(;\n}\nconst = 3;\nvar fine = 1;\ntask t( void {}\n"
    with pytest.raises(CslError) as caught:
        parse("a.csl", text)
    assert [fault.line for fault in caught.value.faults] == [2, 4, 5, 7, 9]
    assert str(caught.value).count("error:") == 5


def test_notes_and_places():
    with pytest.raises(CslError) as caught:
        parse("a.csl", "var a = f(1, 2;\n")
    assert "note: the '(' to close is here" in str(caught.value)
    error = caught.value.with_note(caught.value.span, "while reading this")
    assert str(error).endswith("note: while reading this\n  var a = f(1, 2;\n                ^")
    assert compose(None, "warning", "no place") == "warning: no place"


def test_long_lines_are_cut_around_the_caret():
    text = "const a = .{ " + "1, " * 500 + "); "
    with pytest.raises(CslError) as caught:
        parse("a.csl", text)
    shown = str(caught.value).splitlines()
    assert max(map(len, shown[1:])) <= 170
    assert shown[1][shown[2].index("^")] == ")"


HOSTILE = {
    "open brackets": "const a = " + "(" * 100_000,
    "open braces": "fn f() void " + "{" * 100_000,
    "minus signs": "const a = " + "- " * 100_000 + "1;",
    "stars": "var a: " + "* " * 100_000 + "u16;",
    "array types": "var a: " + "[1]" * 100_000 + "u16;",
    "a long sum": "const a = 1" + " + 1" * 100_000 + ";",
    "a long chain of calls": "const a = f" + "()" * 100_000 + ";",
    "else ifs": "fn f() void { if (a) {} " + "else if (a) {} " * 10_000 + "}",
    "digits": "const a = " + "1" * 100_000 + ";",
    "hex digits": "const a = 0x" + "f" * 100_000 + ";",
    "an exponent": "const a = 0x1p999999999;",
    "struct literals": "const a = " + ".{" * 100_000,
    "ifs": "const a = " + "if (a) " * 100_000,
    "comptimes": "const a = " + "comptime " * 100_000,
    "only errors": "} ; ) " * 50_000,
    "statements without end": "fn f() void {" + "x y; " * 50_000,
    "a string without its end": 'const a = "abc\nconst b = "',
    "a character of none": "const a = \x00\u20ac;",
    "types of functions": "var a: " + "fn(" * 50_000,
    "switches": "const a = " + "switch (a) { 1 => " * 50_000,
    "labels": "fn f() void { " + "a: " * 50_000,
    "loops": "fn f() void { " + "while (a) " * 50_000,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_text_ends_in_an_error(what):
    begun = time.process_time()
    with pytest.raises(CslError) as caught:
        parse("hostile.csl", HOSTILE[what])
    assert caught.value.line >= 1
    assert len(str(caught.value)) < 20_000
    assert time.process_time() - begun < 5


def test_files(tmp_path):
    path = tmp_path / "a.csl"
    path.write_bytes(b"\xef\xbb\xbfconst a = 1;")
    assert len(parse_file(str(path)).decls) == 1
    path.write_bytes(b"const a = 1;\nconst \xff = 2;")
    with pytest.raises(CslError, match=r"short.csl:2:7: byte 0xFF is no UTF-8 text"):
        parse_file(str(path), "short.csl")
    with pytest.raises(CslError, match=r"cannot read .*No such file"):
        parse_file(str(tmp_path / "none.csl"))
    with pytest.raises(CslError, match=r"cannot read .*null"):
        parse_file("a\0b")


def test_speed():
    lines = "  if (is_west and k < max_ite) { @fmacs(dsd_y, dsd_y, dsd_x, values[2*i + 1]); y[i] += x[i]; }\n"
    text = "".join(f"fn f{k}() void {{\n{lines * 18}}}\n" for k in range(50))
    begun = time.process_time()
    parse("fast.csl", text)
    # 1,000 dense lines take 0.06 s here; a limit that only a change of order breaks
    assert time.process_time() - begun < 0.5
