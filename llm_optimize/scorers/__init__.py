"""Judgement: what turns a candidate into an outcome. Strangers to proposers/."""
