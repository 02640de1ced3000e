"""Ideas: what turns the past into drafts. Strangers to scorers/."""
