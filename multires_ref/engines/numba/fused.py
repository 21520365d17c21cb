"""The loops of engine "fused": one row x[b, d] at a time, through all levels, inside a CPU core's cache.

The layer's sum, y = sum_i q_i * a_{i-1} + w_a a_J, is evaluated from coarse to fine, as Horner's rule does a polynomial:

    r_{J+1} = w_a x + top;    r_i = q_i * x + h0_i * r_{i+1}    (i = J ... 1);    y = r_1

where `*` is the causal convolution with dilation 2^(i-1). Each level reads one array and writes another, and there are only two.
The same walk with delays turned into advances takes g to dx, and its r_{i+1} is then the gradient of a_i, so that

    dh0_i[k] = sum_n r_{i+1}[n + k 2^(i-1)] a_{i-1}[n],    dq_i[j] = sum_n g[n + j 2^(i-1)] a_{i-1}[n].

How the loops are made fast and safe:
- All rows of a thread lie in one buffer, `work`, with `pad` zeros before, between and behind them. The arithmetic of a level on
  such rows is in `horner.py`.
- h and q are flat: channel after channel, and in a channel level after level.
- A row is a whole sequence, some short ones by turns, or of a long one a block of time or some phases: see `rows.py`.
- Units of work run in parallel; a unit is a few channels and a part of the rows. No two units write to the same place, and the
  units do not depend on the number of threads, so the result is the same, bit for bit, whatever that number is.
"""

from __future__ import annotations

import numpy as np

from ...base.arrays import Array
from ...base.compiled import Part, parallel_njit
from ...base.inner import inner_njit
from ...base.vectors import wide_vectors
from . import FASTMATH
from .horner import add_correlations, compiled, dot_two, horner_step, low_pass, set_one, set_two
from .prefetch import prefetch_row
from .rows import GROUP, LINE, SIDE, Rows
from .transpose import transpose

# h [D J K], q [D sum of Q_i], where each q_i begins in a channel's q [J + 1], w_a [D]
Filters = tuple[Array, Array, Array, Array]
Unit = tuple[int, int, int, int]  # first row, end of rows, first channel, end of channels

compiled_parallel = parallel_njit(fastmath=FASTMATH)


@compiled
def interleave(work: Array, at: int, x: Array, b: int, d: int, rows: Rows) -> None:
    """Read the short sequences x[b, d], x[b + 1, d], ... sample by sample in turn; zeros where the batch has come to its end."""
    lanes, present, L = np.uint64(rows.lanes), np.uint64(min(rows.lanes, x.shape[0] - b)), x.shape[2]
    if present < lanes:
        for n in range(np.uint64(rows.R)):
            work[np.uint64(at) + n] = 0
    whole = whole_squares(present, L)
    for lane in range(0, whole, SIDE):
        for n in range(0, L, SIDE):
            first = min(n, L - SIDE)  # the last square of a sequence may overlap with the one before
            transpose(work, at + first * rows.lanes + lane, rows.lanes, x, place_of(x, b + lane, d) + first, x.shape[1] * L)
    for lane in range(np.uint64(whole), present):
        to = np.uint64(at) + lane
        for n in range(np.uint64(L)):
            work[to + n * lanes] = x[b + lane, d, n]


@compiled
def separate(x: Array, b: int, d: int, work: Array, at: int, rows: Rows) -> None:
    """Write a row that holds several sequences back to where each of them is: the inverse of `interleave`."""
    lanes, present, L = np.uint64(rows.lanes), np.uint64(min(rows.lanes, x.shape[0] - b)), x.shape[2]
    whole = whole_squares(present, L)
    for lane in range(0, whole, SIDE):
        for n in range(0, L, SIDE):
            first = min(n, L - SIDE)
            transpose(x, place_of(x, b + lane, d) + first, x.shape[1] * L, work, at + first * rows.lanes + lane, rows.lanes)
    for lane in range(np.uint64(whole), present):
        source = np.uint64(at) + lane
        for n in range(np.uint64(L)):
            x[b + lane, d, n] = work[source + n * lanes]


@compiled
def whole_squares(present: int, L: int) -> int:
    """How many of a row's sequences of L samples are copied in squares of SIDE sequences and SIDE samples."""
    return int(present) // SIDE * SIDE if L >= SIDE else 0


@compiled
def place_of(x: Array, b: int, d: int) -> int:
    """Where x[b, d] begins in x [B, D, L]."""
    return (b * x.shape[1] + d) * x.shape[2]


@compiled
def load(work: Array, at: int, x: Array, b: int, d: int, first: int, rows: Rows) -> None:
    """Read a row of x[b, d] from sample `first` on, which may be negative; x is zero outside. Its chunks are `apart` in x."""
    if rows.lanes > 1:
        interleave(work, at, x, b, d, rows)
    for chunk in range(rows.chunks if rows.lanes == 1 else 0):
        start, to = first + chunk * rows.apart, np.uint64(at + chunk * rows.chunk)
        begin = min(max(0, -start), rows.chunk)
        end = max(begin, min(rows.chunk, x.shape[2] - start))
        for n in range(np.uint64(begin)):
            work[to + n] = 0
        for n in range(np.uint64(begin), np.uint64(end)):
            work[to + n] = x[b, d, np.uint64(start) + n]
        for n in range(np.uint64(end), np.uint64(rows.chunk)):
            work[to + n] = 0


@compiled
def store(x: Array, b: int, d: int, first: int, work: Array, at: int, rows: Rows) -> None:
    """Write a row in `work` to x[b, d] from sample `first` on, as far as x goes, and without the halo (T samples at most)."""
    if rows.lanes > 1:
        separate(x, b, d, work, at, rows)
    for chunk in range((rows.T + rows.chunk - 1) // rows.chunk if rows.lanes == 1 else 0):
        start, source = first + chunk * rows.apart, np.uint64(at + chunk * rows.chunk)
        for n in range(np.uint64(max(0, min(rows.chunk, rows.T, x.shape[2] - start)))):
            x[b, d, np.uint64(start) + n] = work[source + n]


@compiled
def start_row(work: Array, r: int, x: int, t: int, w_a: float, top: Array, where: tuple[int, int, int], rows: Rows) -> None:
    """r_{J+1} = w_a x + top at where = (b, d, first); an empty `top` [B, D, 0] counts as zero; t is overwritten."""
    if top.shape[2] == 0:
        set_one(work, r, x, w_a, rows.R)
    else:
        load(work, t, top, where[0], where[1], where[2], rows)
        set_two(work, r, (x, t), (w_a, work.dtype.type(1)), rows.R)


@compiled
def forward_row(work: Array, y: Array, x: Array, top: Array, filters: Filters, rows: Rows, b: int, first: int, d: int) -> None:
    """One row of y[b, d], from sample `first` on; filters = (h [D J K], q [D sum of Q_i], starts of q_i, w_a [D]), flat."""
    (h, q, starts, w_a), (K, pad, R), J = filters, (rows.K, rows.pad, rows.R), filters[2].shape[0] - 1
    x_row, r, t = rows.lead, rows.lead + rows.stride, rows.lead + 2 * rows.stride
    load(work, x_row, x, b, d, first - rows.back, rows)
    start_row(work, r, x_row, t, w_a[d], top, (b, d, first - rows.back), rows)
    for i in range(J - 1, -1, -1):
        in_h, in_q, Q = (d * J + i) * K, d * starts[J] + starts[i], starts[i + 1] - starts[i]
        horner_step(work, t, (r, x_row), h, q, (min(rows.spacing << i, R), in_h, K, in_q, Q), (R, pad, -1))
        r, t = t, r
    store(y, b, d, first, work, r + rows.halo, rows)


@compiled
def low_passes(work: Array, x: Array, h: Array, J: int, rows: Rows, b: int, first: int, d: int) -> int:
    """The rows a_0 ... a_J, one after the other in `work`; where they are a block of time, the halo comes first. Returns a_J."""
    (K, pad, R), a = (rows.K, rows.pad, rows.R), rows.lead
    load(work, a, x, b, d, first - rows.back, rows)
    for i in range(J):
        low_pass(work, a + rows.stride, a, h, (min(rows.spacing << i, R), (d * J + i) * K, K), (R, pad, -1))
        a += rows.stride
    return a


@compiled
def backward_row(
    work: Array, gradients: Filters, g: Array, top: Array, filters: Filters, rows: Rows, b: int, first: int, d: int
) -> None:
    """One row of dx[b, d], after `low_passes`, and what it adds to the sums dh [D J K], dq [D sum of Q_i] and dw_a [D]."""
    (dx, dh, dq, dw_a), (h, q, starts, w_a), J = gradients, filters, filters[2].shape[0] - 1
    K, pad, R, own = rows.K, rows.pad, rows.R, (rows.R - rows.halo, rows.pad, 1)
    g_row, top_row = rows.lead + (J + 1) * rows.stride, rows.lead + J * rows.stride
    r, t = g_row + rows.stride, g_row + 2 * rows.stride
    load(work, g_row, g, b, d, first, rows)  # where the row is a block of time, the halo comes last here
    dw_a[d] += dot_two(work, g_row, (top_row + rows.halo, g_row), own[0])[0]
    start_row(work, r, g_row, t, w_a[d], top, (b, d, first), rows)
    for i in range(J - 1, -1, -1):
        a, s = rows.lead + i * rows.stride + rows.halo, min(rows.spacing << i, R)
        in_h, in_q, Q = (d * J + i) * K, d * starts[J] + starts[i], starts[i + 1] - starts[i]
        add_correlations(dh, (in_h, K), work, a, r, s, own)
        add_correlations(dq, (in_q, Q), work, a, g_row, s, own)
        horner_step(work, t, (r, g_row), h, q, (s, in_h, K, in_q, Q), (R, pad, 1))
        r, t = t, r
    store(dx, b, d, first, work, r, rows)


@compiled
def place(row: int, rows: Rows) -> tuple[int, int]:
    """The (first) sequence b of a row, counted over all sequences, and where in x[b] its own samples begin."""
    each = rows.blocks * rows.groups
    b, i = row // each, row % each
    return b * rows.lanes, i // rows.groups * rows.step + i % rows.groups * rows.chunk


@compiled
def forward_unit(work: Array, y: Array, x: Array, top: Array, filters: Filters, rows: Rows, unit: Unit) -> None:
    """y for all rows of a unit; the channel changes fastest, as the rows lie in memory."""
    for row in range(unit[0], unit[1]):
        b, first = place(row, rows)
        for d in range(unit[2], unit[3]):
            prefetch_row(x, b, d + 1, first, rows)  # for the next row
            prefetch_row(y, b, d, first, rows)  # for the end of this one
            forward_row(work, y, x, top, filters, rows, b, first, d)


@compiled
def backward_unit(
    work: Array, gradients: Filters, g: Array, x: Array, top: Array, filters: Filters, rows: Rows, unit: Unit
) -> None:
    """dx, and what the filters' gradients are summed up from, for all rows of a unit."""
    for row in range(unit[0], unit[1]):
        b, first = place(row, rows)
        for d in range(unit[2], unit[3]):
            prefetch_row(x, b, d + 1, first, rows)
            prefetch_row(g, b, d, first, rows)
            prefetch_row(gradients[0], b, d, first, rows)
            low_passes(work, x, filters[0], filters[2].shape[0] - 1, rows, b, first, d)
            backward_row(work, gradients, g, top, filters, rows, b, first, d)


@compiled
def approximation_unit(work: Array, out: Array, x: Array, h: Array, levels: int, rows: Rows, unit: Unit) -> None:
    """a_J for all rows of a unit."""
    for row in range(unit[0], unit[1]):
        b, first = place(row, rows)
        for d in range(unit[2], unit[3]):
            a = low_passes(work, x, h, levels, rows, b, first, d)
            store(out, b, d, first, work, a + rows.halo, rows)


@compiled
def unit_of(n: int, x: Array, rows: Rows) -> tuple[Unit, int]:
    """Unit of work n as (first row, end of rows, first channel, end of channels), and which part of the rows it is."""
    D, total = x.shape[1], (x.shape[0] + rows.lanes - 1) // rows.lanes * rows.blocks * rows.groups
    group, part = n // rows.parts, n % rows.parts
    ends = part * total // rows.parts, (part + 1) * total // rows.parts
    return (*ends, group * GROUP, min(D, (group + 1) * GROUP)), part


@inner_njit()
def workspace(n: int, x: Array, rows: Rows) -> Array:
    """Zeros for n rows of a thread, from the beginning of a cache line: a vector that lies across two lines takes two loads."""
    work = np.zeros(rows.lead + n * rows.stride + LINE, x.dtype)
    return work[-work.ctypes.data % 64 // x.itemsize :]


@compiled_parallel
def forward(part: Part, y: Array, x: Array, top: Array, filters: Filters, rows: Rows) -> None:
    """Fill y [B, D, L]; filters as for `forward_row`; top [B, D, L], or [B, D, 0] for none."""
    wide_vectors()
    work = workspace(3, x, rows)
    for n in range(part[0], part[1]):
        forward_unit(work, y, x, top, filters, rows, unit_of(n, x, rows)[0])


@compiled_parallel
def backward(part: Part, gradients: Filters, g: Array, x: Array, top: Array, filters: Filters, rows: Rows) -> None:
    """Fill dx [B, D, L] and, in float64, the sums of each part: dh [parts, D J K], dq [parts, D sum of Q_i], dw_a [parts, D]."""
    wide_vectors()
    dx, dh, dq, dw_a = gradients
    work = workspace(filters[2].shape[0] + 3, x, rows)  # a_0 ... a_J, g, r, t
    for n in range(part[0], part[1]):
        unit, i = unit_of(n, x, rows)
        backward_unit(work, (dx, dh[i], dq[i], dw_a[i]), g, x, top, filters, rows, unit)


@compiled_parallel
def approximation(part: Part, out: Array, x: Array, h: Array, levels: int, rows: Rows) -> None:
    """Fill out [B, D, L] with a_J, where J = levels: only the low-pass half of the tree; h [D J K], flat."""
    wide_vectors()
    work = workspace(levels + 1, x, rows)
    for n in range(part[0], part[1]):
        approximation_unit(work, out, x, h, levels, rows, unit_of(n, x, rows)[0])
