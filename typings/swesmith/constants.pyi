class CodeEntity:
    file_path: str
    line_start: int
    line_end: int
    src_code: str
    @property
    def name(self) -> str: ...

class BugRewrite:
    rewrite: str
    def __init__(self, rewrite: str, explanation: str, strategy: str) -> None: ...
