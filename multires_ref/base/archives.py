"""Known files read out of a .tar.gz archive. Nothing in the archive decides where anything is written or how much is read.

Unpacking a whole archive trusts the names in it: `../x`, `/etc/x` or a link lead out of the folder. Here the caller says which
files it wants and how large each of them is; they are returned as bytes, and the caller writes them where it chooses.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from pathlib import Path
from typing import IO, Protocol, cast

from .files import regular_file

HASHES = ("md5", "sha1", "sha256", "sha512")
SLACK = 2**16  # bytes of headers, padding and small files beside the known ones


class Readable(Protocol):
    """What an `Allowance` reads from."""

    def read(self, size: int, /) -> bytes: ...


class Allowance:
    """A stream that is read up to an allowance: a few kilobytes of gzip can hold gigabytes of zeros."""

    def __init__(self, stream: Readable, left: int) -> None:
        self.stream, self.left = stream, left

    def read(self, size: int) -> bytes:
        """The next bytes; a ValueError where the allowance is used up."""
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise ValueError("it holds more than the expected files")
        return data


def read_members(archive: str | Path, sizes: dict[str, int]) -> dict[str, bytes]:
    """The members of a .tar.gz archive whose names and sizes in bytes are given; other small members are passed over.

    Raises
    ------
    FileNotFoundError
    ValueError
        With the name of the archive: if it is damaged, a member is missing, stands there twice or has another size, or if it
        holds links, devices, names that lead out of its folder, or more data than the expected files have.
    """
    path = regular_file(archive)
    found: dict[str, bytes] = {}
    try:
        with gzip.open(path) as unzipped:
            stream = Allowance(unzipped, SLACK)
            with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as tar:
                for member in tar:
                    name = check_tar_member(member, sizes)
                    if name in found:
                        raise ValueError(f"{name} stands in it twice")
                    if name in sizes:
                        stream.left += member.size
                        found[name] = cast(IO[bytes], tar.extractfile(member)).read()  # a plain file, so never None
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} cannot be used: {error}") from None
    missing = [name for name in sizes if name not in found]
    if missing:
        raise ValueError(f"{path} cannot be used: {', '.join(missing)} must be in it")
    return found


def check_tar_member(member: tarfile.TarInfo, sizes: dict[str, int]) -> str:
    """The member's name without a leading `./`; a ValueError if it is of a kind or size that is not expected."""
    name = member.name.removeprefix("./")
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"the member {name[:80]!r} leads out of its folder")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise ValueError(f"{name[:80]} is a link, a device or a sparse file; only plain files and folders are expected")
    if name in sizes and (not member.isfile() or member.size != sizes[name]):
        raise ValueError(f"{name} must be a file of {sizes[name]:,} bytes; it has {member.size:,}")
    return name


def split_hash(known: str) -> tuple[str, str]:
    """The algorithm and the digits of a hash such as "sha256:c4a3..." (SHA-256 where no algorithm is named).

    Examples
    --------
    >>> split_hash("md5:0123")
    Traceback (most recent call last):
        ...
    ValueError: the hash must have 32 hexadecimal digits after md5:; got 'md5:0123'
    """
    algorithm, _, digits = known.lower().rpartition(":")
    algorithm = algorithm or "sha256"
    if algorithm not in HASHES:
        raise ValueError(f"the hash must begin with one of {', '.join(f'{name}:' for name in HASHES)}; got {known!r}")
    size = 2 * hashlib.new(algorithm).digest_size
    if len(digits) != size or set(digits) - set("0123456789abcdef"):
        raise ValueError(f"the hash must have {size} hexadecimal digits after {algorithm}:; got {known!r}")
    return algorithm, digits


def check_hash(path: str | Path, known: str) -> None:
    """Raise a ValueError that names the file unless its hash is `known` (see `split_hash`)."""
    algorithm, digits = split_hash(known)
    with open(regular_file(path), "rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != digits:
        raise ValueError(f"{path} is damaged or is another file: its {algorithm} hash is {found}; {digits} was expected")
