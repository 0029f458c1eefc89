"""A chat completion's request in the fields of a provider that refuses OpenAI's."""

from patchwright.schema.messages import Json

_UNKNOWN_TO_MISTRAL = ("stream_options", "logprobs", "top_logprobs")
"""Usage comes in a stream's last chunk without being asked for; logprobs do not come at all."""


def in_mistrals_dialect(body: Json) -> Json:
    """For api.mistral.ai, which answers 422 to fields that it does not know, and calls the seed `random_seed`.

    Seen by others: https://github.com/dnakov/anon-kode/issues/53 (`stream_options`),
    https://github.com/Vali-98/ChatterUI/issues/143 (`seed`); fields: https://docs.mistral.ai/api.
    """
    known = {name: value for name, value in body.items() if name not in _UNKNOWN_TO_MISTRAL}
    if "max_completion_tokens" in known:
        known["max_tokens"] = known.pop("max_completion_tokens")
    if "seed" in known:
        known["random_seed"] = known.pop("seed")
    return known
