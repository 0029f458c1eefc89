"""Shows the reported behaviour: exits with 0 once `validators.domain(None)` fails the validation and nothing else."""

import validators

try:
    result = validators.domain(None)
except AttributeError as error:
    raise SystemExit(f"validators.domain(None) raises AttributeError: {error}") from None
if not isinstance(result, validators.ValidationFailure):
    raise SystemExit(f"validators.domain(None) is {result!r}, not a ValidationFailure")
if validators.domain("example.com") is not True:
    raise SystemExit("validators.domain('example.com') is not True any more")
print(f"validators.domain(None) is {result!r}")
