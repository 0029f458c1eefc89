"""Where a project comes from: what a row says of it, so that its tree can be laid out again."""

from patchwright.schema.instance import InstallConfig
from patchwright.schema.record import Record


class Origin(Record):
    """A version of a project. `repo` and `base_commit` are what a row has them as: pypi/NAME and the SHA-256 of the
    source distribution, or SWE-smith's name for a repository and its commit."""

    name: str
    version: str
    repo: str
    base_commit: str
    install_config: InstallConfig
