"""Acme in memory."""

from __future__ import annotations

import attrs

from genbridge import Call, Fields, Reply, draw_png

_SIZES = {"1:1": (240, 240), "3:2": (360, 240), "2:3": (240, 360)}
_WORKSPACE = "studio"


@attrs.define(kw_only=True)
class Drawing:
    """One drawing; `since` is when it was ordered, in seconds."""

    text: str
    ratio: str
    acorns: int
    since: float
    stopped: bool = False


@attrs.define(kw_only=True)
class AcmeEmulator:
    """Draws in four seconds. `[fail]` in the text spoils a drawing, `[refuse]` is refused."""

    key: str = attrs.field(default="acme-sandbox-key", repr=False)
    drawings: dict[str, Drawing] = attrs.field(factory=dict)

    def answer(self, call: Call, now: float) -> Reply:
        """Answer one call at the time `now`, in seconds."""
        path = call.path.strip("/").split("/")
        if call.method == "GET" and path[:1] == ["sheets"]:
            return self._sheet(path[-1].removesuffix(".png"))
        if call.headers.get("x-api-key") != self.key:
            return Reply.of({"why": "Acme does not know this key"}, status=401)
        match (call.method, *path):
            case ("GET", "v2", "workspaces"):
                return Reply.of({"workspaces": [{"id": _WORKSPACE}]})
            case ("POST", "v2", "workspaces", name, "drawings"):
                return self._order(name, Fields(call.json), call.origin, now)
            case ("GET" | "DELETE" as method, "v2", "drawings", name) if name in self.drawings:
                self.drawings[name].stopped |= method == "DELETE" and now - self.drawings[name].since < 4
                return self._show(name, call.origin, now)
        return Reply.of({"why": "Acme has no such thing"}, status=404)

    def _order(self, workspace: str, sheet: Fields, origin: str, now: float) -> Reply:
        if workspace != _WORKSPACE:
            return Reply.of({"why": f"there is no workspace {workspace!r}"}, status=404)
        text, ratio = sheet.text("text") or "", sheet.text("ratio") or "1:1"
        if not text or ratio not in _SIZES or "[refuse]" in text:
            return Reply.of({"why": "Acme does not draw that"}, status=422)
        name = f"d{len(self.drawings) + 1}"
        self.drawings[name] = Drawing(text=text, ratio=ratio, acorns=5 if sheet.text("ink") == "gold" else 1, since=now)
        return self._show(name, origin, now)

    def _show(self, name: str, origin: str, now: float) -> Reply:
        drawing = self.drawings[name]
        state = _state(drawing, now - drawing.since)
        why = "the ink ran dry" if state == "spoilt" else None
        sheets = [f"{origin}/sheets/{name}.png"] if state == "drawn" else []
        return Reply.of({"drawing": {"id": name, "state": state, "sheets": sheets, "acorns": drawing.acorns, "why": why}})

    def _sheet(self, name: str) -> Reply:
        drawing = self.drawings.get(name)
        if drawing is None:
            return Reply(status=404)
        return Reply(status=200, headers={"content-type": "image/png"}, body=draw_png(drawing.text, *_SIZES[drawing.ratio]))


def _state(drawing: Drawing, age: float) -> str:
    if drawing.stopped:
        return "stopped"
    if age < 4:
        return "queued" if age < 1 else "drawing"
    return "spoilt" if "[fail]" in drawing.text else "drawn"
