"""Linear memories of m numbers under one interface: wavelet trees, Legendre polynomials, Fourier series, averages, last samples.

    fading, uniform   TreeSelect's memories with Haar's filters; -db2 with db2's; `TreeMemory` with any, a trained layer's too
    last              the last m samples
    averages          m exponential averages, time constants in geometric progression
    legt              HiPPO-LegT, the Legendre memory unit: a sliding window, zero-order hold
    legs              HiPPO-LegS: the whole past; varies with time; exact for held samples, or the paper's bilinear transform
    fourier           HiPPO-FouT: a sliding window in cosines and sines, zero-order hold

`interface.py` says what a memory is, `registry.py` how one is entered (a new memory is one file here), `recover.py` what a
memory still knows of the past, from its matrix alone. `compare.py` puts all of them side by side at equal size, on the signals
of `examples.py`; `drift.py` looks at them after a million samples. Compiled loops are in `numba/`; everything runs without
them.
"""

from importlib import import_module
from pkgutil import iter_modules

from .interface import Memory
from .recover import forgetting_curve, measured_forgetting, past, recover_past
from .registry import MEMORIES, make_memory, register

__all__ = [
    "MEMORIES",
    "Memory",
    "forgetting_curve",
    "last_samples_matrix",
    "make_memory",
    "measured_forgetting",
    "memory_matrix",
    "past",
    "recover_past",
    "register",
]

for module in iter_modules(__path__):
    if not module.ispkg:
        import_module(f"{__name__}.{module.name}")

from .tree_memory import memory_matrix  # noqa: E402
from .window import last_samples_matrix  # noqa: E402
