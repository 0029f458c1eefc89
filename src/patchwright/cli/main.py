"""The `patchwright` command: finds the subcommand, runs it, and turns errors into one line and an exit code.

Top-level help comes from argparse and a subcommand's module is imported only when it is called, so that
`patchwright --help` takes about as long as Python itself.
"""

import argparse
import errno
import sys
from collections.abc import Sequence
from importlib import import_module

from patchwright import __version__
from patchwright.errors import PatchwrightError

COMMANDS = {
    "run": "work on a task in a repository, in a sandbox, and hand back a patch",
    "resolve": "find a patch for an issue, prove it, and apply it",
    "undo": "bring the work tree back to what it was before the last run",
    "session": "list, show, export and remove recorded sessions",
    "model": "list, fetch, inspect, convert and remove models; say what fits into memory",
    "eval": "measure models and scaffolds on benchmarks",
    "serve": "serve a model to agents and SDKs behind one OpenAI-compatible endpoint",
    "keys": "make, list and revoke the keys of that endpoint",
    "engine": "install engines, list and stop those that run, read their logs",
    "doctor": "check that this machine has what Patchwright needs",
}
"""Each is a Typer app named `app` in the module of its name in this package."""


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(argv)
    app = import_module(f"patchwright.cli.{arguments.command}").app
    try:
        app(args=arguments.arguments, prog_name=f"patchwright {arguments.command}")
    except PatchwrightError as error:
        sys.exit(_report(error))
    except OSError as error:
        if (problem := problem_with_files(error)) is None:
            raise
        sys.exit(_report(problem))


def problem_with_files(error: OSError) -> PatchwrightError | None:
    """What is wrong with a file of the user's, or with its disk; None where it is no file that fails."""
    reason = (error.strerror or str(error)).lower()
    if error.filename is not None:
        return PatchwrightError(f"{error.filename}: {reason}")
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return PatchwrightError(reason, hint="make room, and try again") if full else None


def _parser() -> argparse.ArgumentParser:
    rows = "\n".join(f"  {name:<9} {sentence}" for name, sentence in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="patchwright",
        usage="patchwright [--help | --version] COMMAND …",
        description="A software engineer you host yourself: a task in, a tested patch out, on your own hardware.",
        epilog=f"commands:\n{rows}\n\n`patchwright COMMAND --help` explains one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"patchwright {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _report(error: PatchwrightError) -> int:
    from patchwright.cli.exit_codes import exit_code_of

    print(f"patchwright: {error}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    return exit_code_of(error)


if __name__ == "__main__":
    main()
