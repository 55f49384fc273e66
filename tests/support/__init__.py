"""Helpers of the tests: what several test files need, and second processes too."""
