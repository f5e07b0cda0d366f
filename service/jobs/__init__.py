"""Kernel jobs: forecast, admitted, cut into named tiles, stored, followed to their end."""
