"""From rows (one quantity, many samples) to records (one sample, many quantities), 16 x 16 values at a time.

The kernel computes in rows; users read records.  Moving between the two is the largest single cost of a sample
when done value by value, so the move is written in LLVM vectors: sixteen rows are loaded, exchanged in four
butterfly steps, and stored as sixteen pieces of records.  Values are only moved, so the bytes cannot change.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .compilation import stage
from .rng import BLOCK

TILE = 16

_INT = ir.IntType(32)
_LONG = ir.IntType(64)
_LANES = ir.VectorType(ir.FloatType(), TILE)
_INTS = ir.VectorType(_INT, TILE)


def _constants(values: list[int]) -> Any:
    return ir.Constant(_INTS, values)


def _butterfly(builder: Any, vectors: list[Any]) -> list[Any]:
    """Transpose 16 vectors of 16: at step k, swap the off-diagonal k x k blocks of each 2k x 2k block."""
    lanes = range(TILE)
    for k in (1, 2, 4, 8):
        swapped = list(vectors)
        for i in range(TILE):
            if i & k:
                continue
            a, b = vectors[i], vectors[i + k]
            swapped[i] = builder.shuffle_vector(a, b, _constants([TILE + j - k if j & k else j for j in lanes]))
            swapped[i + k] = builder.shuffle_vector(a, b, _constants([TILE + j if j & k else j + k for j in lanes]))
        vectors = swapped
    return vectors


@intrinsic
def _tile(typing: Any, rows: Any, order: Any, j: Any, s: Any, out: Any, at: Any, width: Any) -> Any:
    """``out[at + i * width + k] = rows[order[j + k] * BLOCK + s + i]`` for i < 16, k < min(16, width - j).

    ``order`` must hold at least j + 16 entries; only the first `width` are written.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows_, order_, j_, s_, out_, at_, width_ = args
        source = context.make_array(signature.args[0])(context, builder, rows_)
        indices = context.make_array(signature.args[1])(context, builder, order_)
        target = context.make_array(signature.args[4])(context, builder, out_)
        vectors = []
        for k in range(TILE):
            row = builder.load(builder.gep(indices.data, [builder.add(j_, ir.Constant(_LONG, k))]))
            start = builder.add(builder.mul(builder.sext(row, _LONG), ir.Constant(_LONG, BLOCK)), s_)
            pointer = builder.bitcast(builder.gep(source.data, [start]), _LANES.as_pointer())
            vectors.append(builder.load(pointer, align=4))
        vectors = _butterfly(builder, vectors)

        def pieces() -> Any:
            for i, vector in enumerate(vectors):
                place = builder.add(at_, builder.mul(width_, ir.Constant(_LONG, i)))
                yield vector, builder.bitcast(builder.gep(target.data, [place]), _LANES.as_pointer())

        left = builder.sub(width_, j_)
        whole = builder.icmp_signed(">=", left, ir.Constant(_LONG, TILE))
        with builder.if_else(whole) as (full, partial):
            with full:
                for vector, pointer in pieces():
                    builder.store(vector, pointer, align=4)
            with partial:
                count = builder.insert_element(ir.Constant(_INTS, ir.Undefined), builder.trunc(left, _INT), _INT(0))
                counts = builder.shuffle_vector(count, count, _constants([0] * TILE))
                mask = builder.icmp_unsigned("<", _constants(list(range(TILE))), counts)
                signature_ = ir.FunctionType(ir.VoidType(), [_LANES, _LANES.as_pointer(), _INT, mask.type])
                insert: Any = cgutils.get_or_insert_function
                store = insert(builder.module, signature_, "llvm.masked.store.v16f32.p0")
                for vector, pointer in pieces():
                    builder.call(store, [vector, pointer, _INT(4), mask])
        return context.get_dummy_value()

    return types.void(rows, order, j, s, out, at, width), codegen


@stage
def to_records(rows, order, width, out, first, count):  # type: ignore[no-untyped-def]
    """Write samples 0..count-1 of a block: ``out[(first + s) * width + k] = rows[order[k] * BLOCK + s]``.

    ``rows``: flat float32, row r at r * BLOCK; ``order``: int32, `width` row numbers padded to a multiple of 16;
    ``out``: flat float32.
    """
    whole = count // TILE * TILE
    for s in range(0, whole, TILE):
        for j in range(0, width, TILE):
            _tile(rows, order, j, s, out, (first + s) * width + j, width)  # type: ignore[call-arg]
    for s in range(whole, count):
        for k in range(width):
            out[(first + s) * width + k] = rows[order[k] * BLOCK + s]
