"""What people see on stderr while work goes on: live lines on a terminal, plain lines in a pipe or a log file.

`steps` shows a single training or other work in steps, `lines` a running search by one line for each event, `live` the
same with a line for each running trial below. This room may import search, distill, units and errors.
"""

from __future__ import annotations

from autocompress.terminal.lines import Display
from autocompress.terminal.live import LiveDisplay, make_display
from autocompress.terminal.steps import StepDisplay, counted, step_display

__all__ = ["Display", "LiveDisplay", "StepDisplay", "counted", "make_display", "step_display"]
