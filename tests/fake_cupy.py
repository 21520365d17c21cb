"""A strict stand-in for CuPy, for machines without a GPU: NumPy inside, CuPy's rules outside, installed by `install`.

Strict means: an array never turns into a NumPy array by itself (`np.asarray` raises, as do mixed operands, NumPy arrays as
indices or values, and functions CuPy does not have); a result is always a device array, 0-d after a full reduction; and every
act that makes the host wait for the device, or copies to it, is counted (`log`). `RawModule`, `ElementwiseKernel` and
`ReductionKernel` compile the very source they are given with g++ and run it (`cuda_on_cpu.py`), so a kernel is executed and not
replaced. CuPy's own kernels, cuBLAS, streams and speed are not modelled.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections import Counter
from types import ModuleType

import numpy as np
from fake_cupy_device import cublas_modules, cuda_module
from fake_cupy_kernels import ElementwiseKernel, RawModule, ReductionKernel

log: Counter = Counter()  # "sync", "upload" and "launch", counted since the last clear()
launches: Counter = Counter()  # the launches by name

# Functions of cupy that the package uses or that NumPy's two protocols may ask for; CuPy 14 has them all (test_gpu_kernels.py).
NAMES = """
abs add all any arange argmax array_equal bitwise_and bitwise_or bitwise_xor broadcast_to ceil clip concatenate copyto cos
cumsum diff divide dot einsum empty_like equal exp expand_dims expm1 eye flip floor floor_divide full full_like greater
greater_equal invert iscomplexobj isfinite isnan less less_equal linspace log log1p log2 logaddexp logical_and logical_not
logical_or matmul max maximum mean min minimum mod multiply ndim negative not_equal ones ones_like outer pad power prod ravel
reciprocal remainder repeat reshape result_type rint round shape sign sin size split sqrt square squeeze stack subtract sum
swapaxes take take_along_axis tanh tensordot tile transpose true_divide var where zeros zeros_like
"""
VIEWS = "broadcast_to expand_dims iscomplexobj ndim ravel reshape result_type shape size split squeeze swapaxes transpose view"
METHODS = "sum max min mean prod any all argmax reshape astype copy transpose fill ravel swapaxes squeeze view clip round"
CONSTANTS = "float32 float64 int32 int64 bool_ pi inf nan newaxis"


def launched(name: str) -> None:
    """Count a launch. (Some of CuPy's functions take more than one; a view takes none and is not counted.)"""
    if name not in VIEWS.split():
        log["launch"] += 1
        launches[name] += 1


def plain(value):
    """The NumPy inside, refusing NumPy arrays, as CuPy does."""
    if isinstance(value, ndarray):
        return value._data
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(plain(v) for v in value)
    return value


def device(value):
    """A device array around NumPy's result; shapes, dtypes and Python values pass."""
    if isinstance(value, (np.ndarray, np.generic)):
        return ndarray(np.asarray(value))
    if isinstance(value, (list, tuple)) and any(isinstance(v, np.ndarray) for v in value):
        return type(value)(device(v) for v in value)
    return value


def on_device(function):
    """A NumPy function for device arrays."""

    @functools.wraps(function, assigned=("__name__", "__doc__"), updated=())
    def wrapped(*args, **kwargs):
        launched(function.__name__)
        out = kwargs.get("out")
        result = function(*(plain(a) for a in args), **{k: plain(v) for k, v in kwargs.items()})
        return out if isinstance(out, ndarray) else device(result)

    return wrapped


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):
    """CuPy's array, as far as the package needs it."""

    __array_priority__ = 100
    __module__ = "cupy"
    __slots__ = ("_data",)

    def __init__(self, data: np.ndarray) -> None:
        self._data = data

    # what CuPy refuses
    def __array__(self, *args, **kwargs):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
        )

    # the two protocols
    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        out = kwargs.pop("out", (None,))
        if method != "__call__" or len(out) != 1:
            return NotImplemented
        function = getattr(sys.modules["cupy"], ufunc.__name__, None)
        if function is None:
            return NotImplemented
        if out[0] is not None:
            kwargs["out"] = out[0]
            if not isinstance(out[0], ndarray):
                raise TypeError("return arrays must be of cupy.ndarray type")
        return function(*inputs, **kwargs)

    def __array_function__(self, function, types, args, kwargs):
        ours = getattr(sys.modules["cupy"], function.__name__, None)
        if ours is None or function.__module__.split(".")[0] != "numpy" or not all(t in (ndarray, np.ndarray) for t in types):
            return NotImplemented
        return ours(*args, **kwargs)

    # waiting for the device
    def get(self) -> np.ndarray:
        log["sync"] += 1
        return self._data.copy()

    def item(self, *args):
        return self.get().item(*args)

    def tolist(self):
        return self.get().tolist()

    __bool__ = lambda self: bool(self.get())  # noqa: E731
    __int__ = lambda self: int(self.get())  # noqa: E731
    __float__ = lambda self: float(self.get())  # noqa: E731
    __index__ = lambda self: self.get().__index__()  # noqa: E731
    __str__ = lambda self: str(self.get())  # noqa: E731
    __repr__ = lambda self: repr(self.get())  # noqa: E731
    __format__ = lambda self, spec: format(self.get(), spec)  # noqa: E731

    # shape and memory
    shape = property(lambda self: self._data.shape)
    dtype = property(lambda self: self._data.dtype)
    ndim = property(lambda self: self._data.ndim)
    size = property(lambda self: self._data.size)
    nbytes = property(lambda self: self._data.nbytes)
    itemsize = property(lambda self: self._data.itemsize)
    strides = property(lambda self: self._data.strides)
    flags = property(lambda self: self._data.flags)
    T = property(lambda self: ndarray(self._data.T))

    @property
    def data(self):
        pointer = ModuleType("memory_pointer")
        pointer.ptr = self._data.ctypes.data
        return pointer

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self):
        return (self[n] for n in range(len(self)))

    def __getitem__(self, index):
        return device(self._data[index_of(index)])

    def __setitem__(self, index, value):
        launched("setitem")
        self._data[index_of(index)] = plain(value)

    def __hash__(self):
        raise TypeError("unhashable type: 'cupy.ndarray'")


def index_of(index):
    """An index that may hold device arrays; a boolean one makes the host wait for the number of its elements."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(p, ndarray) and p.dtype == bool for p in parts):
        log["sync"] += 1
    parts = tuple(plain(p) for p in parts)
    return parts if isinstance(index, tuple) else parts[0]


def add_methods() -> None:
    """Methods that simply run NumPy's."""
    for name in METHODS.split():

        def method(self, *args, _name=name, **kwargs):
            launched(_name)
            return device(getattr(self._data, _name)(*(plain(a) for a in args), **{k: plain(v) for k, v in kwargs.items()}))

        method.__name__ = name
        setattr(ndarray, name, method)


add_methods()


def asarray(a, dtype=None, order=None, *, blocking=False):
    """Copies from the host, without waiting unless `blocking`; a device array stays itself."""
    if isinstance(a, ndarray):
        return a if dtype is None or a.dtype == dtype else a.astype(dtype)
    if isinstance(a, (list, tuple)) and any(isinstance(v, ndarray) for v in a):
        return on_device(np.stack)(a)
    log["upload"] += 1
    log["sync"] += bool(blocking)
    return ndarray(np.array(a, dtype=dtype))


def asnumpy(a):
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def ascontiguousarray(a, dtype=None):
    if not isinstance(a, ndarray):
        return asarray(a, dtype)
    return a if a.flags.c_contiguous and dtype in (None, a.dtype) else device(np.ascontiguousarray(a._data, dtype))


def garbage(function):
    """`empty` and `empty_like` hold NaN, so that what is never written shows."""

    def wrapped(*args, **kwargs):
        array = function(*(plain(a) for a in args), **kwargs)
        array.fill(np.nan if array.dtype.kind == "f" else 77)
        return ndarray(array)

    return wrapped


def modules() -> dict[str, ModuleType]:
    """What stands in sys.modules while the stand-in is installed."""
    cupy, cupyx, scipy, special = (ModuleType(n) for n in ("cupy", "cupyx", "cupyx.scipy", "cupyx.scipy.special"))
    for name in NAMES.split():
        setattr(cupy, name, on_device(getattr(np, name)))
    for value in (ndarray, asarray, asnumpy, ascontiguousarray, ElementwiseKernel, ReductionKernel, RawModule):
        setattr(cupy, value.__name__, value)
    cupy.array, cupy.empty, cupy.empty_like = asarray, garbage(np.empty), garbage(np.empty_like)
    for name in CONSTANTS.split():
        setattr(cupy, name, getattr(np, name))
    cupy.cuda, cupy.__version__ = cuda_module(), "14.2.0 (stand-in)"
    from scipy.special import erf

    special.erf = on_device(erf)
    cupyx.scipy, scipy.special = scipy, special
    named = {"cupy": cupy, "cupy.cuda": cupy.cuda, "cupyx": cupyx, "cupyx.scipy": scipy, "cupyx.scipy.special": special}
    return named | cublas_modules()


def forget_kernels() -> None:
    """What the package has compiled belongs to the CuPy it was compiled with."""
    from multires_ref.engines import cuda, gpu
    from multires_ref.ops.cupy import _kernels, masked_mean

    for cached in (cuda.kernel, cuda.limits, gpu.plan, masked_mean.weighted_sum):
        cached.cache_clear()
    for kernel in _kernels.KERNELS.values():
        kernel.__dict__.pop("compiled", None)


@contextlib.contextmanager
def installed(monkeypatch):
    """The stand-in in CuPy's place."""
    from multires_ref.ops.tracing import register_cupy

    with monkeypatch.context() as patch:
        for name, module in modules().items():
            patch.setitem(sys.modules, name, module)
        forget_kernels()
        register_cupy()
        log.clear()
        launches.clear()
        yield sys.modules["cupy"]
    forget_kernels()
