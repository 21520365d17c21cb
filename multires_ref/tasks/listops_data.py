"""ListOps: expressions over digits, their generator, and an evaluator that does not share its code.

    [MAX 4 3 [MIN 2 3 ] 1 0 ]  ->  4        MIN, MAX, MED (median, floored) and SM (sum modulo 10) of digits 0 ... 9

By the rules of the Long Range Arena (Tay et al., 2021, after Nangia and Bowman, 2018): a node above the depth limit is an
operator with probability 1/4 and else a digit; an operator has 2 ... max_args arguments; the length counts operators, digits and
closing brackets; an expression is kept when its length lies strictly between two limits and it was not drawn before.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from ..base.checks import check_int

OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
OPERATOR_SHARE = 0.25
CHUNK = 500  # expressions drawn from one generator
MOST_TRIES = 1_000_000  # draws of one chunk, after which the limits count as impossible
MAX_LENGTH = 2048  # tokens of an expression in the files, the end's included

Example = tuple[str, int]  # source, target


@dataclass(frozen=True)
class Limits:
    """Which expressions are kept; the defaults are the Long Range Arena's."""

    min_length: int = 500
    max_length: int = 2000
    max_depth: int = 10
    max_args: int = 10

    def __post_init__(self) -> None:
        check_int("max_depth", self.max_depth, 1)
        check_int("max_args", self.max_args, 2)
        check_int("min_length", self.min_length, 0)
        check_int("max_length", self.max_length, self.min_length + 2)


def uniforms(rng: np.random.Generator) -> Iterator[float]:
    """Numbers in [0, 1), drawn many at a time."""
    while True:
        yield from rng.random(2**14).tolist()


def draw_expression(u: Iterator[float], limits: Limits, depth: int = 1) -> tuple[str, int, int]:
    """One expression from the uniform numbers `u`: its text, value and length."""
    if depth >= limits.max_depth or next(u) >= OPERATOR_SHARE:
        digit = int(10 * next(u))
        return str(digit), digit, 1
    n = 2 + int((limits.max_args - 1) * next(u))
    texts, values, lengths = zip(*[draw_expression(u, limits, depth + 1) for _ in range(n)], strict=True)
    operator = OPERATORS[int(len(OPERATORS) * next(u))]
    text = "( " * (n + 1) + f"{operator} " + " ) ".join(texts) + " ) ] )"
    return text, apply_operator(operator, values), 2 + sum(lengths)


def apply_operator(operator: str, values: tuple[int, ...]) -> int:
    """The value of one operator.

    Examples
    --------
    >>> [apply_operator(operator, (9, 4, 7, 1)) for operator in OPERATORS]
    [1, 9, 5, 1]
    """
    if operator == "[MED":
        ordered, n = sorted(values), len(values)
        return (ordered[(n - 1) // 2] + ordered[n // 2]) // 2  # of an even count: the mean of the middle two, floored
    if operator == "[SM":
        return sum(values) % 10
    return min(values) if operator == "[MIN" else max(values)


ARITHMETIC = {  # the evaluator's own
    "[MIN": lambda values: sorted(values)[0],
    "[MAX": lambda values: sorted(values)[-1],
    "[MED": lambda values: math.floor(statistics.median(values)),
    "[SM": lambda values: int(str(sum(values))[-1]),
}


DIGITS = {str(n): n for n in range(10)}


def tokens_of(source: str) -> list[str]:
    """The tokens of a written expression; parentheses mean nothing.

    Examples
    --------
    >>> tokens_of("( ( ( [SM 7 ) 8 ) ] )")
    ['[SM', '7', '8', ']']
    """
    return source.replace("(", " ").replace(")", " ").split()


def evaluate(source: str) -> int:
    """The value of a written expression, by a stack of open operators; parentheses mean nothing. For checking targets.

    Raises
    ------
    ValueError
        For an unknown token, an operator without arguments, or brackets that do not match.

    Examples
    --------
    >>> evaluate("[MAX 4 3 [MIN 2 3 ] 1 0 ]"), evaluate("( ( ( [SM 7 ) 8 ) ] )")
    (4, 5)
    """
    values: list[int] = []  # of the operator that is open
    stack: list[tuple[str, list[int]]] = []  # those around it
    operator = ""
    for token in tokens_of(source):
        digit = DIGITS.get(token)
        if digit is not None:
            values.append(digit)
        elif token in ARITHMETIC:
            stack.append((operator, values))
            operator, values = token, []
        elif token == "]" and stack and values:
            value = ARITHMETIC[operator](values)
            operator, values = stack.pop()
            values.append(value)
        elif token == "]":
            raise ValueError(
                f"not a ListOps expression: ] {'closes an operator without arguments' if stack else 'closes nothing'}"
            )
        else:
            raise ValueError(f"not a ListOps expression: {token[:20]!r} is no digit, operator or ]")
    if stack:
        raise ValueError(f"not a ListOps expression: {len(stack)} operators are not closed by ]")
    if len(values) != 1:
        raise ValueError(f"not one ListOps expression: it has {len(values)} values")
    return values[0]


def draw_chunk(job: tuple[int, int, Limits]) -> list[Example]:
    """CHUNK examples of chunk number `job[1]` of seed `job[0]`, every target checked by `evaluate`."""
    seed, number, limits = job
    u, examples = uniforms(np.random.default_rng([seed, number])), []
    for _ in range(MOST_TRIES):
        text, value, length = draw_expression(u, limits)
        if limits.min_length < length < limits.max_length:
            if evaluate(text) != value:
                raise ValueError(f"generator and evaluator disagree: {value} and {evaluate(text)} for {text}")
            examples.append((text, value))
            if len(examples) == CHUNK:
                return examples
    raise ValueError(f"no {CHUNK} expressions in {MOST_TRIES} draws: {limits} leave too few")


def generate(count: int, seed: int, limits: Limits | None = None, workers: int = 1) -> list[Example]:
    """`count` different examples; the same for a seed whatever the number of workers.

    Every chunk has a generator of its own, seeded by (seed, number of the chunk); repeats are dropped in the order of chunks, and
    the rest shuffled, because the rarer short expressions are found early.

    Raises
    ------
    ValueError
        If the limits leave too few expressions.

    Examples
    --------
    >>> generate(2, seed=0, limits=Limits(0, 8, max_depth=2))
    [('( ( ( [MED 8 ) 9 ) ] )', 8), ('2', 2)]
    """
    check_int("count", count, 1)
    limits, found, number = limits or Limits(), dict[str, int](), 0
    with_pool = check_int("workers", workers, 1) > 1 and count > CHUNK
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn")) if with_pool else None
    try:
        while len(found) < count:
            before, wanted = len(found), -(-(count - len(found)) // CHUNK)
            jobs = [(check_int("seed", seed, 0), n, limits) for n in range(number, number + wanted)]
            for examples in pool.map(draw_chunk, jobs) if pool else map(draw_chunk, jobs):
                found.update(examples)
            number += wanted
            if len(found) == before:
                raise ValueError(f"only {before} different expressions found, {count} wanted: {limits} leave too few")
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)
    examples = list(found.items())[:count]
    return [examples[n] for n in np.random.default_rng([seed, 2**40]).permutation(count)]  # no chunk has that number
