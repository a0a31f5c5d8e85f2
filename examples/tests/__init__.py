"""Tests of the examples, written with the test kit alone: begin your own from the one that is like your application."""
