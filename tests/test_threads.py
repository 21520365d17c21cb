"""How many threads: small work takes one, in Numba's loops and in BLAS; what the user set is an upper bound and is put back."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import multires_ref as mr
from multires_ref import Model, NetworkConfig
from multires_ref.base import threads
from multires_ref.base import workers as base_workers
from multires_ref.base.threads import set_num_threads
from multires_ref.base.workers import allowed
from multires_ref.network.streaming import Stream
from multires_ref.ops.conv1x1 import conv1x1
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split
from multires_ref.training.objectives import get_objective
from multires_ref.training.optim import adam_init
from multires_ref.training.step import train_step


class Library:
    """A BLAS that remembers what it was set to."""

    def __init__(self, n):
        self.n, self.seen = n, []

    def get_num_threads(self):
        return self.n

    def set_num_threads(self, n):
        self.n = n
        self.seen.append(n)


@pytest.fixture
def blas(monkeypatch):
    """A BLAS of four threads on a machine of eight processors."""
    library = Library(4)
    monkeypatch.setattr(threads, "blas_libraries", lambda: [library])
    monkeypatch.setattr(threads, "num_threads", lambda: 8)
    return library


def test_the_work_decides(monkeypatch):
    monkeypatch.setattr(threads, "num_threads", lambda: 8)
    W = threads.WORTH
    assert [threads.threads_for(work) for work in (0, W - 1, W, 3 * W - 1, 100 * W, None)] == [1, 1, 2, 3, 8, 8]


def test_sections(blas):
    """A section lowers BLAS to one thread and puts it back; an inner section may lower the threads further but not raise them."""
    with threads.limited(1000) as n:
        assert (n, blas.n, allowed.most) == (1, 1, 1)
        with threads.limited() as n:
            assert (n, blas.n) == (1, 1)
    assert (blas.n, allowed.most) == (4, None)
    with threads.limited() as n:  # all that is allowed
        assert (n, blas.n) == (8, 1)
        with threads.limited(2 * threads.WORTH) as n:
            assert (n, blas.n) == (3, 1)
            with threads.limited() as n:  # larger work inside smaller
                assert (n, blas.n, allowed.most) == (3, 1, 3)
        assert allowed.most == 8
    assert blas.n == 4


def test_what_the_user_set_comes_back_after_an_error(blas):
    blas.n = 2

    def fail():
        with threads.limited(1000):
            assert blas.n == 1
            return 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (blas.n, allowed.most) == (2, None)


def test_sections_of_several_python_threads(blas):
    """BLAS has one setting for all: the last to leave puts it back, whoever came first."""
    inside, leave = threading.Event(), threading.Event()

    def other():
        with threads.limited(1000):
            inside.set()
            leave.wait(30)

    with threads.limited(1000):
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(30)
    assert blas.n == 1  # the other still works
    leave.set()
    thread.join()
    assert blas.n == 4


def digits_network():
    config = NetworkConfig(1, 10, d_model=48, n_layers=1, kernel_size=4, max_length=64, norm="batch")
    return Model.init(config, np.random.default_rng(0))


def calls():
    """Default calls on work as small as that of the digits task; a training step on some of its examples."""
    model = digits_network()
    x = np.random.default_rng(1).standard_normal((50, 1, 64)).astype("float32")
    training, objective = TrainingConfig(1, 50, lr=0.01), get_objective("classification")
    arguments = mr_arguments()

    def step():
        batch = Split(x[:20], np.zeros(20, int))
        train_step(
            model.config, model.params, model.state, adam_init(model.params), batch, 0.1, np.random.default_rng(0), objective,
            training,
        )  # fmt: skip

    return {
        "multires_conv": lambda: mr.multires_conv(*arguments),
        "fft": lambda: mr.multires_conv(*arguments, engine="fft"),
        "model": lambda: model(x),
        "train_step": step,
        "stream": lambda: Stream(model, 50).step(x[:, :, 0]),
        "stream, numpy": lambda: Stream(model, 50, engine="numpy").step(x[:, :, 0]),
        "causal_swt": lambda: mr.causal_swt(np.zeros(10**5, "float32"), "haar", 3),
    }


def mr_arguments():
    rng, shapes = np.random.default_rng(0), ((50, 48, 64), (48, 4), (48, 4), (48, 6), (48,))
    return [rng.standard_normal(shape).astype("float32") for shape in shapes]


@pytest.mark.parametrize("name", calls())
def test_small_work_is_for_one_thread(monkeypatch, name):
    """No worker is asked, and every matrix product finds BLAS set to one."""
    library, products, matmul = Library(4), [], np.matmul
    monkeypatch.setattr(threads, "blas_libraries", lambda: [library])
    monkeypatch.setattr(threads, "num_threads", lambda: 8)
    monkeypatch.setattr(np, "matmul", lambda *args, **kwargs: products.append(library.n) or matmul(*args, **kwargs))
    monkeypatch.setattr(base_workers, "workers", refuse)
    calls()[name]()
    assert set(products) <= {1}
    assert bool(products) == (name in ("model", "train_step", "stream, numpy")) or name == "fft"
    assert library.n == 4


def refuse():
    raise AssertionError("a worker was asked")


def test_large_work_is_for_several_threads(monkeypatch):
    """A loop and a matrix product ask for seven workers each."""
    pytest.importorskip("numba", reason="Numba is not installed")
    monkeypatch.setattr(threads, "WORTH", 1)
    monkeypatch.setattr(threads, "num_threads", lambda: 8)
    asked, real = [], base_workers.workers
    monkeypatch.setattr(base_workers, "workers", lambda: asked.append(1) or real())
    x = np.ones((50, 48, 1024))
    mr.multires_conv(x, *np.zeros((2, 48, 2)), np.zeros((48, 6)), np.zeros(48))
    assert len(asked) == 7
    conv1x1(x, np.ones((96, 48)), np.ones(96))
    assert len(asked) == 14


def test_one_allowed_thread_starts_no_other(monkeypatch):
    """With MULTIRES_NUM_THREADS=1 no thread is started, however large the work: nothing to fork, nothing to wait for."""
    code = """
import threading, numpy as np, multires_ref as mr
mr.multires_conv(np.zeros((50, 48, 1024), "f4"), *np.zeros((2, 48, 2), "f4"), np.zeros((48, 6), "f4"), np.zeros(48, "f4"))
print(threading.active_count())
"""
    env = os.environ | {"MULTIRES_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr


def test_the_real_blas_is_lowered_and_put_back():
    """NumPy's own library, where threadpoolctl knows it."""
    libraries = threads.blas_libraries()
    if not libraries:
        pytest.skip("threadpoolctl does not know NumPy's BLAS")
    before = [library.get_num_threads() for library in libraries]
    with threads.limited(1):
        assert [library.get_num_threads() for library in libraries] == [1] * len(libraries)
    assert [library.get_num_threads() for library in libraries] == before


def test_who_decides_how_many(monkeypatch):
    """The smallest of processors, OMP_NUM_THREADS and what this package was told: by a call rather than by the environment."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(16), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MULTIRES_NUM_THREADS", "5")
    try:
        assert threads.num_threads() == 5
        for told in (3, 7):
            set_num_threads(told)
            assert threads.num_threads() == told
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        assert threads.num_threads() == 2
        for unusable in ("0", "-3", "two", "", " "):
            monkeypatch.setenv("OMP_NUM_THREADS", unusable)
            assert threads.num_threads() == 7
    finally:
        set_num_threads(None)
    assert threads.num_threads() == 5


@pytest.mark.parametrize("own", [False, True])
def test_a_child_puts_back_what_sections_of_other_threads_lowered(blas, monkeypatch, own):
    """After a fork only the section of the thread that forked, if it was in one, will ever close."""
    two = threads.BlasThreads()
    monkeypatch.setattr(threads, "blas", two)
    two.enter()  # another thread's
    if own:
        with threads.limited(1000):
            two.after_fork()
            assert blas.n == 1
    else:
        two.after_fork()
    assert (blas.n, two.sections) == (4, 0)
