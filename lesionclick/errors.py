"""Errors that a user can put right: one sentence that names the file, what is wrong and what was expected."""


class LesionClickError(Exception):
    """Base of the errors whose text is written for the user; the command line prints it and exits with code 2."""


class CaseError(LesionClickError):
    """A case on disk (CT, PET, clicks or the place of the mask) is not what the interface asks for."""


class ModelError(LesionClickError):
    """A model folder is missing, damaged or contradicts itself."""


class DeviceError(LesionClickError):
    """The device asked for does not exist or cannot hold the computation."""


class ClusterError(LesionClickError):
    """A cluster does not answer, has no room for the work, or none of its workers can do it."""


class Superseded(Exception):  # noqa: N818 - it is no error
    """The clicks have changed while a session computed what they say: no failure, ask the session again."""
