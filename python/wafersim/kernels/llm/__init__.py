"""Published layers of language models: what their parts are and how times of parts make that of a layer."""
