"""Attention whose logits stay random: seeded draws of its heads, their moments, error bars."""
