"""Array operations with their gradients.

Every operation is a plain function of arrays with its hand-written adjoint beside it (`conv.py`, `pointwise.py`,
`channels.py`, `norms.py`), an adjoint meaning the gradient of sum(g * out). `dispatch.py` picks an implementation by the
arrays' type; `ops.py` registers the operations with autograd: what the network calls. `operator.py` holds `multires_conv`.
"""

from .operator import multires_conv, multires_conv_traced
from .ops import batch_norm, conv1x1, delay, dilated_conv, embed, gelu, glu, layer_norm, linear, masked_mean

__all__ = [
    "batch_norm",
    "conv1x1",
    "delay",
    "dilated_conv",
    "embed",
    "gelu",
    "glu",
    "layer_norm",
    "linear",
    "masked_mean",
    "multires_conv",
    "multires_conv_traced",
]
