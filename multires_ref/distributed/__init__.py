"""One training run on many processes, by MPI (mpi4py): `mpirun -n 4 multires-ref train ...`.

`launch.py` finds out whether this process is one of several, and gives it its share of the machine. `mpi.py` are the ranks:
`base/ranks.py` says what they do for the rest of the package. `waiting.py` waits for other ranks, and notices where one has gone.
`buckets.py` sums the gradients while the backward pass still runs. `together.py` runs a command on all ranks: one of them speaks,
and where one fails, all end.
"""
