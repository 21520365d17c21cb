"""Long sequences for the fused engine: a long row is many short ones, twice, so that every row fits in a core's cache.

With S = 2^f, the levels split into the fine ones 1 ... f and the coarse ones above.

- The coarse levels' dilations are multiples of S, so the S phases x[p], x[p + S], x[p + 2 S], ... never meet: each is a row of
  L / S samples with dilations divided by S.
- The fine levels look back only `halo` samples, so time can be cut into blocks, each with `halo` samples before it.

The coarse tree gives r_{f+1} (see `fused_kernels.py`), which the fine one takes as `top`. Everything here is linear and made of
copies, so the backward pass is the chain rule: blocks overlap-add, phases interleave.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ROW = 4096  # samples a row should have: in float32 the tree of such a row (J = 12) fits in 1 MiB of cache


def fine_levels(L: int, J: int) -> int:
    """How many levels are fine: enough for the phases to be at most ROW long."""
    return min(J, max(0, (L - 1).bit_length() - ROW.bit_length() + 1))


def halo(h0: Any, q: list[Any], levels: int) -> int:
    """How many samples back the output of the first `levels` levels depends on its input."""
    K, reach, furthest = h0.shape[2], 0, 0
    for i in range(levels):
        furthest = max(furthest, reach + max(0, q[i].shape[1] - 1) * 2**i)
        reach += (K - 1) * 2**i
    return max(furthest, reach)


def to_phases(x: Any, S: int) -> Any:
    """[B, D, L] -> [B S, D, ceil(L / S)]: row b S + p holds x[b, :, p::S], the last ones filled up with zeros."""
    B, D, L = x.shape
    n = -(-L // S)
    padded = np.concatenate((x, np.zeros((B, D, n * S - L), x.dtype)), axis=2) if n * S > L else x
    return np.ascontiguousarray(padded.reshape(B, D, n, S).transpose(0, 3, 1, 2)).reshape(B * S, D, n)


def from_phases(rows: Any, S: int, L: int) -> Any:
    """The inverse of `to_phases`: [B S, D, n] -> [B, D, L]."""
    D, n = rows.shape[1:]
    return np.ascontiguousarray(rows.reshape(-1, S, D, n).transpose(0, 2, 3, 1).reshape(-1, D, n * S)[..., :L])


def to_blocks(x: Any, T: int, before: int) -> Any:
    """[B, D, L] -> [B ceil(L / T), D, before + T]: blocks of T samples, each after the `before` samples it follows."""
    B, D, L = x.shape
    n = -(-L // T)
    padded = np.zeros((B, D, before + n * T), x.dtype)
    padded[..., before : before + L] = x
    windows = np.lib.stride_tricks.sliding_window_view(padded, before + T, axis=2)[:, :, ::T]  # [B, D, n, before + T]
    return np.ascontiguousarray(windows.transpose(0, 2, 1, 3)).reshape(B * n, D, before + T)


def from_blocks(rows: Any, T: int, before: int, L: int) -> Any:
    """The last T samples of each block, put together: [B n, D, before + T] -> [B, D, L]."""
    n, D = -(-L // T), rows.shape[1]
    kept = rows[..., before:].reshape(-1, n, D, T).transpose(0, 2, 1, 3)  # [B, D, n, T]
    return np.ascontiguousarray(kept.reshape(-1, D, n * T)[..., :L])


def add_blocks(rows: Any, T: int, before: int, L: int) -> Any:
    """The adjoint of `to_blocks`: overlapping samples are added up. [B n, D, before + T] -> [B, D, L]"""
    n, D = -(-L // T), rows.shape[1]
    rows = rows.reshape(-1, n, D, before + T)
    out = np.zeros((rows.shape[0], D, before + n * T), rows.dtype)
    for j in range(n):
        out[..., j * T : j * T + before + T] += rows[:, j]
    return np.ascontiguousarray(out[..., before : before + L])
