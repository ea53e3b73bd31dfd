"""Scans with known truth: anatomy, veins, fields, signal, lesions and mimics. Arrays only."""
