"""Addresses: ``&``, ``.*``, where an expression lies, and what a pointer known at compile time leads to."""

from __future__ import annotations

from typing import Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import bounds, describe, is_array_data
from wafersim.csl.comptime.errors import RunTime
from wafersim.csl.comptime.parts import Parts
from wafersim.csl.diagnostics import CslError
from wafersim.csl.scope import ComptimeVar, GlobalVar, Scope
from wafersim.csl.types import Type
from wafersim.csl.values import Value

#: Elements behind a pointer whose array is not known.
OPEN_ELEMENTS = 1 << 22


class Pointers:
    """The part of the interpreter that knows addresses."""

    def address_of(self: Parts, node: ast.Unary, scope: Scope) -> Value:
        """``&x``, ``&x[i]``, ``&x.field`` of a variable or constant, ``&f`` of a function."""
        named = self.entity(node.operand, scope)
        holder = named.value if isinstance(named, ComptimeVar) else named
        if isinstance(holder, Value) and isinstance(holder.data, va.FnRef):
            return Value(ty.Pointer(holder.type, const=True), holder.data)
        root, kind, offset, path = self.place_of(node.operand, scope)
        const = not root.mutable and (isinstance(root, GlobalVar) or not self.running)
        return Value(ty.Pointer(kind, False, const), va.Ptr(root, offset, path))

    def place_of(self: Parts, node: ast.Expr, scope: Scope) -> tuple[Any, Type, Any, tuple[str, ...]]:
        """The variable, type, byte offset and (compile-time variables) path that an expression names."""
        found = self.entity(node, scope)
        if isinstance(found, GlobalVar):
            return found, found.type, 0, ()
        if isinstance(found, ComptimeVar):
            value = found.value
            if isinstance(value.data, va.FnRef):
                return found, value.type, 0, ()
            return found, found.type or value.type, 0, ()
        if isinstance(found, Value):
            holder = ComptimeVar("constant", found.type, found, False, self.lanes_of(scope.module))
            return holder, found.type, 0, ()
        if found is not None:
            raise RunTime(node, "the address of a local variable is known at run time")
        if isinstance(node, ast.Index):
            return self.element_place(node, scope)
        if isinstance(node, ast.Field):
            root, kind, offset, path = self.place_of(node.base, scope)
            if isinstance(kind, ty.Struct) and not kind.packed and node.name in kind.fields:
                return root, kind.fields[node.name], offset + kind.offset_of(node.name), (*path, node.name)
        if isinstance(node, ast.Deref):
            pointer = self.eval(node.base, scope)
            if isinstance(pointer.data, va.Ptr) and isinstance(pointer.type, ty.Pointer):
                return pointer.data.root, pointer.type.elem, pointer.data.offset, pointer.data.path
        raise CslError(
            node.span, "this has no address", hint="& takes the address of a variable or an element"
        )

    def element_place(self: Parts, node: ast.Index, scope: Scope) -> tuple[Any, Type, Any, tuple[str, ...]]:
        """The place of an array's element."""
        found = self.entity(node.base, scope)
        kind: Type | None = found.type if isinstance(found, GlobalVar) else None
        if kind is None or isinstance(kind, ty.Pointer):
            base = self.try_eval(node.base, scope)
            if base is not None and isinstance(base.data, va.Ptr) and isinstance(base.type, ty.Pointer):
                elem = base.type.elem
                inner = elem if isinstance(elem, ty.Array) else ty.Array((OPEN_ELEMENTS,), elem)
                step = self.flat_index(node, scope, inner)
                return (
                    base.data.root,
                    inner.elem,
                    base.data.offset + step * inner.elem.size_bytes,
                    base.data.path,
                )
        root, kind, offset, path = self.place_of(node.base, scope)
        if isinstance(kind, ty.Pointer):
            raise RunTime(node, "the pointer has its value at run time")
        if not isinstance(kind, ty.Array):
            raise CslError(node.span, "an array is expected", found=f"'{kind}'")
        step = self.flat_index(node, scope, kind)
        return root, kind.elem, offset + step * kind.elem.size_bytes, path

    def array_address(self: Parts, node: ast.Expr, scope: Scope) -> Value:
        """The address of an array named, or the pointer to one."""
        value = self.try_eval(node, scope)
        if value is not None and isinstance(value.data, va.Ptr):
            return value
        root, kind, offset, path = self.place_of(node, scope)
        if isinstance(kind, ty.Pointer):
            raise RunTime(node, "the pointer has its value at run time")
        const = isinstance(root, GlobalVar) and not root.mutable
        return Value(ty.Pointer(kind, False, const), va.Ptr(root, offset, path))

    def flat_index(self: Parts, node: ast.Index, scope: Scope, kind: ty.Array, checked: bool = True) -> Any:
        """The number of an element in row-major order; ``checked``: the indices must be those of elements."""
        if len(node.indices) != len(kind.extents):
            raise CslError(
                node.span, f"'{kind}' takes {len(kind.extents)} indices", found=str(len(node.indices))
            )
        flat: Any = 0
        for item, extent in zip(node.indices, kind.extents, strict=True):
            value = self.eval(item, scope)
            if not ty.is_integer(value.type):
                raise CslError(item.span, "an index is an integer", found=describe(value))
            low, high = bounds(value.data)
            if checked and (
                low < 0 or high > extent
            ):  # the place behind the last element is one that code may point to
                bad = low if low < 0 else high
                raise CslError(item.span, f"index {bad} is outside the array", allowed=f"0..{extent}")
            flat = flat * extent + value.data
        return flat

    def eval_deref(self: Parts, node: ast.Deref, scope: Scope) -> Value:
        value = self.eval(node.base, scope)
        if not isinstance(value.type, ty.Pointer):
            raise CslError(node.span, "a pointer is expected before '.*'", found=describe(value))
        return self.on_choices([value], lambda v: self.load(v, node))

    def load(self: Parts, pointer: Value, node: ast.Node) -> Value:
        """What a pointer points to, if that is known."""
        if isinstance(pointer.data, va.FnRef) and isinstance(pointer.type, ty.Pointer):
            if isinstance(pointer.type.elem, ty.Fn):
                return Value(pointer.type.elem, pointer.data)
            raise CslError(
                node.span, "the address of a function is no place of data", found=describe(pointer)
            )
        target = self.load_root(pointer, node)
        assert isinstance(pointer.type, ty.Pointer)
        want, offset = pointer.type.elem, pointer.data.offset
        for name in pointer.data.path:
            target = target.data[name]
            offset = 0
        if not isinstance(offset, np.ndarray) and not offset and target.type == want:
            return target
        if (
            isinstance(target.type, ty.Array)
            and target.data is not None
            and is_array_data(target.type.scalar)
        ):
            size = max(want.size_bytes, 1)
            flat = target.data.reshape((*target.data.shape[: va.is_column(target)], -1))
            if target.type.scalar == want:
                out = (
                    flat[..., offset // size]
                    if not isinstance(offset, np.ndarray)
                    else flat[np.arange(self.lanes.size), offset // size]
                )
                return Value(want, out.item() if isinstance(out, np.generic) else out)
        raise RunTime(node, "memory is read at run time")

    def load_root(self: Parts, pointer: Value, node: ast.Node) -> Value:
        """The whole value of the variable a pointer points into."""
        root = pointer.data.root
        if root is None:
            raise RunTime(node, "memory at an absolute address is read at run time")
        return self.read_entity(root, node, None)
