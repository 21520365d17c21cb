"""Work that threads share: every unit is done once, nobody waits for a slow thread long, and errors arrive."""

import threading
import warnings

import numpy as np
import pytest

from multires_ref.base import workers
from multires_ref.base.workers import PIECES, allowed, share_out

SECONDS = 30


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("units", [0, 1, 2, 5, 64, 1001])
def test_every_unit_is_done_once(units, threads):
    done = np.zeros(units, int)

    def work(begin, end):
        done[begin:end] += 1

    share_out(work, units, threads)
    assert (done == 1).all()


def test_a_slow_thread_takes_fewer_pieces():
    """This thread is stopped in its first piece until the other one has done all the rest."""
    here, rest, pieces = threading.get_ident(), threading.Event(), []

    def work(begin, end):
        if threading.get_ident() == here:
            assert rest.wait(SECONDS)
        pieces.append(threading.get_ident() == here)
        if len(pieces) == 2 * PIECES - 1:
            rest.set()

    share_out(work, 1000, threads=2)
    assert sum(pieces) == 1


def test_a_worker_may_use_one_thread_and_knows_what_numpy_is_to_do_with_errors():
    seen, both = [], threading.Barrier(2, timeout=SECONDS)

    def work(begin, end):
        both.wait()
        np.ones(1) / np.zeros(1)
        seen.append(allowed.most)

    with np.errstate(divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        share_out(work, 2, threads=2)
    assert sorted(map(str, seen)) == ["1", "None"]


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_an_error_is_raised_when_all_have_ended(where):
    here, both, ended = threading.get_ident(), threading.Barrier(2, timeout=SECONDS), []

    def work(begin, end):
        both.wait()
        if (threading.get_ident() == here) == (where == "here"):
            raise ZeroDivisionError(where)
        ended.append(begin)

    with pytest.raises(ZeroDivisionError, match=where):
        share_out(work, 2, threads=2)
    assert len(ended) == 1


def test_workers_that_others_keep_busy_are_not_waited_for(monkeypatch):
    """All pieces are done here if no worker comes."""
    release = threading.Event()
    crew = workers.ThreadPoolExecutor(1)
    crew.submit(release.wait, SECONDS)
    monkeypatch.setattr(workers, "workers", lambda: crew)
    done = []
    share_out(lambda begin, end: done.append(end - begin), 100, threads=2)
    release.set()
    crew.shutdown()
    assert sum(done) == 100


@pytest.mark.parametrize("had", [0, 1])
def test_where_no_more_threads_can_be_had_the_work_is_done(monkeypatch, had):
    """As where a limit on threads is reached, or Python is about to end."""
    crew, asked = workers.workers(), []

    class Few:
        def submit(self, function):
            asked.append(function)
            if len(asked) > had:
                raise RuntimeError("can't start new thread")
            return crew.submit(function)

    monkeypatch.setattr(workers, "workers", Few)
    done = np.zeros(100, int)

    def work(begin, end):
        done[begin:end] += 1

    share_out(work, 100, threads=4)
    assert (done == 1).all()
    assert len(asked) == had + 1
