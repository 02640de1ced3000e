"""llm_optimize."""
