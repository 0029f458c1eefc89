"""Conversations as tokens of Mistral's tokenizer v13, and answers back: by mistral-common, never by a template.

A template makes text, and in text a file that says "[INST]" is a turn of the user's. As tokens the two are different.
"""
