"""The page served by Bokeh to this machine's browser, until Ctrl-C."""

from __future__ import annotations

import socket
import webbrowser
from typing import Any

from ..base.optional import import_from_extra
from .state import State
from .view import Material

PORT, PORTS = 5006, 20  # where the search for a free port begins, and how many are tried
LARGEST_MESSAGE = 2**25  # bytes that the browser may send at once; `client.js` sends no file of more than LARGEST_FILE
PURPOSE = "the page to play with"


def free_port(host: str, port: int | None) -> int:
    """The port, if nobody listens on it; without one, the first free one from PORT on.

    Raises
    ------
    ValueError
        If the port is taken, or all that are tried; or if `host` is no address of this machine.
    """
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        raise ValueError(f"--host must be a name or an address of this machine; got {host!r}") from None
    wanted = [port] if port is not None else list(range(PORT, PORT + PORTS))
    for number in wanted:
        try:
            with socket.create_server((host, number)):
                return number
        except OSError as error:
            reason = error.strerror or str(error)
    which = f"port {port}" if port is not None else f"each of the ports {PORT} to {PORT + PORTS - 1}"
    raise ValueError(f"{which} of {host} cannot be used ({reason}): give another with --port N")


def address_of(host: str, port: int, state: State) -> str:
    """What to open in a browser."""
    from urllib.parse import urlencode

    query = urlencode(state.to_query())
    shown = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/{'?' + query if query else ''}"


def new_server(material: Material, start: State, host: str = "127.0.0.1", port: int | None = None) -> Any:
    """A Bokeh server that serves the page at "/", not yet started.

    Raises
    ------
    ImportError
        If Bokeh is not installed.
    ValueError
        For a port that is taken.
    """
    import_from_extra("bokeh", PURPOSE, "explore")
    from bokeh.application import Application
    from bokeh.application.handlers.function import FunctionHandler
    from bokeh.server.server import Server

    from .page import fill

    number = free_port(host, port)
    everybody = host in ("", "0.0.0.0", "::")  # the page may then be asked for under any name of this machine
    origins = ["*"] if everybody else [f"{name}:{number}" for name in {"127.0.0.1", "localhost", host}]
    return Server(
        {"/": Application(FunctionHandler(lambda doc: fill(doc, material, start)))},
        address=host, port=number, allow_websocket_origin=origins, websocket_max_message_size=LARGEST_MESSAGE,
        check_unused_sessions_milliseconds=5000, unused_session_lifetime_milliseconds=15000,
    )  # fmt: skip


def serve(material: Material, start: State, host: str = "127.0.0.1", port: int | None = None, browser: bool = True) -> int:
    """Serve the page until the process is asked to end (Ctrl-C, SIGTERM); prints its address, and opens it in a browser.

    Returns
    -------
    int, the exit status: 0
    """
    server = new_server(material, start, host, port)
    address = address_of(host, server.port, start)
    try:
        server.start()
        print(f"the page is at {address} (Ctrl-C ends it)", flush=True)
        if browser:
            server.io_loop.add_callback(webbrowser.open, address)
        server.io_loop.start()
    except KeyboardInterrupt:
        print("ended", flush=True)
    finally:
        server.stop()
    return 0
