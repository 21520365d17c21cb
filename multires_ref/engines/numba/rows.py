"""What a row is for the loops of the fused engine, so that every row fits in a CPU core's cache however long the sequences are.

A sequence is a row. Short ones share a row: they are interleaved, the first samples of all of them, then their second samples and
so on, with the dilations multiplied by their number. For a long one the levels are split into groups:

- The first group looks back only `halo` samples, so time is cut into blocks. A row is a block with its halo: the samples before
  it, or in the backward pass those that follow it.
- The dilations of a later group are multiples of some S = 2^f, so the S phases x[p], x[p + S], x[p + 2 S], ... never meet. A row
  is some neighbouring phases, interleaved as they lie in memory: chunks of so many samples, S apart. In the row, a dilation of S
  is one of a chunk. Phases that are long are cut into blocks with a halo too.

Every group reads and writes whole arrays, which takes as long as the arithmetic of several levels. So there should be few
groups, with rows as long as a core's second cache allows. The forward pass needs space for three rows, so its rows are longer
than those of the backward pass, which keeps the low-pass rows of all levels of a group.

`engines/fused.py` runs the last group first and gives its r_{f+1} to the one before as `top`. In the backward pass it gives the
gradient of a_f likewise.
"""

from __future__ import annotations

from typing import NamedTuple

from ...base.arrays import Array

SHORT = 1024  # samples: so long a row is at most, if it holds several sequences
LONG = 65536  # samples: longer sequences are cut
LINE = 16  # float32 elements in a cache line
SIDE = 16  # sequences that are copied together into a row that they share: see `transpose.py`
GROUP = 8  # channels of a unit of work: neighbours in memory, which is thus read in long runs
UNITS = 64  # the least number of units of work to aim at: fixed, so that results do not depend on the number of threads


class Sizes(NamedTuple):
    """How long the rows of a cut sequence may be."""

    block: int  # samples of a block of time, or four times the halo if that is more
    phase: int  # most samples of a phase, or of a block of one
    chunk: int  # neighbouring phases of a row: enough for one visit to a far place in memory to be worth it


FORWARD, BACKWARD = Sizes(65536, 512, 128), Sizes(16384, 512, 64)


class Rows(NamedTuple):
    """How rows lie in x [B, D, L], and what the loops over them need to know."""

    step: int  # samples of x from the beginning of one block of time to that of the next
    chunk: int  # samples of a chunk
    chunks: int = 1  # of a row
    apart: int = 0  # samples of x from the beginning of one chunk to that of the next
    blocks: int = 1  # of time that a sequence is cut into
    groups: int = 1  # of neighbouring phases that a block is cut into
    halo: int = 0  # samples of a row that belong to its neighbour
    back: int = 0  # samples of x from the beginning of the halo to the row's own first sample
    spacing: int = 1  # dilation of the first level inside the row
    lanes: int = 1  # short sequences of a row
    # `complete` fills in the rest, which follows from these and from the filters
    K: int = 0
    R: int = 0  # samples of a row, the halo included
    T: int = 0  # samples of a row, the halo excluded
    pad: int = 0  # zeros around a row: the longest shift, at most R
    lead: int = 0  # where the first row begins in a thread's buffer: at least `pad`, at a cache line
    stride: int = 0  # from there to the next row: at least R + pad, whole lines
    parts: int = 0  # parts into which the rows of a group of channels are divided
    units: int = 0  # units of work: groups of channels times parts


def whole(shape: tuple[int, ...], h0: Array, q: list[Array]) -> Rows:
    """A row is a sequence; short ones share a row, interleaved sample by sample."""
    (B, _, L), most = shape, max(1, SHORT // shape[2])
    unit = SIDE if min(most, B) >= SIDE else 1
    lanes = even_share(-(-B // unit), most // unit) * unit  # so that all rows have about the same number of sequences
    return complete(Rows(step=L, chunk=L * lanes, spacing=lanes, lanes=lanes), shape, h0, q)


def even_share(n: int, most: int) -> int:
    """How many of n things each of the fewest places takes that hold at most `most`.

    Examples
    --------
    >>> even_share(10, most=4), even_share(12, most=4)
    (4, 4)
    """
    return -(-n // -(-n // most))


def blocks(shape: tuple[int, ...], h0: Array, q: list[Array], sizes: Sizes) -> Rows:
    """A row is a block of time with its halo: for the first group of levels."""
    halo = reach(h0, q, len(q))
    T = whole_lines(even_share(shape[2], max(sizes.block, 4 * halo)))
    return complete(Rows(step=T, chunk=T + halo, blocks=-(-shape[2] // T), halo=halo, back=halo), shape, h0, q)


def phases(shape: tuple[int, ...], h0: Array, q: list[Array], first: int, sizes: Sizes) -> Rows:
    """A row is some phases, whole if they are short, else a block of them with its halo: for levels after `first` others."""
    S, chunk = 2**first, sizes.chunk
    length, halo = -(-shape[2] // S), reach(h0, q, len(q))  # of a phase
    most = max(sizes.phase, 4 * halo)
    T, halo = (length, 0) if most + halo >= length else (even_share(length, most), halo)
    rows = Rows(step=T * S, chunk=chunk, chunks=T + halo, apart=S, blocks=-(-length // T), groups=S // chunk)
    return complete(rows._replace(halo=halo * chunk, back=halo * S, spacing=chunk), shape, h0, q)


def complete(rows: Rows, shape: tuple[int, ...], h0: Array, q: list[Array]) -> Rows:
    """Fill in what follows from how the rows lie, for x of this shape and these filters."""
    (B, D, _), K, R = shape, h0.shape[2], rows.chunks * rows.chunk
    pad = min(R, rows.spacing * max((max(K, q_i.shape[1]) - 1) * 2**i for i, q_i in enumerate(q)))
    groups = -(-D // GROUP)
    parts = min(-(-B // rows.lanes) * rows.blocks * rows.groups, -(-UNITS // groups))
    rows = rows._replace(pad=pad, lead=whole_lines(pad), stride=whole_lines(R + pad))
    return rows._replace(K=K, R=R, T=R - rows.halo, parts=parts, units=groups * parts)


def whole_lines(n: int) -> int:
    """n rounded up to whole cache lines."""
    return -(-n // LINE) * LINE


def cuts(L: int, h0: Array, q: list[Array], sizes: Sizes) -> list[int]:
    """Where groups of levels begin and end, from 0 to J; empty for short sequences, and where a block would be mostly halo."""
    J, least = h0.shape[0], sizes.chunk.bit_length() - 1
    last = min(J, (-(-L // sizes.phase) - 1).bit_length())  # so that a phase is short enough
    first = most_levels(h0[:last], q[:last], sizes.block // 8, least)
    if L <= LONG or first < least or 4 * reach(h0, q, first) > L:
        return []
    found = [0, first]
    while found[-1] < last:
        f = found[-1]
        found.append(f + most_levels(h0[f:last], q[f:last], sizes.phase // 4, 1))
    return found + [J] * (found[-1] < J)


def most_levels(h0: Array, q: list[Array], halo: int, least: int) -> int:
    """How many levels a group takes so that it looks back at most `halo` samples: at least `least`, if there are so many."""
    levels = min(least, len(q))
    while levels < len(q) and reach(h0, q, levels + 1) <= halo:
        levels += 1
    return levels


def reach(h0: Array, q: list[Array], levels: int) -> int:
    """How many samples back the output of the first `levels` levels depends on its input."""
    K, low_pass, furthest = h0.shape[2], 0, 0
    for i in range(levels):
        furthest = max(furthest, low_pass + max(0, q[i].shape[1] - 1) * 2**i)
        low_pass += (K - 1) * 2**i
    return max(furthest, low_pass)
