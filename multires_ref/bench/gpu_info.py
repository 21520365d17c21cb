"""What CuPy finds on this machine: the lines of `multires-ref info --device gpu` and the head of `multires-ref bench gpu`."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from ..base.agreement import measure
from ..engines import get_engine
from ..engines.cuda import limits
from ..engines.cuda.plan import backward_threads, layer_of
from ..engines.gpu import INSTALL

AGREE = 1e-4  # relative, float32


def gpu_report() -> list[str]:
    """Versions of CuPy and CUDA, and what the kernels can use of the GPU; or one line that says what is missing."""
    try:
        import cupy
    except ImportError:
        return [f"gpu: CuPy is not installed: {INSTALL}"]
    if not cupy.cuda.is_available():
        return [f"gpu: CuPy {cupy.__version__} finds no CUDA device here (no NVIDIA GPU, or no driver for it)"]
    return [f"gpu: CuPy {cupy.__version__}, CUDA {cuda_version(cupy)}", *device_lines(cupy), check_line()]


def cuda_version(cupy: ModuleType) -> str:
    """The versions of CUDA's runtime and of the driver, such as "13.0 (driver 13.0)"."""
    versions = cupy.cuda.runtime.runtimeGetVersion(), cupy.cuda.runtime.driverGetVersion()
    runtime, driver = (f"{n // 1000}.{n % 1000 // 10}" for n in versions)
    return f"{runtime} (driver {driver})"


def device_lines(cupy: ModuleType) -> list[str]:
    """Name, memory, multiprocessors and shared memory of the current device."""
    device = cupy.cuda.Device()
    name = cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode()
    free, total = device.mem_info
    shared, multiprocessors = limits()
    return [
        f"  device {device.id}: {name}, compute capability {device.compute_capability[:-1]}.{device.compute_capability[-1]}",
        f"  memory {total / 2**30:.1f} GiB, {free / 2**30:.1f} free; {multiprocessors} multiprocessors, "
        f"{shared / 1024:.0f} KiB shared memory for a block",
        f"  K = 2, float32: backward in shared memory up to L = {longest_in_shared_memory(shared)}; beyond, in global memory",
    ]


def longest_in_shared_memory(shared: int) -> int:
    """The largest power of two at which the backward pass of a fading layer (K = 2, float32) keeps its levels in shared memory.

    Examples
    --------
    >>> longest_in_shared_memory(227 * 1024)  # Hopper
    4096
    """

    def fits(J: int) -> bool:
        layer = layer_of(np.empty((1, 2)), np.empty((1, J + 1)), (1,) * J)
        return backward_threads(layer, 2**J, 4, shared)[1]

    J = 1
    while fits(J + 1):
        J += 1
    return 2**J


def check_line() -> str:
    """Whether compiling and running work: one small layer forward on the GPU, compared with NumPy."""
    import cupy

    rng = np.random.default_rng(0)
    shapes = ((3, 2), (3, 2), (3, 6), (3,), (2, 3, 50))
    h0, h1, w, w_skip, x = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    arrays, kept = (x, h0, h1, w, w_skip), (1,) * 5
    wanted = get_engine("tree").forward(*arrays, kept)
    try:
        got = cupy.asnumpy(get_engine("gpu").forward(*(cupy.asarray(a) for a in arrays), kept))
    except Exception as error:  # whatever the compiler or the driver say, it should be read here
        return f"  the layer's kernel does not run: {type(error).__name__}: {str(error).splitlines()[0]}"
    error = measure(got, wanted, AGREE)
    if not error.passed:
        return f"  the layer's kernel compiled and ran, but is WRONG: it differs from NumPy by {error.relative:.0e} of the norm"
    return f"  the layer's kernel compiled and ran: it differs from NumPy by {error.relative:.0e} of the norm"
