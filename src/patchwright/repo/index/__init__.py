"""What a repository defines, where, and in which words: symbols, their search terms, a database of both."""
