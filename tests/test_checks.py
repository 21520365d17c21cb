"""The checks of arguments by themselves: what is taken, what is refused, and by which name; which module an array belongs to."""

import re
from contextlib import suppress

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from fake_cupy import installed

from multires_ref.base import checks
from multires_ref.base.arrays import family, get_xp, is_traced
from multires_ref.base.names import assigned, named_as_flags, spelled


@pytest.mark.parametrize(
    ("check", "arguments", "taken", "refused"),
    [
        ("check_int", (2, 4), [2, 3, 4, np.int8(3)], [1, 5, True, np.True_, 3.0, "3", None, np.array([3])]),
        ("check_int", (2,), [2, 10**30], [1, np.False_]),
        ("check_number", (0, 1), [0, 1, 0.5, np.float32(0.5)], [-1e-9, 1 + 1e-9, np.nan, np.inf, "0.5", True, np.ones(1)]),
        ("check_bool", (), [True, np.False_], [0, 1, None, "yes", np.ones(1, bool)]),
        ("check_choice", (["ab", "cd"],), ["ab", "cd"], ["abc", None, 3, np.zeros(2)]),
    ],
)
def test_what_is_taken_and_what_is_refused(check, arguments, taken, refused):
    check = getattr(checks, check)
    for value in taken:
        result = check("a_b", value, *arguments)
        assert result == value
        assert type(result) in (int, float, bool, str)
    for value in refused:
        with pytest.raises((TypeError, ValueError), match=r"^a_b must be "):
            check("a_b", value, *arguments)
        with named_as_flags(["a_b"]), pytest.raises((TypeError, ValueError), match=r"^--a-b must be "):
            check("a_b", value, *arguments)
    assert (spelled("a_b"), assigned("a_b", "x")) == ("a_b", "a_b='x'")  # outside they are arguments again


def test_names_inside_and_outside():
    with named_as_flags(["a_b"]):
        assert (spelled("a_b"), spelled("c_d"), assigned("a_b", "x"), assigned("c", 1)) == ("--a-b", "c_d", "--a-b x", "c=1")
        with suppress(KeyError), named_as_flags(["c_d"]):
            assert (spelled("a_b"), spelled("c_d")) == ("a_b", "--c-d")
            raise KeyError
        assert (spelled("a_b"), spelled("c_d")) == ("--a-b", "c_d")


def test_a_long_list_of_choices_is_cut_and_the_nearest_offered():
    names = [f"name{n}" for n in range(20)]
    with pytest.raises(ValueError) as error:
        checks.check_choice("x", "name13x", names)
    assert "'... (20 in all)'" in str(error.value)
    assert "did you mean 'name13'" in str(error.value)
    with pytest.raises(ValueError, match=r"got 'zzz'$"):
        checks.check_choice("x", "zzz", ["ab"])


@pytest.mark.parametrize(
    ("shape", "expected", "fits"),
    [
        ((2, 3), (2, 3), True), ((2, 3), (None, 3), True), ((2, 3), (3, 3), False), ((2, 0), (2, None), False),
        ((2, 0), (2, 0), True), ((2,), (2, 3), False), ((), (), True),
    ],
)  # fmt: skip
def test_shapes(shape, expected, fits):
    if fits:
        checks.check_shape("x", np.zeros(shape), expected, "[A, B]")
        return
    wanted = str(tuple("any" if n is None else n for n in expected)).replace("'", "")
    with pytest.raises(ValueError, match=re.escape(f"x must have shape [A, B] = {wanted}; got {shape}")):
        checks.check_shape("x", np.zeros(shape), expected, "[A, B]")


def test_arrays():
    one, two = np.zeros(2, "float32"), np.zeros(2)
    checks.check_same_dtype(x=one, h=one)
    with pytest.raises(TypeError, match=r"h has dtype float64 but x has float32: .*h\.astype\(x\.dtype\)"):
        checks.check_same_dtype(x=one, g=one, h=two)
    assert checks.check_floats("x", [[1.0, 2.0]], "[A]").shape == (1, 2)
    assert checks.check_floats("x", 3.0, "[]").shape == checks.check_floats("x", np.float32(3), "[]").shape == ()
    for wrong in (np.zeros(2, "float16"), np.zeros(2, int), [1, 2], np.zeros(2, complex), ["a"]):
        with pytest.raises(TypeError, match="x must be a float32 or float64 array"):
            checks.check_floats("x", wrong, "[A]")
    with pytest.raises(ValueError, match="x must be an array; its rows do not fit together"):
        checks.check_floats("x", [[1.0], [1.0, 2.0]], "[A]")


def test_memory_is_counted_in_bytes():
    most = checks.MOST_BYTES
    checks.check_memory("level=3", most // 8, 8, 2, "why")
    with pytest.raises(ValueError, match=rf"level=3 would take {most + 8:,} bytes \(4 GiB\); at most 2 why"):
        checks.check_memory("level=3", most // 8 + 1, 8, 2, "why")


def test_which_module_an_array_belongs_to(monkeypatch):
    with installed(monkeypatch) as cupy:
        plain, on_gpu, seen = np.zeros(2), cupy.asarray(np.zeros(2)), []

        def look(x):
            seen.append((get_xp(plain, x), family(x), is_traced(plain, x), is_traced(x, plain)))
            return anp.sum(x)

        grad(look)(plain)
        assert seen == [(anp, "autograd", True, True)]
        assert not is_traced(plain, on_gpu)
        assert get_xp(plain, None, 3.0) is np
        assert get_xp(on_gpu, np.float32(3.0), 2) is cupy  # a number is on no device
        assert (family(plain), family(on_gpu)) == ("numpy", "cupy")
        for arrays in ((plain, on_gpu), (on_gpu, plain)):
            with pytest.raises(TypeError, match=r"arrays on different devices: .*numpy\.ndarray\(2,\)"):
                get_xp(*arrays)
