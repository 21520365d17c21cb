"""What a block does between its convolution and its norm, as one operation: GELU, 1x1 convolution, GLU.

    v = GELU(c) mask_1                 c [B, D, L]
    u = weight v + bias                [B, 2 D, L]
    r = GLU(u) mask_2                  [B, D, L]

Step by step every array passes through memory several times. The compiled version takes all three steps for some columns
(time steps of the batch) before it goes on to the next ones.
"""

from __future__ import annotations

from ..base.arrays import Array, family, is_traced, unboxed
from ..base.buffers import empty
from ..base.compiled import numba_works
from .conv1x1 import conv1x1, conv1x1_adjoint
from .gelu import MASK, gelu, gelu_adjoint
from .glu import glu, glu_adjoint
from .registry import Example, operation

SHAPES = [(2, 3, 7), (6, 3), (6,)]


@operation(Example(SHAPES), Example(SHAPES, (MASK, MASK[::-1]), "dropout"))
def mixing(
    c: Array,
    weight: Array,
    bias: Array,
    mask_1: Array | None = None,
    mask_2: Array | None = None,
    kept: Array | None = None,
) -> Array:
    """GLU(weight (GELU(c) mask_1) + bias) mask_2: [B, D, L]. The masks are [B, D, 1] as in `gelu.py`, or None.

    `kept` is memory of 2 B D L numbers, from `kept_for`, in which the compiled version leaves the product weight v for its
    adjoint, which is called with the same arguments. Without it the product is taken again.
    """
    return glu(conv1x1(gelu(c, mask_1), weight, bias), mask_2)


@mixing.adjoint(of=3)
def mixing_adjoint(
    g: Array,
    c: Array,
    weight: Array,
    bias: Array,
    mask_1: Array | None = None,
    mask_2: Array | None = None,
    kept: Array | None = None,
) -> tuple[Array, Array, Array]:
    """The gradients of c [B, D, L], weight [2 D, D] and bias [2 D]."""
    v = gelu(c, mask_1)
    du = glu_adjoint(g, conv1x1(v, weight, bias), mask_2)
    dv, dweight, dbias = conv1x1_adjoint(du, v, weight, bias)
    return gelu_adjoint(dv, c, mask_1), dweight, dbias


def is_compiled(c: Array) -> bool:
    """Whether there is a compiled version for this array, so that one operation is better than three."""
    return family(unboxed(c)) == "numpy" and numba_works()


def kept_for(c: Array) -> Array | None:
    """Memory for what the adjoint of `mixing` needs; None where c [B, D, L] is not traced, so that there will be no adjoint."""
    return empty((2 * c.size,), c.dtype) if is_traced(c) else None
