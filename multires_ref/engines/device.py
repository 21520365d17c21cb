"""What CuPy finds on this machine: the lines of `multires-ref info --device gpu`."""

from __future__ import annotations

from typing import Any

from ..base.agreement import measure

AGREE = 1e-4  # relative, float32
INSTALL = "pip install 'cupy-cuda13x[ctk]'"


def gpu_report() -> list[str]:
    """CuPy, CUDA and the device with what the kernels can use of it; or one line that says what is missing."""
    try:
        import cupy
    except ImportError:
        return [f"gpu: CuPy is not installed: {INSTALL}"]
    if not cupy.cuda.is_available():
        return [f"gpu: CuPy {cupy.__version__} finds no CUDA device here (no NVIDIA GPU, or no driver for it)"]
    return [f"gpu: CuPy {cupy.__version__}, CUDA {cuda_version(cupy)}", *device_lines(cupy), check_line()]


def cuda_version(cupy: Any) -> str:
    """The runtime's and the driver's version, such as "13.0 (driver 13.0)"."""
    numbers = cupy.cuda.runtime.runtimeGetVersion(), cupy.cuda.runtime.driverGetVersion()
    runtime, driver = (f"{n // 1000}.{n % 1000 // 10}" for n in numbers)
    return f"{runtime} (driver {driver})"


def device_lines(cupy: Any) -> list[str]:
    """Name, memory, multiprocessors and shared memory of the current device."""
    from .cuda import limits

    device = cupy.cuda.Device()
    name = cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode()
    free, total = device.mem_info
    shared, processors = limits()
    return [
        f"  device {device.id}: {name}, compute capability {device.compute_capability[:-1]}.{device.compute_capability[-1]}",
        f"  memory {total / 2**30:.1f} GiB, {free / 2**30:.1f} free; {processors} multiprocessors, "
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
    from .gpu import Layer, backward_threads, starts_of

    def fits(J: int) -> bool:
        layer = Layer(J, 2, J + 1, starts_of((2,) * J), (1,) * J, untied=False, folds=True)
        return backward_threads(layer, 2**J, 4, shared)[1]

    J = 1
    while fits(J + 1):
        J += 1
    return 2**J


def check_line() -> str:
    """One small layer forward on the device, held to NumPy: does compiling and running work?"""
    import cupy
    import numpy as np

    from . import gpu, readout, tree

    rng = np.random.default_rng(0)
    h0, h1, w, w_skip = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 2), (3, 2), (3, 6), (3,)))
    x, taps = rng.standard_normal((2, 3, 50)).astype(np.float32), (1,) * 5
    q, w_a = readout.fold(np.broadcast_to(h1, (5, 3, 2)), w, w_skip, taps)
    wanted = tree.forward(x, np.broadcast_to(h0, (5, 3, 2)), q, w_a)
    try:
        got = cupy.asnumpy(gpu.layer_forward(*(cupy.asarray(a) for a in (x, h0, h1, w, w_skip)), taps))
    except Exception as error:  # whatever the compiler or the driver say, this is where it should be read
        return f"  the layer's kernel does not run: {type(error).__name__}: {str(error).splitlines()[0]}"
    error = measure(got, wanted, AGREE)
    if not error.passed:
        return f"  the layer's kernel compiled and ran, but is WRONG: it differs from NumPy by {error.relative:.0e} of the norm"
    return f"  the layer's kernel compiled and ran: it differs from NumPy by {error.relative:.0e} of the norm"
