# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Python helpers that check by themselves share."""
import os
import sys

fine = True


def check(what, holds):
    global fine
    print(("ok - " if holds else "NOT OK - ") + what, flush=True)
    fine = fine and bool(holds)


def child(function):
    """Runs function in a process of its own, which ends with 0 or the errno of its error."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    return pid


def finish():
    sys.exit(0 if fine else 1)
