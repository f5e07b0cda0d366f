"""What a problem document (RFC 9457) is, and the one table of those that a job ends with.

Such a document is the `error` of a record that failed, or expired early. Those that are responses
are in `service.http.problems`.
"""

from dataclasses import dataclass, replace
from typing import Any

TYPE_PREFIX = "urn:gramd:problem:"


@dataclass(frozen=True)
class Kind:
    """What problems of one kind have in common; `title` may have a place for `{what}` it is about."""

    status: int
    name: str
    title: str

    @property
    def type(self) -> str:
        """Its URN."""
        return TYPE_PREFIX + self.name

    def about(self, what: str) -> "Kind":
        """This kind with `what` in its title."""
        return replace(self, title=self.title.format(what=what))

    def document(self, detail: str, **members: Any) -> dict[str, Any]:
        """A problem document of this kind, with further members."""
        about = {"type": self.type, "title": self.title, "status": self.status}
        return about | {"detail": detail, **members}


_COULD_NOT = "The {what} could not be computed"
_KERNEL_MISSING = "A kernel that this needs was not computed"

# The table. The task was begun as often as it may be, and never finished:
TILE_FAILED = Kind(500, "tile-failed", _COULD_NOT)
# it took longer than its deadline:
TILE_TOO_LONG = Kind(500, "tile-too-long", _COULD_NOT)
# what was asked for cannot be computed:
TILE_REFUSED = Kind(422, "tile-refused", _COULD_NOT)
# the object store lets nobody in:
STORE_CLOSED = Kind(500, "store-closed", _COULD_NOT)
# a kernel job that an answer waited for was cancelled, or deleted:
KERNEL_CANCELLED = Kind(409, "kernel-cancelled", _KERNEL_MISSING)
KERNEL_DELETED = Kind(409, "kernel-deleted", _KERNEL_MISSING)
