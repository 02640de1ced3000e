"""Which past is shown to the model, beside the default in :mod:`llm_optimize.proposers.window`; one file each."""
