"""What the fuzzer draws: arrays of every size, layout and range of values, and bad values in place of good ones."""

from __future__ import annotations

import numpy as np

LAYOUTS = ("plain", "reversed", "fortran", "strided", "read-only", "zero-stride", "transposed")
RANGES = ("normal", "normal", "normal", "zeros", "subnormal", "small", "large", "mixed")


def pick(rng: np.random.Generator, values):
    """One of the values, which may be of any type."""
    return values[int(rng.integers(len(values)))]


def array(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """A finite array in a drawn range of values and a drawn layout in memory."""
    a, span = rng.standard_normal(shape), pick(rng, RANGES)
    tiny, top = np.finfo(dtype).tiny, np.finfo(dtype).max
    scale = {"zeros": 0.0, "subnormal": float(tiny) / 8, "small": float(tiny) ** 0.25, "large": float(top) ** 0.12}
    if span == "mixed":  # samples of very different size beside each other
        a *= 10.0 ** rng.integers(-6, 7, shape)
    return lay_out(rng, (a * scale.get(span, 1.0)).astype(dtype))


def lay_out(rng: np.random.Generator, a: np.ndarray) -> np.ndarray:
    """The same numbers (with "zero-stride": the first along an axis, repeated) in a drawn layout."""
    layout = pick(rng, LAYOUTS)
    if layout == "reversed":
        return a[..., ::-1].copy()[..., ::-1]
    if layout == "fortran":
        return np.asfortranarray(a)
    if layout == "strided":
        wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), 7, a.dtype)
        wide[..., ::2] = a
        return wide[..., ::2]
    if layout == "read-only":
        a.flags.writeable = False
        return a
    if layout == "zero-stride":
        axis = int(rng.integers(a.ndim))
        return np.broadcast_to(a.take([0], axis), a.shape)
    return np.swapaxes(np.swapaxes(a, 0, -1).copy(), 0, -1) if layout == "transposed" else a


def with_bad_samples(rng: np.random.Generator, x: np.ndarray) -> tuple[np.ndarray, tuple]:
    """x [B, D, L] with NaN or infinity at one place, and that place."""
    place = tuple(int(rng.integers(n)) for n in x.shape)
    x = x.copy()
    x[place] = pick(rng, (np.nan, np.inf, -np.inf))
    return x, place


# what no function takes for an array of floats: name -> the bad value made of a good one
BAD_ARRAYS = {
    "whole numbers": lambda a: np.ones(a.shape, np.int64),
    "complex": lambda a: a.astype(complex),
    "half precision": lambda a: np.zeros(a.shape, np.float16),
    "objects": lambda a: a.astype(object),
    "truth values": lambda a: np.ones(a.shape, bool),
    "texts": lambda a: np.full(a.shape, "1.0"),
    "dates": lambda a: np.zeros(a.shape, "datetime64[s]"),
    "records": lambda a: np.zeros(a.shape, [("a", "f4")]),
    "a string": lambda a: "signal",
    "None": lambda a: None,
    "a dict": lambda a: {"x": a},
    "a function": lambda a: np.sum,
    "an object": lambda a: object(),
    "a number": lambda a: 1.5,
    "rows of unequal length": lambda a: [[1.0, 2.0], [3.0]],
    "nothing": lambda a: a[..., :0],
    "no axis": lambda a: a.dtype.type(1),
}
OTHER_DTYPE = {"the other dtype": lambda a: a.astype("float32" if a.dtype == np.float64 else "float64")}
BAD_INTS = {
    "zero": 0,
    "negative": -1,
    "very negative": -(10**30),
    "huge": 10**9,
    "beyond 64 bits": 2**70,
    "a fraction": 2.5,
    "a whole float": 3.0,
    "a string": "3",
    "a list": [1, 2],
    "an array": np.array([1, 2]),
    "True": True,
    "NaN": float("nan"),
    "a complex number": 1j,
    "an object": object(),
}
BAD_NAMES = {
    "unknown": "nope",
    "empty": "",
    "None": None,
    "a number": 3,
    "a list": ["tree"],
    "an array": np.zeros(2),
    "bytes": b"db2",
}
# what a function may refuse, but if it takes it, the result must be that of the plain array
DOUBTFUL = {
    "a list": lambda a: a.tolist() if a.dtype == np.float64 else a,
    "a masked array": lambda a: np.ma.masked_array(a),
    "a subclass": lambda a: a.view(type("Sub", (np.ndarray,), {})),
    "the other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
}
