"""Holds the package of Snakemake's logger plugin, whose name Snakemake looks for."""
