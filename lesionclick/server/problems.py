"""Problems that a request can have: sentences for whoever asked, each with the HTTP status that fits it."""

from lesionclick.errors import LesionClickError


class ServerError(LesionClickError):
    """A request, or the way the server was started, asks for what cannot be done.

    Attributes:
        status: the HTTP status of the answer.
    """

    status = 422


class UnknownError(ServerError):
    """There is no case, session, click or mask of that name."""

    status = 404


class TooLargeError(ServerError):
    """What was sent is larger than the server takes."""

    status = 413


class NotAnImageError(ServerError):
    """A file that was sent is in no format that the server takes."""

    status = 415


class NoRoomError(ServerError):
    """The disk has no room for what was sent."""

    status = 507
