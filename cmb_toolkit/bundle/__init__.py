"""A trained model as files to keep and to give away: `NAME.cmbtk`, a folder or the same as a zip."""
