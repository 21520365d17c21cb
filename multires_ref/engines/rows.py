"""What a row is for the fused engine's loops, so that every row fits in a core's cache however long the sequences are.

A short sequence is a row. For a long one, with S = 2^f, the levels split into the fine ones 1 ... f and the coarse ones above:

- The fine levels look back only `halo` samples, so time is cut into blocks of T samples; a row is a block, loaded with the halo
  (the samples before it; in the backward pass, those of g that follow it).
- The coarse levels' dilations are multiples of S, so the S phases x[p], x[p + S], x[p + 2 S], ... never meet. A row is CHUNK
  neighbouring phases, interleaved as they lie in memory: chunks of CHUNK samples, S apart. Dilation S is CHUNK in the row.

`fused.py` runs the coarse tree first, whose r_{f+1} the fine one takes as `top`; in the backward pass it gives the gradient of
a_f, which the fine one takes as `top` likewise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

LONG = 32768  # samples: longer sequences are cut
CHUNK = 64  # samples: enough for one visit to a far place in memory to be worth it
PHASE = 256  # most samples of one phase: with CHUNK phases and 8 levels, the tree of such a row fits in 1 MiB of cache
BLOCK = 4096  # samples of a block, or four times the halo
LINE = 16  # float32 numbers in a cache line
GROUP = 8  # channels worked on in turn: memory is read in long runs
UNITS = 64  # pieces of work to aim at at least: fixed, so that results do not depend on the number of threads


class Rows(NamedTuple):
    """How rows lie in x [B, D, L], and what loops over them need to know."""

    K: int
    R: int  # samples of a row, the halo included
    T: int  # samples of a row, the halo excluded
    halo: int
    spacing: int  # dilation of the first level inside the row
    pad: int  # zeros around a row: the longest shift, at most R
    each: int  # rows a sequence is cut into
    step: int  # samples from the beginning of one to that of the next
    count: int  # chunks of a row
    chunk: int  # samples of a chunk
    apart: int  # samples of x from the beginning of one chunk to that of the next
    group: int  # channels of a unit of work: neighbours in memory
    parts: int  # parts that the rows of a group are worked on in
    units: int  # groups times parts
    lead: int  # where the first row stands in a thread's buffer: at least `pad`, at a cache line
    stride: int  # from there to the next row: at least R + pad, whole lines
    line: int = LINE


def fine_levels(L: int, h0: Any, q: list[Any]) -> int:
    """How many levels to run by blocks; 0 for short sequences, and where a block would be mostly halo."""
    if L <= LONG:
        return 0
    fine = min(h0.shape[0], (-(-L // PHASE) - 1).bit_length())  # so that a phase has at most PHASE samples
    return fine if 2**fine >= CHUNK and 4 * reach(h0, q, fine) <= L else 0


def reach(h0: Any, q: list[Any], levels: int) -> int:
    """How many samples back the output of the first `levels` levels depends on its input."""
    K, low_pass, furthest = h0.shape[2], 0, 0
    for i in range(levels):
        furthest = max(furthest, low_pass + max(0, q[i].shape[1] - 1) * 2**i)
        low_pass += (K - 1) * 2**i
    return max(furthest, low_pass)


def rows_of(shape: tuple[int, ...], h0: Any, q: list[Any], each: int, *fields: int) -> Rows:
    """`Rows` from fields R, T, halo, spacing, step, count, chunk, apart, with those that follow from them."""
    R, T, halo, spacing, step, count, chunk, apart = fields
    pad = min(R, spacing * max((max(h0.shape[2], q_i.shape[1]) - 1) * 2**i for i, q_i in enumerate(q)))
    groups = -(-shape[1] // GROUP)
    parts = min(shape[0] * each, -(-UNITS // groups))
    sizes = (pad, each, step, count, chunk, apart, GROUP, parts, groups * parts, up(pad), up(R + pad))
    return Rows(h0.shape[2], R, T, halo, spacing, *sizes)


def up(n: int) -> int:
    """n rounded up to whole cache lines."""
    return -(-n // LINE) * LINE


def whole(shape: tuple[int, ...], h0: Any, q: list[Any]) -> Rows:
    """A row is a sequence."""
    L = shape[2]
    return rows_of(shape, h0, q, 1, L, L, 0, 1, L, 1, L, L)


def blocks(shape: tuple[int, ...], h0: Any, q: list[Any]) -> Rows:
    """A row is a block of time with its halo, for fine levels."""
    halo = reach(h0, q, len(q))
    T = max(BLOCK, 4 * halo)
    return rows_of(shape, h0, q, -(-shape[2] // T), T + halo, T, halo, 1, T, 1, T + halo, 0)


def phases(shape: tuple[int, ...], h0: Any, q: list[Any], fine: int) -> Rows:
    """A row is CHUNK phases, for the coarse levels above `fine`."""
    count = -(-shape[2] // 2**fine)
    return rows_of(shape, h0, q, 2**fine // CHUNK, count * CHUNK, count * CHUNK, 0, CHUNK, CHUNK, count, CHUNK, 2**fine)
