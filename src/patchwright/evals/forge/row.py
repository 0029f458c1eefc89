"""An instance of the forge as a row."""

from patchwright.evals.reversal import reversed_patch
from patchwright.evals.smith import is_smith
from patchwright.schema.instance import Instance


def row_of(instance: Instance) -> str:
    """A line of JSON. Under SWE-smith's name for a repository, `patch` brings the bug in, as it does there."""
    if is_smith(instance):
        instance = instance.model_copy(update={"patch": reversed_patch(instance.patch)})
    return instance.model_dump_json(by_alias=True, exclude_defaults=True)
