"""The colours of the report, for its style sheet and for its figures."""

from __future__ import annotations

LIGHT = {
    "ground": "#f6f7f9",
    "surface": "#ffffff",
    "text": "#16202c",
    "muted": "#566373",
    "line": "#dde2e9",
    "front": "#1a56c4",
    "tint": "#e9f0fd",
    "pick": "#b9480c",
    "other": "#8b97a6",
    "teacher": "#7a3fd1",
    "published": "#0c7a6c",
}
DARK = {
    "ground": "#0f1318",
    "surface": "#181e26",
    "text": "#e8ecf1",
    "muted": "#9dabba",
    "line": "#2e3845",
    "front": "#7db0ff",
    "tint": "#1d2c45",
    "pick": "#ffa066",
    "other": "#79879a",
    "teacher": "#c3a1ff",
    "published": "#4fd3ba",
}


def variables(palette: dict[str, str]) -> str:
    """A palette as CSS custom properties."""
    return " ".join(f"--{name}: {colour};" for name, colour in palette.items())
