"""Files of the project: written whole or not at all, and read with an error that names them."""

import errno
import json
import os
import zipfile

import numpy as np
import pytest

from multires_ref.base import files, tensors


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
