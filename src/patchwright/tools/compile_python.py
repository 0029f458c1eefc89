"""A program, not a module: compiles the source on stdin and writes its first syntax error, or null, as JSON."""

import json
import resource
import sys
import warnings

_CPU_S = 5
_MEMORY_BYTES = 2**30

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    problem = None
    try:
        compile(sys.stdin.buffer.read().decode(), "<source>", "exec", dont_inherit=True)
    except SyntaxError as error:
        problem = {"line": error.lineno or 1, "message": error.msg}
    json.dump(problem, sys.stdout)
