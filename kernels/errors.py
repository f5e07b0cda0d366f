"""What a caller can do wrong, and the one way to stop.

KernelError          pointer + detail
  SpecError          the architecture; the pointer leads into its document
  InputError         an array; the pointer is /x1, /mask2, ...
  NumericsError      a finite input gave infinity or NaN on the way (overflow)
Stopped              not an error: the caller asked a running tile to stop
"""

from __future__ import annotations


class KernelError(ValueError):
    """Something the caller has to change.

    Args:
        detail: what was expected, what came, what to do.
        pointer: RFC 6901 pointer to the place, relative to what was passed; "" is the whole.
    """

    def __init__(self, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer


class SpecError(KernelError):
    """The architecture is malformed, refused, or does not fit its input."""

    def under(self, prefix: str) -> SpecError:
        """The same error, seen from a document that holds this one at `prefix`."""
        return SpecError(self.detail, prefix + self.pointer)


class InputError(KernelError):
    """An input array or mask is not what the network can take."""


class NumericsError(KernelError):
    """A kernel left the range of its dtype."""


class Stopped(Exception):
    """A computation ended early because its caller asked it to."""
