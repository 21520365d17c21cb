"""Open a page to play with in the browser: filters, the tree, what each scale hears, the memory.

multires-ref explore                          the page, on this machine only; Ctrl-C ends it
multires-ref explore --signal heart.wav       with your signal: .npy, .csv or .wav
multires-ref explore runs/digits-...          with a trained network: a run folder or a checkpoint
multires-ref explore --export page.html       the page as one file that works without Python

The page is served by Bokeh (pip install 'multires-ref[explore]') and needs no internet. Its
address holds the settings: a link reproduces a view. The exported file holds a dozen wavelets,
seven depths and three signals; it makes no request, and may be put on any web server.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..base.checks import check_int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="run folder or checkpoint to look at (default: none)")
    parser.add_argument("--signal", type=Path, metavar="FILE", help="a signal to begin with: .npy, .csv or .wav (default: ECG)")
    parser.add_argument("--rate", type=float, help="samples per second of a .npy or .csv signal (default: not known)")
    parser.add_argument("--port", type=int, help="port to serve on (default: the first free one from 5006 on)")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on (default: 127.0.0.1, this machine only)")
    parser.add_argument("--export", type=Path, metavar="FILE.html", help="write the page as one file, and serve nothing")
    parser.add_argument("--no-browser", action="store_true", help="do not open the browser")


def run(args: argparse.Namespace) -> int:
    """Read what is given, then serve."""
    from ..base.optional import import_from_extra
    from ..explore.recordings import read_recording
    from ..explore.server import PURPOSE, serve
    from ..explore.state import State
    from ..explore.view import Material

    if args.export is not None:
        return export(args)
    if args.rate is not None and args.signal is None:
        raise ValueError("--rate belongs to a signal: give --signal FILE too")
    if args.port is not None:
        check_int("--port", args.port, 1, 65535)
    import_from_extra("bokeh", PURPOSE, "explore")
    material, settings = Material(), {}
    if args.signal is not None:
        recording = read_recording(args.signal, args.rate)
        material.recordings[args.signal.name] = recording
        settings = {"view": "memory", "signal": args.signal.name, "rate": recording.rate or 0.0}
    if args.run is not None:
        from ..explore.trained import open_trained

        material.trained = open_trained(args.run, args.signal, args.rate)
        settings["view"] = "network"
    return serve(material, State(**settings), args.host, args.port, not args.no_browser)


def export(args: argparse.Namespace) -> int:
    """Write the page as one file."""
    from ..explore.export import export_page

    for name in ("run", "signal", "rate", "port"):
        if getattr(args, name) is not None:
            flag = "RUN" if name == "run" else f"--{name}"
            raise ValueError(f"{flag} is for the page that is served: --export writes a file with the page's own signals")
    path = export_page(args.export)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0
