"""The model as a `torch.nn.Module`, with the authors' parameter names: our network, to be compared with your own module.

    module = to_torch(model)                        a NumPy model of ours, as PyTorch
    module.load_state_dict(torch.load("x.pth"))     or a state dict of the authors' code, strictly

The equations are those of `network.block` and `tree`. The causal dilated filters are depthwise `conv1d`s here, padded on the
left. PyTorch's convolution is a correlation: the *last* tap of its kernel belongs to the newest sample, and so h0 and h1 are
stored in this order. Importing this module imports PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base.optional import import_torch
from ..filters import wavelet_filters
from ..network import Model, NetworkConfig
from ..network.norms import NORMS
from ..ops.layer_norm import EPS
from ..tree import kept_per_level
from .convert import params_from_authors, params_to_authors, state_to_authors
from .torch_file import as_numpy

if TYPE_CHECKING:
    from torch import Tensor

torch: Any = import_torch("multires_ref.authors.torch_model")
nn, F = torch.nn, torch.nn.functional


class MultiresLayer(nn.Module):
    """The multiresolution convolution, then GELU and channel dropout: [B, D, L] -> [B, D, L].

        a_i[n] = sum_k h0[k] a_{i-1}[n - k 2^(i-1)],    b_i[n] alike with h1,    a_0 = x
        y[n] = w_a a_J[n] + sum_i sum_t w_i[t] b_i[n - t 2^i] + w_skip x[n]

    `h0`, `h1` [D, 1, K], newest sample last; `w` [D, m + 1]: the weights of a_J, b_J, ..., b_1, and w_skip last.
    Source: the paper's layer; the authors' `MultiresLayer` (thjashin/multires-conv, commit 828089f).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        if not config.tied:
            raise ValueError("tied must be True: this layer has one pair of filters for all levels, as the authors' has")
        D, K, m = config.d_model, config.kernel_size, config.m
        self.kept = kept_per_level(config.J, K, config.tree_select, m)
        self.h0, self.h1 = (nn.Parameter(uniform((D, 1, K), (2 / (2 * K)) ** 0.5)) for _ in range(2))
        self.w = nn.Parameter(uniform((D, m + 1), (2 / (2 * m + 2)) ** 0.5))
        self.activation = nn.GELU()  # exact, by erf
        self.dropout = nn.Dropout1d(config.dropout)
        with torch.no_grad():
            if config.wavelet is not None:
                for h, taps in zip((self.h0, self.h1), wavelet_filters(config.wavelet, config.filter_order), strict=True):
                    h[:] = torch.tensor(taps[::-1].copy())
            if config.indep_res_init:
                self.w[:, -1].uniform_(-1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.activation(self.conv(x)))

    def conv(self, x: Tensor) -> Tensor:
        """The convolution alone."""
        y, a = self.w[:, -1:] * x, x  # [B, D, L]
        end = 1 + sum(self.kept)  # weights beyond the whole tree are unused
        for i, t in enumerate(self.kept, start=1):
            if t:
                b = causal_conv(a, self.h1, 2 ** (i - 1))
                kept = self.w[:, end - t : end].flip(-1)[:, None]  # [D, 1, t]: the newest detail last
                y = y + causal_conv(b, kept, 2**i)  # the kept details are spaced 2^i
                end -= t
            a = causal_conv(a, self.h0, 2 ** (i - 1))
        return y + self.w[:, :1] * a


def causal_conv(x: Tensor, kernel: Tensor, dilation: int) -> Tensor:
    """out[n] = sum_k kernel[K - 1 - k] x[n - k dilation], channel by channel: x [B, D, L], kernel [D, 1, K], newest last."""
    pad = (kernel.shape[-1] - 1) * dilation
    return F.conv1d(F.pad(x, (pad, 0)), kernel, dilation=dilation, groups=kernel.shape[0])


class MultiresNet(nn.Module):
    """The classifier ([B, d_input, L] or tokens [B, L] -> [B, d_output]), tagger or autoregressive network (-> [B, d_output, L]).

    Source: the paper's networks; the authors' `classification.py` and `autoregressive.py`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        D, layers, self.config = config.d_model, range(config.n_layers), config
        embedding = config.encoder == "embedding"
        self.encoder = nn.Embedding(config.d_input, D) if embedding else nn.Conv1d(config.d_input, D, 1)
        self.seq_layers = nn.ModuleList(MultiresLayer(config) for _ in layers)
        self.mixing_layers = nn.ModuleList(mixing(config) for _ in layers)
        self.norms = nn.ModuleList(getattr(nn, NORMS[config.norm].torch)(D, eps=EPS) for _ in layers)
        if config.has_output_at_every_step:
            self.decoder = nn.Conv1d(D, config.d_output, 1)
        else:
            self.output_mapping = nn.Linear(D, config.d_output)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if self.config.kind == "autoregressive":
            x = F.pad(x, (1, 0))[..., :-1]  # the output at n must not see x[n]
        x = self.encode(x)  # [B, D, L]
        for layer, mix, norm in zip(self.seq_layers, self.mixing_layers, self.norms, strict=True):
            x = self.normalise(norm, x + mix(layer(x)))  # post-norm
        if self.config.has_output_at_every_step:
            return self.decoder(x)
        return self.output_mapping(mean_over_time(x, lengths))

    def encode(self, x: Tensor) -> Tensor:
        """[B, d_input, L] or tokens [B, L] -> [B, D, L]."""
        return self.encoder(x).transpose(1, 2) if self.config.encoder == "embedding" else self.encoder(x)

    def normalise(self, norm: nn.Module, x: Tensor) -> Tensor:
        """The norm of x; norms of each time step need the channels last, BatchNorm1d needs them in the middle."""
        return norm(x.transpose(1, 2)).transpose(1, 2) if NORMS[self.config.norm].per_step else norm(x)


def mixing(config: NetworkConfig) -> nn.Sequential:
    """1x1 convolution D -> 2 D, GLU, channel dropout, and in the autoregressive network one more 1x1 convolution."""
    D = config.d_model
    parts = [nn.Conv1d(D, 2 * D, 1), nn.GLU(dim=1), nn.Dropout1d(config.dropout)]
    return nn.Sequential(*parts, *([nn.Conv1d(D, D, 1)] if config.kind == "autoregressive" else []))


def mean_over_time(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The mean of x [B, D, L] over time, over the first lengths[b] steps where lengths [B] are given: [B, D]."""
    if lengths is None:
        return x.mean(dim=2)
    inside = torch.arange(x.shape[2], device=x.device) < lengths[:, None]  # [B, L]
    return (x * inside[:, None]).sum(dim=2) / lengths[:, None]


def uniform(shape: tuple[int, ...], bound: float) -> Tensor:
    """U(-bound, bound), from PyTorch's own generator."""
    return torch.empty(shape).uniform_(-bound, bound)


def to_torch(model: Model) -> MultiresNet:
    """The PyTorch version of a NumPy model: same parameters, same dtype, evaluation mode.

    Examples
    --------
    >>> import numpy as np
    >>> model = Model.init(NetworkConfig(3, 10, 8, 2, max_length=32), np.random.default_rng(0))
    >>> x = np.random.default_rng(1).standard_normal((2, 3, 32)).astype(np.float32)
    >>> bool(np.allclose(to_torch(model)(torch.tensor(x)).detach(), model(x), atol=1e-5))
    True
    """
    arrays = params_to_authors(model.config, model.params) | state_to_authors(model.state)
    state_dict = {name: torch.from_numpy(array) for name, array in arrays.items()}
    module = MultiresNet(model.config).to(next(iter(state_dict.values())).dtype)
    module.load_state_dict(state_dict, strict=True)
    return module.eval()


def from_torch(module: MultiresNet) -> Model:
    """The NumPy model of a `MultiresNet`, in its dtype: the inverse of `to_torch`.

    Examples
    --------
    >>> import numpy as np
    >>> model = Model.init(NetworkConfig(3, 10, 8, 2, max_length=32), np.random.default_rng(0))
    >>> from_torch(to_torch(model)).config == model.config
    True
    """
    config = module.config
    tensors = {name: as_numpy(tensor) for name, tensor in module.state_dict().items()}
    return Model(config, *params_from_authors(tensors, config))
