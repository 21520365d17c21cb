"""`read_members` and the hashes of files: the known files come out whole; what is not as expected is refused by name."""

import hashlib
import io
import tarfile

import pytest

from multires_ref.base.archives import SLACK, check_hash, read_members, split_hash

SIZES = {"a/one": 3, "two": 5}
GOOD = [("a", None), ("./a/one", b"123"), ("notes", b"x"), ("two", b"12345")]


def archive(path, members):
    """A .tar.gz: folders where there are no bytes; a TarInfo goes in as it is."""
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.type, info.size = (tarfile.DIRTYPE, 0) if data is None else (info.type, len(data))
            tar.addfile(info, io.BytesIO(data or b""))
    return path


def link(kind, name="two"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def test_known_files_come_out_and_others_are_passed_over(tmp_path):
    assert read_members(archive(tmp_path / "x.tar.gz", GOOD), SIZES) == {"a/one": b"123", "two": b"12345"}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (GOOD[:2], "two must be in it"),
        ([*GOOD, ("two", b"54321")], "two stands in it twice"),
        ([*GOOD[:3], ("two", b"1234")], "two must be a file of 5 bytes; it has 4"),
        ([*GOOD[:3], ("two", b"123456")], "two must be a file of 5 bytes; it has 6"),
        ([*GOOD[:3], ("two", None)], "two must be a file of 5 bytes"),
        ([*GOOD, ("../x", b"")], "'../x' leads out of its folder"),
        ([*GOOD, ("a/../../x", b"")], "leads out of its folder"),
        ([*GOOD, ("/etc/x", b"")], "'/etc/x' leads out of its folder"),
        ([*GOOD[:3], (link(tarfile.SYMTYPE), b"")], "two is a link"),
        ([*GOOD[:3], (link(tarfile.LNKTYPE), b"")], "two is a link"),
        ([*GOOD, (link(tarfile.GNUTYPE_SPARSE, "more"), b"")], "more is a link, a device or a sparse file"),
        ([*GOOD, (link(tarfile.CHRTYPE, "more"), b"")], "more is a link, a device or a sparse file"),
        ([*GOOD, ("large", bytes(2 * SLACK))], "it holds more than the expected files"),
    ],
)
def test_what_is_not_as_expected_is_refused(members, words, tmp_path):
    with pytest.raises(ValueError, match=words) as error:
        read_members(archive(tmp_path / "x.tar.gz", members), SIZES)
    assert str(error.value).startswith(f"{tmp_path / 'x.tar.gz'} cannot be used: ")


def test_large_known_files_do_not_use_up_the_allowance(tmp_path):
    sizes = {f"f{n}": SLACK for n in range(4)}
    members = [(name, bytes(size)) for name, size in sizes.items()]
    assert read_members(archive(tmp_path / "x.tar.gz", members), sizes).keys() == sizes.keys()


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512", ""])
def test_hashes(algorithm, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    digits = hashlib.new(algorithm or "sha256", b"abc").hexdigest()
    for known in (digits, digits.upper()):
        known = f"{algorithm}:{known}" if algorithm else known
        assert split_hash(known) == (algorithm or "sha256", digits)
        check_hash(path, known)
    other = digits[:-1] + ("0" if digits[-1] != "0" else "1")  # the last digit alone
    with pytest.raises(ValueError, match=f"x is damaged or is another file: its .* hash is {digits}; {other} was expected"):
        check_hash(path, f"{algorithm}:{other}" if algorithm else other)
    for wrong in (digits[:-1], digits + "0", "g" + digits[1:]):
        with pytest.raises(ValueError, match=f"must have {len(digits)} hexadecimal digits"):
            split_hash(f"{algorithm}:{wrong}" if algorithm else wrong)
    with pytest.raises(ValueError, match="must begin with one of md5:"):
        split_hash("crc32:0")
