"""Run one notebook, in a process of its own: ``python -P papermill_process.py OPTIONS``.

The options are a JSON object: arguments of `papermill.execute_notebook`; `sockets`, which begins the paths of
the files through which papermill and kernel talk; and `reason`, which begins the line that says why a disk
ended the run, since the kernel writes to the same log. Modlib is not imported: it would cost twice.
"""

import json
import sys

from papermill import execute_notebook
from traitlets.config import Config


def main() -> None:
    """Run the notebook that the command line describes, and say in one line if a disk is full."""
    options = json.loads(sys.argv[1])
    sockets, reason = options.pop("sockets"), options.pop("reason")
    connection = {"transport": "ipc", "ip": sockets} if sockets else {}
    options |= {"progress_bar": False, "request_save_on_cell_execute": False, "autosave_cell_every": 0}
    for last in (False, True):
        try:
            execute_notebook(**options, config=Config({"KernelManager": connection}))
            return
        except RuntimeError as error:
            # Without sockets two kernels that start at the same time may choose the same port.
            if last or "Kernel died before replying" not in str(error):
                raise
        except OSError as error:
            sys.exit(f"{reason}{error.filename or options['output_path']}: {error.strerror or error}")


if __name__ == "__main__":
    main()
