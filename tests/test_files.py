"""Files of the project: written whole or not at all, and read with an error that names them."""

import errno
import json
import os
import sys
import zipfile

import numpy as np
import pytest

from multires_ref.base import checks, files, lock, optional, tensors


def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    files.write_json(path, {"epoch": 1})

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*metrics\.json") as caught:
        files.write_json(path, {"epoch": 2})
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == ["metrics.json"]
    assert json.loads(path.read_text()) == {"epoch": 1}


def test_the_folder_is_synced_after_the_rename(tmp_path, monkeypatch):
    """Otherwise a power cut can take the renamed file away."""
    calls = []
    monkeypatch.setattr(os, "replace", lambda a, b, replace=os.replace: (calls.append("replace"), replace(a, b)))
    monkeypatch.setattr(files, "sync_folder", lambda folder: calls.append(folder))
    files.write_whole(tmp_path / "x", b"1")
    assert calls == ["replace", tmp_path]


def test_two_processes_do_not_share_a_temporary_name(tmp_path, monkeypatch):
    opened = []
    real = open
    monkeypatch.setattr(files, "open", lambda path, mode: (opened.append(path.name), real(path, mode))[1], raising=False)
    for number in (11, 12):
        monkeypatch.setattr(os, "getpid", lambda number=number: number)
        files.write_whole(tmp_path / "x", b"1")
    assert len(set(opened)) == 2


@pytest.mark.parametrize("read", [files.read_json, tensors.read_tensors, tensors.read_npz])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="must be a file; it is a pipe"):
        read(tmp_path / "pipe")
    with pytest.raises(ValueError, match="must be a file; it is a folder"):
        read(tmp_path)
    with pytest.raises(FileNotFoundError, match="nothing"):
        read(tmp_path / "nothing")
    (tmp_path / "short").write_bytes(b"\xff\x00\x01")
    with pytest.raises(ValueError, match="short"):
        read(tmp_path / "short")


def test_deep_json_is_a_sentence(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(ValueError, match=r"deep\.json.*nested too deeply"):
        files.read_json(tmp_path / "deep.json")


def test_arrays_come_back(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3).T, "b": np.zeros(100_000), "c": np.array(3)}
    tensors.write_npz(tmp_path / "x.npz", **arrays)
    read = tensors.read_npz(tmp_path / "x.npz")
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


def test_an_npz_that_claims_more_than_it_has_is_refused_at_once(tmp_path):
    """The header of x.npy says 8 terabytes: NumPy alone would ask for that much memory."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(ValueError, match=r"x\.npy claims 8,000,000,000,000 bytes of numbers"):
        tensors.read_npz(tmp_path / "x.npz")


def test_python_objects_are_never_read(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"x\.npz must be an \.npz file of plain arrays"):
        tensors.read_npz(tmp_path / "x.npz")


def safetensors_bytes(header: dict, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (safetensors_bytes({"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}, b"12"), "dtype"),
        (safetensors_bytes({"__metadata__": {"multires_ref": "[1]"}}), "settings by name"),
        (safetensors_bytes({"__metadata__": {"multires_ref": "{"}}), "not JSON"),
        (safetensors_bytes({"__metadata__": {"multires_ref": "[" * 200_000}}), "nested too deeply"),
        (safetensors_bytes({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}), "truncated"),
        (b"", "truncated"),
    ],
)
def test_damaged_safetensors(tmp_path, content, words):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        tensors.read_tensors(path)
    assert "x.safetensors" in str(caught.value)


def test_json_comes_back_and_nan_is_refused(tmp_path):
    values = {"a": [1, 2.5, None, True], "é": "ü"}
    files.write_json(tmp_path / "x.json", values)
    assert files.read_json(tmp_path / "x.json") == values
    assert (tmp_path / "x.json").read_bytes().endswith(b"}\n")
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            files.write_json(tmp_path / "x.json", {"a": bad})
    assert files.read_json(tmp_path / "x.json") == values


def test_texts_are_utf_8_and_of_a_bounded_size(tmp_path, monkeypatch):
    (tmp_path / "x.txt").write_bytes("größer".encode())
    assert files.read_text(tmp_path / "x.txt") == "größer"
    monkeypatch.setattr(files, "LARGEST_TEXT", 8)
    assert files.read_text(tmp_path / "x.txt") == "größer"
    monkeypatch.setattr(files, "LARGEST_TEXT", 7)
    with pytest.raises(ValueError, match=r"x\.txt is too large: 8 bytes, at most 7 were expected"):
        files.read_text(tmp_path / "x.txt")


def test_the_bytes_are_on_the_disk_before_the_file_is_replaced(tmp_path, monkeypatch):
    """And a folder that the file system refuses to sync is no error: the file is safe."""
    calls, fsync, replace = [], os.fsync, os.replace

    def sync(number):
        calls.append("file" if os.fstat(number).st_size == 3 and not os.path.isdir(f"/proc/self/fd/{number}") else "folder")
        if calls[-1] == "folder":
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(number)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    files.write_whole(tmp_path / "x", b"123")
    assert calls == ["file", "replace", "folder"]
    assert (tmp_path / "x").read_bytes() == b"123"


def test_a_process_of_another_user_is_alive(monkeypatch):
    for error, alive in ((PermissionError(), True), (ProcessLookupError(), False), (OverflowError(), False), (None, True)):

        def kill(process, number, error=error):
            if error:
                raise error

        monkeypatch.setattr(os, "kill", kill)
        assert files.is_alive(4711) is alive


def test_a_lock_on_a_file_that_was_removed_counts_for_nothing(tmp_path, monkeypatch):
    """Its last holder removed the file after it was opened here: the next try makes a new one, which others see."""
    tries, lock_file = [], lock.lock_file

    def removed_at_first(number):
        if not tries:
            (tmp_path / ".lock").unlink()
        tries.append(number)
        return lock_file(number)

    monkeypatch.setattr(lock, "lock_file", removed_at_first)
    with lock.FolderLock(tmp_path):
        assert (len(tries), (tmp_path / ".lock").exists()) == (2, True)
        with pytest.raises(lock.FolderInUse):
            lock.check_free(tmp_path)


def test_a_lock_that_is_held_for_a_moment_is_waited_for(tmp_path, monkeypatch):
    answers = iter([False, False, True])
    monkeypatch.setattr(lock, "lock_file", lambda number: next(answers))
    with lock.FolderLock(tmp_path):
        assert next(answers, "used up") == "used up"
    lock.check_free(tmp_path / "nothing")  # what is not there is free


def test_an_error_that_is_not_about_locks_is_named(tmp_path, monkeypatch):
    def broken(number):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(lock, "lock_file", broken)
    with pytest.raises(OSError, match=r"Input/output error.*\.lock"):
        lock.FolderLock(tmp_path).__enter__()


@pytest.mark.parametrize(("limit", "wanted"), [("1000000\n", 10**6), ("max\n", 2**42), (str(2**60), 2**42), (None, 2**42)])
def test_memory_is_the_machines_or_the_containers(limit, wanted, tmp_path, monkeypatch):
    if limit is not None:
        (tmp_path / "max").write_text(limit)
    monkeypatch.setattr(checks, "CGROUP", tmp_path / "max")
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 2**30, "SC_PAGE_SIZE": 2**12}.__getitem__)
    assert checks.memory_bytes() == wanted


def test_memory_where_the_system_does_not_say(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "CGROUP", tmp_path / "none")
    monkeypatch.delattr(os, "sysconf")
    assert checks.memory_bytes() == checks.UNKNOWN


def test_resources_of_a_wheel_and_of_a_checkout(tmp_path, monkeypatch):
    """The installed ones come first; a folder that is in neither place is an error that names it."""
    monkeypatch.setattr(files, "INSTALLED", tmp_path / "package/resources")
    monkeypatch.setattr(files, "PACKAGE", tmp_path / "package")
    (tmp_path / "tutorials").mkdir()
    (tmp_path / "package/resources").mkdir(parents=True)
    assert files.resource_folder("tutorials") == tmp_path / "tutorials"
    (tmp_path / "package/resources/tutorials").mkdir()
    assert files.resource_folder("tutorials") == tmp_path / "package/resources/tutorials"
    with pytest.raises(FileNotFoundError, match="no folder 'figures/data' came with this installation"):
        files.resource_folder("figures/data")


@pytest.mark.parametrize("how", ["missing", "broken"])
def test_a_pytorch_that_does_not_load_is_as_good_as_none(how, tmp_path, monkeypatch):
    if how == "missing":
        monkeypatch.setitem(sys.modules, "torch", None)
    else:
        monkeypatch.delitem(sys.modules, "torch", raising=False)
        (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.13 is missing')")
        monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="^drawing circles needs PyTorch: pip install torch$"):
        optional.import_torch("drawing circles")


def test_a_library_of_an_extra_that_is_missing_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh", None)
    with pytest.raises(ImportError, match=r"^multires-ref explore needs bokeh: pip install 'multires-ref\[explore\]'$"):
        optional.import_from_extra("bokeh.plotting", "multires-ref explore", "explore")


def test_a_library_that_lacks_something_itself_says_so(tmp_path, monkeypatch):
    (tmp_path / "half_there.py").write_text("import a_module_that_nobody_has")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_module_that_nobody_has"):
        optional.import_from_extra("half_there", "drawing circles", "circles")
