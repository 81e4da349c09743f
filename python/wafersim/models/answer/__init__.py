"""The answer of the llm command: what limits, how sure, in which words."""
