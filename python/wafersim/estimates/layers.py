"""Amounts of work and lower bounds of language-model layers, from the plans of their programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from wafersim.estimates.machine import Machine

if TYPE_CHECKING:
    from wafersim.models.work.mesh import Mesh
    from wafersim.models.work.prefill_plan import PrefillPlan
    from wafersim.models.work.steps import Step

Params = Mapping[str, Any]
Grid = tuple[int, int]
Work = dict[str, float]
#: rows of A, columns of A, columns of B of a PE's tiles; how many such products
Product = tuple[int, int, int, int]


def _decode_steps(params: Params, grid: Grid) -> tuple[Sequence[Step], Mesh]:
    """Steps of a decode layer and the part of the mesh that they use."""
    from wafersim.models.decode.kernel import part_of
    from wafersim.models.pieces.small_models import layer_of, load_model, published_sizes
    from wafersim.models.work import published
    from wafersim.models.work.decode_steps import placed_steps
    from wafersim.models.work.mesh import Mesh

    name, batch, context = str(params["model"]), int(params["batch"]), int(params["context"])
    if params["variant"] == "published":
        tile = published.tile(*published_sizes(name), grid[0], context)
        return published.steps(tile, batch), part_of(grid[0], str(params["part"]))
    model = load_model(name)
    layer = layer_of("llm_decode_layer", model, int(params["layer"]))
    return placed_steps(model, layer, Mesh.of(*grid), batch, context)


def decode(params: Params, grid: Grid, m: Machine) -> Work:
    """The sums over the layer's steps that its own time depends on (`models.steps`)."""
    from wafersim.models.work.steps import work

    done = work(*_decode_steps(params, grid))
    return {name: float(value) for name, value in asdict(done).items()} | {
        "hops": float(done.hops * m.hop), "ramps": float(done.stages * m.ramp),
    }  # fmt: skip


def decode_bound(params: Params, grid: Grid, m: Machine) -> float:
    """Products of a PE, and the all-reduces: a PE begins one when it has done the work before it."""
    steps, mesh = _decode_steps(params, grid)
    sums = [(tree.pes, -(-step.reduced // 2)) for step in steps if (tree := step.tree(mesh)) is not None]
    return _in_turn(sum(step.mapped for step in steps), sum(step.macs for step in steps), sums, m)


def _in_turn(ops: int, products: int, sums: Sequence[tuple[int, int]], m: Machine) -> float:
    """Multiply ops, and all-reduces (PEs of the line, words) that all PEs of a line do in the same order.

    Nobody has the result of an all-reduce before the PE that is farthest from it, half a line or more, has
    begun it and sent all its words; so it ends everywhere at least that much later than the earliest begin.
    """
    waits = sum(words - 1 + pes // 2 * m.hop + m.ramp for pes, words in sums if pes > 1 and words > 0)
    return max(ops, products / m.multiplies_at_most["f16"]) + waits


def _prefill_plan(params: Params, grid: Grid) -> PrefillPlan:
    from wafersim.models.pieces.small_models import layer_of, load_model
    from wafersim.models.work.prefill_plan import prefill_plan

    model = load_model(str(params["model"]))
    layer = layer_of("llm_prefill_layer", model, int(params["layer"]))
    return prefill_plan(model, layer, *grid, int(params["prompt"]))


def _on_rings(p: PrefillPlan) -> list[Product]:
    """Products with weights: both tiles go around the mesh once."""
    rounds = p.experts or 1
    found = [(p.seq, p.dim, p.fused, 1), (p.seq, p.q, p.dim, 1)]
    found += [(p.seq, p.dim, 2 * p.ffn, rounds), (p.seq, p.ffn, p.dim, rounds)]
    if p.shared:
        found += [(p.seq, p.dim, 2 * p.shared, 1), (p.seq, p.shared, p.dim, 1)]
    return found


def _of_attention(p: PrefillPlan) -> list[Product]:
    """Products of a head with a block of keys or of values that passes."""
    return [(p.seq, p.part, p.seq, p.q_heads), (p.seq, p.seq, p.part, p.q_heads)]


def _ops(products: Sequence[Product], side: int) -> int:
    """Multiply-add ops: one for each element of B in each of `side` turns."""
    return side * sum(kt * nt * count for _, kt, nt, count in products)


def _prefill_sums(p: PrefillPlan) -> list[tuple[int, int]]:
    """PEs and words of all all-reduces: norms, router; maximum, sum and every turn of attention."""
    found = [(p.side, p.seq)] * 2 + [(p.side, -(-p.experts * p.seq // 2))] * bool(p.experts)
    rows, block = p.q_heads * p.seq, -(-p.block // 2)
    return [*found, (p.span, -(-rows // 2)), (p.span, rows), *[(p.span, block)] * (2 * p.side)]


def prefill(params: Params, grid: Grid, m: Machine) -> Work:
    """Turns, ops and elements of the products, words of the rings, all-reduces, vector and scalar code."""
    if params["variant"] == "published":
        return _published_prefill(params, grid, m)
    from wafersim.models.work.mesh import Tree

    p = _prefill_plan(params, grid)
    rings, local = _on_rings(p), _of_attention(p)
    rounds, widths = p.experts or 1, [kt for _, kt, _, _ in rings]
    tree = Tree(p.span, 1)
    group = [words for pes, words in _prefill_sums(p) if pes == p.span > 1]
    scores = p.blocks * p.block
    return _products(rings, local, p.side, m) | {
        "aligned": p.side / 4 * p.seq * sum(widths), "passed": float(p.side * p.kv * p.seq),
        "reduces": float(len(group)), "stages": float(len(group) * tree.stages * (m.ramp + 10)),
        "hops": float((len(group) * tree.hops + 2 * p.side) * m.hop), "wavelets": float(sum(group)),
        "blocks": float(2 * p.side * p.block), "scores": float(scores),
        "columns": float(3 * p.q_heads * p.blocks * p.seq),
        "activation": float(rounds * p.ffn * p.seq), "copied": float(p.experts * 3 * p.dim * p.ffn),
        "routed": float(p.seq * p.experts * p.chosen), "norms": float(2 * p.dim),
        "elements of norms": float(2 * p.dim * p.seq), "scalars": float((2 + p.q_heads) * p.seq),
    }  # fmt: skip


def _products(rings: Sequence[Product], local: Sequence[Product], side: int, m: Machine) -> Work:
    both = [*rings, *local]
    return {
        "ops": float(_ops(both, side)), "rows": float(side * sum(kt * n for _, kt, _, n in both)),
        "macs": m.mac_cycles["f16"] * side * sum(mt * kt * nt * n for mt, kt, nt, n in both),
        "turns": float(side * sum(n for *_, n in rings)), "heads": float(side * sum(n for *_, n in local)),
        "ramps": float(side * m.ramp * sum(n for *_, n in rings)),
        "words of A": side / 2 * sum(mt * kt * n for mt, kt, _, n in rings),
        "words of B": side / 2 * sum(kt * nt * n for _, kt, nt, n in rings),
    }  # fmt: skip


def _published_tile(params: Params, grid: Grid) -> tuple[Any, tuple[str, ...]]:
    from wafersim.kernels.llm.prefill_sum import PARTS
    from wafersim.models.pieces.small_models import published_sizes
    from wafersim.models.work import published

    side = int(params["side"]) or grid[0]
    tile = published.tile(*published_sizes(str(params["model"])), side, int(params["prompt"]))
    return tile, tuple(PARTS[str(params["part"])])


def _published_products(tile: Any, names: Sequence[str]) -> list[Product]:
    d, s, f = tile.dim, tile.seq, tile.ffn
    shapes = {"q": (d, d), "k": (d, d), "v": (d, d), "o": (d, d), "score": (d, s), "out": (s, d),
              "up": (d, f), "gate": (d, f), "down": (f, d)}  # fmt: skip
    return [(s, *shapes[name], 1) for name in names if name in shapes]


def _published_prefill(params: Params, grid: Grid, m: Machine) -> Work:
    """Products as above; sums along chains of a row; vector code on columns, exponentials in scalar code."""
    tile, names = _published_tile(params, grid)
    d, s, f = tile.dim, tile.seq, tile.ffn
    aligned = {"align": d, "align_score": s, "align_ffn": f}
    count = {name: names.count(name) for name in ("norm", "rope", "softmax", "activation", "score")}
    chains = count["norm"] + 2 * count["softmax"]
    return _products(_published_products(tile, names), [], grid[0], m) | {
        "aligned": grid[0] / 4 * s * sum(aligned.get(name, 0) for name in names),
        "wavelets": count["score"] * grid[0] * s * s / 2 + chains * s / 2,
        "stages": (count["score"] + chains) * grid[0] * (m.ramp + 10.0),
        "hops": (count["score"] * grid[0] + chains) * grid[0] * float(m.hop),
        "norms": float(count["norm"] * d + count["softmax"] * s), "rope": float(count["rope"] * d),
        "elements of norms": float(count["norm"] * d * s + count["rope"] * d * s),
        "scalars": float(chains * s), "scores": float(count["softmax"] * s * s),
        "activation": float(count["activation"] * f * s),
    }  # fmt: skip


def prefill_bound(params: Params, grid: Grid, m: Machine) -> float:
    """Products of a PE, and the all-reduces of attention, norms and router, one after another."""
    if params["variant"] == "starts":
        return 1.0
    if params["variant"] == "published":
        tile, names = _published_tile(params, grid)
        chains = names.count("norm") + 2 * names.count("softmax")
        products, side, sums = (
            _published_products(tile, names),
            grid[0],
            [(grid[0], -(-tile.seq // 2))] * chains,
        )
    else:
        p = _prefill_plan(params, grid)
        products, side, sums = [*_on_rings(p), *_of_attention(p)], p.side, _prefill_sums(p)
    macs = side * sum(mt * kt * nt * count for mt, kt, nt, count in products)
    return _in_turn(_ops(products, side), macs, sums, m)
