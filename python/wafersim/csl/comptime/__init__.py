"""The compile-time interpreter: expressions, statements, modules, builtins; vectorised over PEs."""
