"""What a browser may say to the page: that a control has been used, or where its camera is.

viser takes whatever it is sent: any attribute of a control, values of any kind, files.  A control would keep a value
that is none of its own, and send it to every browser.
"""

import math
from typing import Any

import msgspec
import viser

LONGEST = 2**16  # bytes of a message
Three = tuple[float, float, float]


class Camera(msgspec.Struct, tag_field="type", tag="ViewerCameraMessage", forbid_unknown_fields=True):
    """Where a browser looks from."""

    wxyz: tuple[float, float, float, float]
    position: Three
    fov: float
    near: float
    far: float
    image_height: int
    image_width: int
    look_at: Three
    up_direction: Three


class Click(msgspec.Struct, tag_field="type", tag="SceneNodeClickMessage", forbid_unknown_fields=True):
    """A body, a bone or a ball of it, was clicked."""

    name: str
    instance_index: int | None
    ray_origin: Three
    ray_direction: Three
    screen_pos: tuple[float, float]
    modifier: str | None
    owner: str = ""


class Command(msgspec.Struct, tag_field="type", tag="CommandTriggerMessage", forbid_unknown_fields=True):
    """A key was pressed that a command has."""

    uuid: str


class _Value(msgspec.Struct, forbid_unknown_fields=True):
    value: Any


class Update(msgspec.Struct, tag_field="type", tag="GuiUpdateMessage", forbid_unknown_fields=True):
    """A control was used."""

    uuid: str
    updates: _Value


_MESSAGES = msgspec.msgpack.Decoder(Camera | Click | Command | Update)
_CHOICE = (viser.GuiDropdownHandle, viser.GuiButtonGroupHandle)
_SWITCH = (viser.GuiCheckboxHandle, viser.GuiButtonHandle)
_PAIR = (viser.GuiMultiSliderHandle, viser.GuiVector2Handle)


def may_pass(message: bytes | str, server: viser.ViserServer) -> bool:
    """Whether viser may see a message: one of those above, with a value that its control can have."""
    try:
        said = _MESSAGES.decode(message) if isinstance(message, bytes) else None
    except msgspec.MsgspecError:
        return False
    if isinstance(said, Update):
        return fits(server.gui._gui_input_handle_from_uuid.get(said.uuid), said.updates.value)
    if isinstance(said, Camera):
        return all(map(_is_finite, msgspec.structs.astuple(said)))
    return said is not None


def fits(control: Any, value: Any) -> bool:
    """Whether a user could have given the control this value."""
    if isinstance(control, _CHOICE):
        return value in control.options
    if isinstance(control, _SWITCH):
        return isinstance(value, bool)
    if isinstance(control, viser.GuiSliderHandle):
        return _is_finite(value) and bool(control.min <= value <= control.max)
    if isinstance(control, viser.GuiNumberHandle):
        return _is_finite(value)
    if isinstance(control, _PAIR):
        return isinstance(value, list) and len(value) == 2 and all(map(_is_finite, value))
    return False


def _is_finite(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_finite, value))
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
