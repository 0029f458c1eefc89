"""A module with a bug, for answers to repair."""

from textwrap import dedent

SOURCE = dedent(
    '''\
    """Numbers."""
    import os


    def gcd(a, b):
        if b == 0:
            return a
        return gcd(a % b, b)


    class Box:
        @property
        def size(self):
            return len(self.items) + 1

        def put(self, item):
            self.items.append(item)
    '''
)

LINE = "    return gcd(a % b, b)"
GCD = "def gcd(a, b):\n    if b == 0:\n        return a\n    return gcd(b, a % b)"
RIGHT = SOURCE.replace("gcd(a % b, b)", "gcd(b, a % b)")


def block(search: str, replacement: str) -> str:
    return f"<<<<<<< SEARCH\n{search}\n=======\n{replacement}\n>>>>>>> REPLACE"
