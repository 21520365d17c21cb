"""`multires-ref data`: a picture only where a file is named, checked before any work."""

import pytest

from multires_ref.cli import main


def test_no_picture_unless_a_file_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "digits"]) == 0
    assert "train: 1,257 examples" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_the_picture_goes_where_it_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    assert main(["data", "digits", "--out", "there/digit.png", "--example", "3"]) == 0
    assert [path.name for path in tmp_path.rglob("*.*")] == ["digit.png"]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("drew training example 3: ")
    assert last.endswith(" in there/digit.png")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--example", "3"], "give --out FILE.png too"),
        (["--out", "x.gif"], "the ending of --out must be one of '.png', '.svg'"),
        (["--out", "x.png", "--example", "-1"], "--example must be at least 0"),
        (["--out", "x.png", "--example", "1257"], "--example must be between 0 and 1256; got 1257"),
    ],
)
def test_what_cannot_be_drawn_is_refused(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "digits", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
