"""What a model found, as DICOM objects that refer to the series of the scan."""
