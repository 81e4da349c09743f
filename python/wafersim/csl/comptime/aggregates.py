"""Structs, arrays, pointers and the expressions that make types."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import array_of, coerce, describe, dtype_of, is_array_data, struct_of
from wafersim.csl.comptime import lanes as ln
from wafersim.csl.comptime.errors import RunTime
from wafersim.csl.comptime.parts import Parts
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.scope import Module, Scope
from wafersim.csl.types import Type
from wafersim.csl.values import Value

#: Elements an array known at compile time may have; a PE's memory holds far fewer.
MAX_ELEMENTS = 1 << 22


class Aggregates:
    """The part of the interpreter that evaluates values made of others, and types."""

    # --- structs -------------------------------------------------------------------------------------------

    def eval_struct(self: Parts, node: ast.StructLit, scope: Scope) -> Value:
        fields: dict[str, Value] = {}
        for name, item in zip(node.names, node.values, strict=True):
            if name in fields:
                raise CslError(item.span, f"field '{name}' is given twice")
            fields[name] = self.eval(item, scope)
        if node.type is None:
            return va.of_struct(fields)
        kind = self.type_expr(node.type, scope)
        if not isinstance(kind, ty.Struct):
            raise CslError(node.type.span, "a struct type is expected", found=f"'{kind}'")
        return struct_of(fields, kind, node.span)

    def eval_tuple(self: Parts, node: ast.TupleLit, scope: Scope) -> Value:
        return va.of_tuple([self.eval(item, scope) for item in node.values])

    def eval_field(self: Parts, node: ast.Field, scope: Scope) -> Value:
        base = self.eval_base(node.base, scope)
        if isinstance(base.data, va.Choice):
            return self.on_choices([base], lambda b: self.field_of(b, node))
        return self.field_of(base, node)

    def eval_base(self: Parts, node: ast.Expr, scope: Scope) -> Value:
        """The base of a field access; a pointer stands for what it points to."""
        base = self.eval(node, scope)
        return self.load(base, node) if isinstance(base.data, va.Ptr) else base

    def field_of(self: Parts, base: Value, node: ast.Field) -> Value:
        """``base.name`` of a struct, module or enum type."""
        data, name = base.data, node.name
        if isinstance(data, dict):
            if name in data:
                return data[name]  # type: ignore[no-any-return]
            if isinstance(base.type, ty.Struct) and base.type.union and name in base.type.fields:
                return self.union_field(base, name, node)
            raise CslError(
                node.span, f"no field '{name}'", found=_fields(data), hint=closest(name, data, ".")
            )
        if isinstance(data, Module):
            found = data.lookup(name)
            if found is None:
                raise CslError(
                    node.span, f"no '{name}' in module '{data.stem}'", hint=closest(name, data.decls, "")
                )
            return self.read_entity(found, node, data)
        if isinstance(data, ty.Enum):
            if name not in data.members:
                raise CslError(
                    node.span, f"no member '{name}' in '{data}'", hint=closest(name, data.members, ".")
                )
            return Value(data, data.members[name])
        if isinstance(data, va.ClosureData):
            from wafersim.csl.comptime.accesses import access_field

            return access_field(self, data, name, node.span)  # type: ignore[arg-type]
        if base.type == ty.UNDEFINED_TYPE:
            raise CslError(node.span, f"field '{name}' of an undefined value")
        raise CslError(node.span, f"field '{name}' of something that has no fields", found=describe(base))

    def union_field(self: Parts, base: Value, name: str, node: ast.Field) -> Value:
        """Another field of a union: the same bits read as its type."""
        from wafersim.csl.comptime.bits import from_bits, to_bits

        assert isinstance(base.type, ty.Struct)
        return from_bits(
            to_bits(next(iter(base.data.values())), node.span), base.type.fields[name], node.span
        )

    # --- arrays --------------------------------------------------------------------------------------------

    def eval_array(self: Parts, node: ast.ArrayLit, scope: Scope) -> Value:
        assert isinstance(node.type, ast.ArrayType)
        items = [self.eval(item, scope) for item in node.values]
        elem = self.type_expr(node.type.element, scope)
        extents = self.array_extents(node.type, scope, len(items))
        return array_of(items, self.array_type(extents, elem, node), node.span)

    def array_extents(self: Parts, node: ast.ArrayType, scope: Scope, count: int | None) -> tuple[int, ...]:
        """The extents of an array type; ``_`` is found from the number of elements."""
        extents: list[int | None] = []
        for item in node.extents:
            if isinstance(item, ast.Name) and item.name == "_":
                if count is None or None in extents:
                    raise CslError(item.span, "the extent '_' needs the elements of one array literal")
                extents.append(None)
                continue
            extent = self.integer(item, scope, "the extent of an array")
            if extent < 0:
                raise CslError(item.span, "the extent of an array", found=str(extent), allowed="0 or more")
            extents.append(extent)
        if None in extents:
            rest = 1
            for known in extents:
                rest *= known if known is not None else 1
            open_extent = (count or 0) // rest if rest else 0
            return tuple(open_extent if extent is None else extent for extent in extents)
        return tuple(extent for extent in extents if extent is not None)

    def array_type(self: Parts, extents: tuple[int, ...], elem: Type, node: ast.Node) -> ty.Array:
        """An array type of a size that can be."""
        made = ty.Array(extents, elem)
        total = 1
        for extent in made.shape:
            total *= extent
        if total > MAX_ELEMENTS:
            raise CslError(node.span, f"an array of {total} elements", allowed=f"at most {MAX_ELEMENTS}")
        return made

    def eval_array_type(self: Parts, node: ast.ArrayType, scope: Scope) -> Value:
        elem = self.type_expr(node.element, scope)
        return va.of_type(self.array_type(self.array_extents(node, scope, None), elem, node))

    def eval_index(self: Parts, node: ast.Index, scope: Scope) -> Value:
        base = self.eval(node.base, scope)
        indices = [self.eval(item, scope) for item in node.indices]
        return self.on_choices([base, *indices], lambda b, *at: self.index_value(b, list(at), node))

    def index_value(self: Parts, base: Value, indices: list[Value], node: ast.Index) -> Value:
        """An element of an array, a tuple or a string, or of what a pointer to an array points to."""
        for value, item in zip(indices, node.indices, strict=True):
            if not ty.is_integer(value.type):
                raise CslError(item.span, "an index is an integer", found=describe(value))
        if isinstance(base.data, va.Ptr):
            base = self.pointed_array(base, node)
        if isinstance(base.data, dict) and va.is_tuple(base) and len(indices) == 1:
            key = str(va.require_scalar(indices[0], "the index of a tuple", node.span))
            if key not in base.data:
                raise CslError(node.span, f"index {key} of a tuple", allowed=f"0..{len(base.data) - 1}")
            return base.data[key]  # type: ignore[no-any-return]
        if isinstance(base.data, str) and len(indices) == 1:
            at = va.require_scalar(indices[0], "the index of a string", node.span)
            if not 0 <= at < len(base.data):
                raise CslError(node.span, f"index {at} of a string", allowed=f"0..{len(base.data) - 1}")
            return Value(ty.COMPTIME_INT, ord(base.data[at]))
        if not isinstance(base.type, ty.Array):
            raise CslError(node.span, "an array is expected", found=describe(base))
        if base.data is None:
            raise CslError(node.span, "the array is undefined")
        return self.element(base, [value.data for value in indices], node)

    def pointed_array(self: Parts, pointer: Value, node: ast.Index) -> Value:
        """The array behind a pointer, from its address on."""
        assert isinstance(pointer.type, ty.Pointer)
        target = self.load_root(pointer, node)
        if not isinstance(target.type, ty.Array):
            raise RunTime(node, "memory is read at run time")
        offset = pointer.data.offset
        if isinstance(offset, np.ndarray) or offset:
            size = max(target.type.scalar.size_bytes, 1)
            flat = target.data.reshape((*target.data.shape[: va.is_column(target)], -1))[
                ..., offset // size :
            ]
            return Value(ty.Array((flat.shape[-1],), target.type.scalar), flat)
        if pointer.type.many and len(target.type.extents) > 1:
            flat = target.data.reshape((*target.data.shape[: va.is_column(target)], -1))
            return Value(ty.Array((flat.shape[-1],), target.type.scalar), flat)
        return target

    def element(self: Parts, base: Value, at: list[Any], node: ast.Index) -> Value:
        """``base[at...]`` of an array that is known."""
        kind = base.type
        assert isinstance(kind, ty.Array)
        if len(at) != len(kind.extents):
            raise CslError(node.span, f"'{kind}' takes {len(kind.extents)} indices", found=str(len(at)))
        for x, extent, item in zip(at, kind.extents, node.indices, strict=True):
            low, high = (x.min(), x.max()) if isinstance(x, np.ndarray) else (x, x)
            if low < 0 or high >= extent:
                bad = low if low < 0 else high
                raise CslError(item.span, f"index {bad} is outside the array", allowed=f"0..{extent - 1}")
        column = va.is_column(base)
        varied = any(isinstance(x, np.ndarray) for x in at)
        if column:
            lead = np.arange(len(base.data)) if varied else slice(None)
            out = base.data[(lead, *at)]
        else:
            out = base.data[tuple(at)]
        if isinstance(kind.elem, ty.Array) or is_array_data(kind.elem):
            plain = isinstance(out, np.generic)
            return Value(kind.elem, out.item() if plain else out)
        if isinstance(out, np.ndarray):
            return ln.merge(self.lanes.size, [(np.array([i]), item) for i, item in enumerate(out)])
        if not isinstance(out, Value):
            raise CslError(node.span, "the element is undefined")
        return out

    def join_arrays(self: Parts, node: ast.Binary, a: Value, b: Value) -> Value:
        """``++`` of arrays, tuples and strings; ``**`` repeats."""
        if node.op == "**":
            count = va.require_scalar(b, "the count of '**'", node.span)
            if not ty.is_integer(b.type) or not isinstance(count, int) or not 0 <= count <= MAX_ELEMENTS:
                raise CslError(node.span, "'**' repeats a number of times", found=describe(b))
            if isinstance(a.data, str):
                return va.of_str(a.data * count)
            parts = [a] * count
            if not parts and isinstance(a.type, ty.Array):
                return Value(ty.Array((0, *a.type.extents[1:]), a.type.elem), a.data[:0])
        else:
            parts = [a, b]
        if all(isinstance(p.data, str) for p in parts):
            return va.of_str("".join(p.data for p in parts))
        if all(isinstance(p.data, dict) and va.is_tuple(p) for p in parts):
            return va.of_tuple([item for p in parts for item in p.data.values()])
        kinds = {p.type.elem if isinstance(p.type, ty.Array) else None for p in parts}
        if len(kinds) != 1 or None in kinds:
            raise CslError(
                node.span, f"'{node.op}' joins arrays of one type", found=f"{describe(a)} and {describe(b)}"
            )
        axis = 1 if any(va.is_column(p) for p in parts) else 0
        first = parts[0].type
        assert isinstance(first, ty.Array)
        shape = first.shape[1:]
        datas = [p.data for p in parts]
        if axis:
            size = self.lanes.size
            datas = [
                d if va.is_column(p) else np.broadcast_to(d, (size, *d.shape))
                for p, d in zip(parts, datas, strict=True)
            ]
        data = np.concatenate(datas, axis=axis)
        return Value(self.array_type((data.shape[axis], *shape), next(iter(kinds)), node), data)  # type: ignore[arg-type]

    # --- types ---------------------------------------------------------------------------------------------

    def eval_pointer_type(self: Parts, node: ast.PointerType, scope: Scope) -> Value:
        return va.of_type(ty.Pointer(self.type_expr(node.pointee, scope), node.many, node.const))

    def eval_fn_type(self: Parts, node: ast.FnType, scope: Scope) -> Value:
        params = tuple(self.type_expr(param, scope) for param in node.params)
        return va.of_type(ty.Fn(params, self.type_expr(node.result, scope), node.kind == "task"))

    def eval_enum_type(self: Parts, node: ast.EnumType, scope: Scope) -> Value:
        tag = self.type_expr(node.tag, scope) if node.tag is not None else ty.U16
        if not isinstance(tag, ty.Int):
            raise CslError(node.span, "the tag of an enum is an integer type", found=f"'{tag}'")
        given: dict[str, int] = {}
        for name, item in zip(node.names, node.values, strict=True):
            if item is not None:
                number = self.integer(item, scope, f"the value of '{name}'")
                if number in given.values():
                    raise CslError(item.span, f"two members have the value {number}")
                given[name] = number
        free = (n for n in itertools.count() if n not in given.values())  # the others count up from zero
        members = {name: given[name] if name in given else next(free) for name in node.names}
        for name, number in members.items():
            coerce(Value(ty.COMPTIME_INT, number), tag, node.span, f"the value of '{name}'")
        key = (node.span, tag, tuple(members.items()))
        return va.of_type(self.declared.setdefault(key, ty.Enum(tag, members)))

    def eval_struct_type(self: Parts, node: ast.StructType, scope: Scope) -> Value:
        fields: dict[str, Type] = {}
        defaults: dict[str, Value] = {}
        for name, kind, default in zip(node.names, node.types, node.defaults, strict=True):
            if name in fields:
                raise CslError(kind.span, f"field '{name}' is declared twice")
            fields[name] = self.type_expr(kind, scope)
            if default is not None:
                value = self.eval_comptime(default, scope, "the default of a field")
                defaults[name] = coerce(value, fields[name], default.span, f"field '{name}'")
        key = (node.span, node.kind, tuple(fields.items()))
        return va.of_type(self.declared.setdefault(key, ty.Struct(fields, defaults, node.kind)))

    def zeros(self: Parts, kind: Type, span: ast.Span) -> Value:
        """A value of the type with all bits zero."""
        if isinstance(kind, ty.Array):
            if is_array_data(kind.scalar):
                return Value(kind, np.zeros(kind.shape, dtype_of(kind.scalar)))
            item = self.zeros(kind.scalar, span)
            count = int(np.prod(kind.shape)) if kind.shape else 1
            return Value(kind, ln.object_array([item] * count, kind.shape))
        if isinstance(kind, ty.Struct):
            return Value(kind, {name: self.zeros(t, span) for name, t in kind.fields.items()})
        if kind == ty.BOOL:
            return va.FALSE
        if ty.is_float(kind):
            return Value(kind, 0.0)
        if is_array_data(kind):
            return Value(kind, 0)
        if isinstance(kind, ty.Pointer):
            return Value(kind, va.Ptr(None, 0))
        raise CslError(span, f"no zero of type '{kind}'")


def _fields(data: dict[str, Value]) -> str:
    return "fields " + ", ".join(data) if data else "a struct without fields"
