"""The stand-in's `cupy.cuda` and cuBLAS (part of `fake_cupy.py`)."""

from __future__ import annotations

import time
from types import ModuleType

from fake_cupy_kernels import strided_gemm


def waited() -> None:
    """The host waited for the device."""
    from fake_cupy import log

    log["sync"] += 1


used: list[int] = []  # the numbers of the devices that were chosen


class Device:
    """One Hopper-like device."""

    def __init__(self, number: int = 0) -> None:
        self.id = number

    attributes = {"MaxSharedMemoryPerBlockOptin": 232448, "MultiProcessorCount": 4}
    compute_capability = "90"
    mem_info = (70 * 2**30, 80 * 2**30)

    def synchronize(self):
        waited()

    def use(self):
        """Let what follows happen on this device; here only its number is kept."""
        used.append(self.id)


class Stream:
    """The one queue of the device."""

    def synchronize(self):
        waited()


class Event:
    """A mark in the device's queue; here, the host's clock."""

    def record(self):
        self.time = time.perf_counter()

    def synchronize(self):
        waited()


def cuda_module() -> ModuleType:
    cuda = ModuleType("cupy.cuda")
    cuda.is_available = lambda: True
    cuda.Device, cuda.Event, cuda.get_current_stream = Device, Event, Stream
    cuda.get_elapsed_time = lambda begin, end: 1e3 * (end.time - begin.time)
    runtime = ModuleType("cupy.cuda.runtime")
    runtime.getDeviceCount = lambda: 1
    runtime.getDeviceProperties = lambda n: {"name": b"stand-in", "totalGlobalMem": 80 * 2**30, "major": 9, "minor": 0}
    runtime.runtimeGetVersion = lambda: 13000
    runtime.driverGetVersion = lambda: 13000
    cuda.runtime, cuda.device = runtime, ModuleType("cupy.cuda.device")
    cuda.device.get_cublas_handle = lambda: 1
    return cuda


def cublas_modules() -> dict[str, ModuleType]:
    """cupy_backends.cuda.libs.cublas, with the two products the package calls."""
    names = ["cupy_backends", "cupy_backends.cuda", "cupy_backends.cuda.libs", "cupy_backends.cuda.libs.cublas"]
    found = {name: ModuleType(name) for name in names}
    found[names[2]].cublas = cublas = found[names[3]]
    cublas.sgemmStridedBatched, cublas.dgemmStridedBatched = strided_gemm("float32"), strided_gemm("float64")
    cublas.setMathMode = lambda handle, mode: None
    return found
