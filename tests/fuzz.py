"""A fuzzer of the public functions: draws calls, good and bad, and holds each of them to what it must do.

    python tests/fuzz.py --calls 100000 --seed 7          any number of calls
    python tests/fuzz.py --seed 7 --call 123              one call again, with its traceback

A good call must give what the loops of `definition.py` give, within a bound that is scaled by the same computation on absolute
values. A call with one bad argument must raise a ValueError or TypeError that names an argument; nothing else, and no warning.
No call may write to its arguments, or take more than SECONDS or more memory than the limit. Every call has a generator of its
own, seeded by (seed, number), so it can be drawn again alone.
"""

from __future__ import annotations

import argparse
import inspect
import re
import reprlib
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import fuzz_calls as calls
import fuzz_more_calls as more
from fuzz_oracle import Wrong
from fuzz_values import BAD_ARRAYS, BAD_INTS, BAD_NAMES, DOUBTFUL, OTHER_DTYPE, pick

GOOD, BAD = "must be right", "must be refused"
EITHER, ALIKE = "may be refused", "may be refused, but if taken, is as good as the plain argument"
SECONDS = 120  # a call that takes longer hangs; the first calls compile
MAKERS = {  # and how often each is drawn
    calls.multires_conv: 8, calls.layer_by_loops: 1, calls.not_finite: 3, calls.gradients: 4, calls.pyramid: 3, calls.memory: 3,
    calls.memory_rows: 1, calls.depth_for: 1, calls.receptive_field: 1, more.causal_swt: 3, more.causal_iswt: 1,
    more.causal_delay: 1, more.wavelet_filters: 1, more.random_filters: 1, more.impulse_responses: 2, more.frequency_responses: 2,
    more.equivalent_kernel: 2, more.network_config: 3, more.model_call: 2, more.stream: 1, more.stream_step: 2,
}  # fmt: skip


class Late(BaseException):
    """A call that took too long; no `except Exception` may swallow it."""


def draw(rng: np.random.Generator, only: str | None) -> tuple[calls.Call, str, str]:
    """A call, in words what it is, and how it must end."""
    names = [maker for maker, often in MAKERS.items() for _ in range(often) if only in (None, maker.__name__)]
    maker = pick(rng, names)
    call = maker(rng)
    if not call.kinds or rng.integers(3) == 0:
        return call, maker.__name__, GOOD
    name = pick(rng, [n for n in call.kinds if n in call.arguments])
    how, bad, end = spoil(rng, call.kinds[name], call.arguments[name], name)
    call.arguments = call.arguments | {name: bad}
    return call, f"{maker.__name__} with {name} replaced by {how}", end


def spoil(rng: np.random.Generator, kind: str, good: Any, name: str) -> tuple[str, Any, str]:
    """Something bad, or doubtful, in place of a good argument."""
    if kind == "int":
        how = pick(rng, list(BAD_INTS))
        return how, BAD_INTS[how], EITHER if how in ("huge", "beyond 64 bits") else BAD
    if kind in ("name", "wavelet"):
        how = pick(rng, list(BAD_NAMES))
        return how, BAD_NAMES[how], BAD
    if kind == "tokens":
        how = pick(rng, ["fractions", "negative", "too large", "no axis", "a string", "None"])
        bad = {
            "fractions": good + 0.5,
            "negative": good - 99,
            "too large": good + 99,
            "no axis": 1,
            "a string": "x",
            "None": None,
        }
        return how, bad[how], True
    if rng.integers(4) == 0:
        how = pick(rng, list(DOUBTFUL))
        return how, DOUBTFUL[how](good), ALIKE
    table = BAD_ARRAYS | (OTHER_DTYPE if name != "x" else {})
    how = pick(rng, list(table))
    return how, table[how](good), EITHER if takes_more(how, name) else BAD


def takes_more(how: str, name: str) -> bool:
    """Whether some function takes this: the transform takes complex numbers too; responses have any precision."""
    if how == "complex":
        return name == "x"
    return name in ("x", "h0", "h1") and how in ("whole numbers", "truth values", "half precision", "the other dtype")


def try_call(call: calls.Call, end: str) -> str | None:
    """Make the call; in words what is wrong with how it went, or None."""
    before = {name: frozen(value) for name, value in call.arguments.items()}
    fault = outcome(call, end)
    changed = [name for name, value in call.arguments.items() if frozen(value) != before[name]]
    return f"it wrote to {', '.join(changed)}" if changed else fault


def frozen(value: Any) -> Any:
    """What a change of an argument would show in."""
    plain = isinstance(value, np.ndarray) and value.dtype.kind != "O"
    return (value.tobytes(), value.dtype, value.shape, value.flags.writeable) if plain else None


def outcome(call: calls.Call, end: str) -> str | None:
    """Make the call and look at its result, its error and its warnings."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            result = call.function(**call.arguments)
        except Late:
            return f"it took more than {SECONDS} s"
        except (ValueError, TypeError) as error:
            return error_fault(error, call, end)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    if end == BAD:
        return f"it was taken; the result is {reprlib.repr(result)}"
    if end == EITHER:
        return None  # it was taken, and then means something else
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call.check(result)
        except Wrong as wrong:
            return str(wrong)
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            return f"the result cannot be compared: {type(error).__name__}: {error}; it is {reprlib.repr(result)}"
    overflow = [w for w in warned if issubclass(w.category, RuntimeWarning) and not finite(result)]
    if warned and not call.may_warn and not overflow:
        return f"it warned: {warned[0].category.__name__}: {warned[0].message}"
    return None


def finite(result: Any) -> bool:
    """Whether all numbers of a result are finite: where one overflows, NumPy's own warning is welcome."""
    if isinstance(result, (tuple, list)):
        return all(finite(part) for part in result)
    return not isinstance(result, np.ndarray) or result.dtype.kind not in "fc" or bool(np.isfinite(result).all())


def error_fault(error: Exception, call: calls.Call, end: str) -> str | None:
    """What is wrong with a ValueError or TypeError: a good call, or no argument named."""
    if end == GOOD:
        return f"a good call was refused: {type(error).__name__}: {error}"
    names = {*inspect.signature(call.function).parameters, *call.words}
    if not any(re.search(rf"\b{re.escape(name)}\b", str(error)) for name in names):
        return f"the error names no argument: {type(error).__name__}: {error}"
    inner = traceback.extract_tb(error.__traceback__)[-1].filename
    return None if "multires_ref" in inner else f"the error comes from {Path(inner).name}, not from a check: {error}"


def fuzz(count: int, seed: int, only: str | None = None, first: int = 0) -> Iterator[tuple[int, str, str]]:
    """(number, what was called, what is wrong) of every call that fails, of `count` calls."""

    def too_late(*_: Any) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, too_late)
    try:
        for number in range(first, first + count):
            call, what, end = draw(np.random.default_rng([seed, number]), only)
            fault = try_call(call, end)
            if fault:
                yield number, what, fault
    finally:
        signal.signal(signal.SIGALRM, before)


def limit_memory(gibibytes: float) -> None:
    """Bound the address space of this process, so that an absurd array is an error at once."""
    import resource

    size = int(gibibytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def main() -> int:
    """Run from the command line; the exit status is 1 if any call failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000, help="how many calls (default 2000)")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--call", type=int, help="make this one call again")
    parser.add_argument("--only", help=f"one of {', '.join(maker.__name__ for maker in MAKERS)}")
    parser.add_argument("--memory", type=float, default=8, help="GiB of address space (default 8)")
    args = parser.parse_args()
    limit_memory(args.memory)
    first, count = (0, args.calls) if args.call is None else (args.call, 1)
    failures = Counter()
    only = f" --only {args.only}" if args.only else ""
    for number, what, fault in fuzz(count, args.seed, args.only, first):
        failures[what] += 1
        print(f"python tests/fuzz.py --seed {args.seed} --call {number}{only}: {what}: {fault}"[:600], flush=True)
    print(f"{count:,} calls, {sum(failures.values()):,} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
